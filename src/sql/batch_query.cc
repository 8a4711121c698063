#include "sql/batch_query.h"

#include <arrow/api.h>

#include <nlohmann/json.hpp>
#include <set>

#include "sql/rewrite.h"
#include "sql/session.h"

namespace sluice::sql {
namespace {

class DuckBatchQuery final : public BatchQuery {
 public:
  Status Plan(const std::string& statement, const std::string& table, std::shared_ptr<arrow::Schema> schema,
              const Limits& limits) {
    RETURN_IF_ERROR(CheckScannable(*schema));
    SessionOptions options;
    options.limits = limits;
    options.truncate_integer_division = false;
    ASSIGN_OR_RETURN(session_, Session::Open(options));
    table_ = std::make_shared<ScanTable>();
    table_->schema = std::move(schema);
    RETURN_IF_ERROR(session_->AddTable(table, table_));
    ASSIGN_OR_RETURN(nlohmann::json tree, ParseSelect(*session_, statement, {}));
    std::set<std::string> macros;
    RETURN_IF_ERROR(Rewrite(tree, {nullptr, true, {table}}, macros));
    ASSIGN_OR_RETURN(const std::string select, Unparse(*session_, tree));
    ASSIGN_OR_RETURN(prepared_, session_->Prepare(select, statement, ErrorCode::kInvalidArgument));
    return {};
  }

  std::shared_ptr<arrow::Schema> schema() const override { return prepared_.shape.schema(); }

  Result<RecordBatches> Run(const RecordBatches& input, std::stop_token stop) override {
    for (const auto& batch : input) {
      if (!batch->schema()->Equals(*table_->schema, false))
        return Internal("the batch has the columns {}, but the query was prepared for {}",
                        batch->schema()->ToString(), table_->schema->ToString());
    }
    table_->batches = input;
    Result<RecordBatches> out = Collect(stop);
    table_->batches.clear();
    return out;
  }

 private:
  Result<RecordBatches> Collect(const std::stop_token& stop) {
    ASSIGN_OR_RETURN(auto result, session_->Start(prepared_, stop, ErrorCode::kInvalidRecords));
    RecordBatches out;
    while (true) {
      ASSIGN_OR_RETURN(auto batch, result->Next());
      if (batch == nullptr) return out;
      out.push_back(std::move(batch));
    }
  }

  std::unique_ptr<Session> session_;
  std::shared_ptr<ScanTable> table_;
  Prepared prepared_;
};

}  // namespace

Result<std::unique_ptr<BatchQuery>> BatchQuery::Prepare(const std::string& statement,
                                                        const std::string& table,
                                                        std::shared_ptr<arrow::Schema> schema,
                                                        const Limits& limits) {
  auto query = std::make_unique<DuckBatchQuery>();
  RETURN_IF_ERROR(query->Plan(statement, table, std::move(schema), limits));
  return std::unique_ptr<BatchQuery>(std::move(query));
}

}  // namespace sluice::sql
