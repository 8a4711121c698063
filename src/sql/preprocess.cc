#include "sql/preprocess.h"

#include <arrow/api.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "sql/analysis.h"
#include "sql/rewrite.h"
#include "sql/session.h"

namespace sluice::sql {
namespace {

constexpr char kInput[] = "input";
// A parser needs no more.
const Limits kParserLimits{.memory_bytes = int64_t{64} << 20, .threads = 1, .time_ms = 0, .spill_folder = {}};

Status CheckSteps(const TransformSpec& spec) {
  if (spec.steps.empty()) return InvalidArgument("the query has no step");
  std::set<std::string> aliases = {kInput};
  for (size_t i = 0; i < spec.steps.size(); ++i) {
    const std::string& alias = spec.steps[i].alias;
    bool last = i + 1 == spec.steps.size();
    if (last && !alias.empty())
      return InvalidArgument("the last step has the alias '{}'; the result has none", alias);
    if (!last && alias.empty())
      return InvalidArgument("step {} of {} has no alias; only the last has none", i + 1, spec.steps.size());
    if (!last && !aliases.insert(alias).second)
      return InvalidArgument("step {} has the alias '{}', which is taken", i + 1, alias);
  }
  return {};
}

std::string StepName(const TransformSpec& spec, size_t i) {
  if (spec.steps.size() == 1) return "query";
  if (spec.steps[i].alias.empty()) return fmt::format("query step {}", i + 1);
  return fmt::format("query step '{}'", spec.steps[i].alias);
}

struct Step {
  std::string select;  // in the engine's syntax
  TableFacts facts;
};

// Parses, checks and rewrites every step. `input` is known by name at least.
Result<std::vector<Step>> RewriteSteps(Session& session, const TransformSpec& spec, const Dialect& dialect,
                                       const TableFacts& input, std::set<std::string>& macros) {
  std::map<std::string, TableFacts> tables = {{kInput, input}};
  std::vector<std::string> names = {kInput};
  std::vector<Step> out;
  for (size_t i = 0; i < spec.steps.size(); ++i) {
    auto one = [&]() -> Result<Step> {
      ASSIGN_OR_RETURN(nlohmann::json tree, ParseSelect(session, spec.steps[i].query, dialect.lex));
      Step step;
      step.facts = Analyse(tree, tables, dialect);
      RETURN_IF_ERROR(Rewrite(tree, {&dialect, true, names}, macros));
      ASSIGN_OR_RETURN(step.select, Unparse(session, tree));
      return step;
    };
    Result<Step> step = one();
    if (!step.ok()) return std::move(step).error().With(StepName(spec, i));
    tables[spec.steps[i].alias] = step->facts;
    names.push_back(spec.steps[i].alias);
    out.push_back(std::move(step).value());
  }
  return out;
}

class DuckPreprocess final : public Preprocess {
 public:
  static Result<std::unique_ptr<Preprocess>> Make(const TransformSpec& spec,
                                                  std::shared_ptr<arrow::Schema> input,
                                                  const Limits& limits) {
    ASSIGN_OR_RETURN(const Dialect* dialect, FindDialect(spec.engine));
    RETURN_IF_ERROR(CheckSteps(spec));
    std::unique_ptr<DuckPreprocess> self(new DuckPreprocess());
    SessionOptions options;
    options.limits = limits;
    options.truncate_integer_division = dialect->truncate_integer_division;
    ASSIGN_OR_RETURN(self->session_, Session::Open(options));
    self->table_ = std::make_shared<ScanTable>();
    self->table_->schema = std::move(input);
    RETURN_IF_ERROR(self->Plan(spec, *dialect));
    return std::unique_ptr<Preprocess>(std::move(self));
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  bool is_row_wise() const override { return row_wise_; }

  Result<RecordBatches> Run(const RecordBatches& input, std::stop_token stop) override {
    for (const auto& batch : input) {
      if (!batch->schema()->Equals(*table_->schema, false)) {
        return InvalidArgument("the batch has the columns {}, but the query was prepared for {}",
                               batch->schema()->ToString(), table_->schema->ToString());
      }
    }
    table_->batches = input;
    Result<RecordBatches> out = Collect(stop);
    table_->batches.clear();
    return out;
  }

 private:
  DuckPreprocess() = default;

  Result<RecordBatches> Collect(const std::stop_token& stop) {
    auto named = [&](Error error) { return std::move(error).With(name_); };
    auto result = session_->Start(prepared_, stop, ErrorCode::kInvalidRecords);
    if (!result.ok()) return named(std::move(result).error());
    RecordBatches out;
    while (true) {
      auto batch = (*result)->Next();
      if (!batch.ok()) return named(std::move(batch).error());
      if (*batch == nullptr) return out;
      out.push_back(arrow::RecordBatch::Make(schema_, (*batch)->num_rows(), (*batch)->columns()));
    }
  }

  Status Plan(const TransformSpec& spec, const Dialect& dialect) {
    RETURN_IF_ERROR(session_->AddTable(kInput, table_));
    TableFacts input;
    input.row_wise = true;
    input.columns.emplace();
    for (const auto& field : table_->schema->fields())
      input.columns->push_back({field->name(), !field->nullable()});
    std::set<std::string> macros;
    ASSIGN_OR_RETURN(std::vector<Step> steps, RewriteSteps(*session_, spec, dialect, input, macros));
    for (const std::string& statement : MacrosFor(dialect, macros))
      RETURN_IF_ERROR(session_->Execute(statement));
    for (size_t i = 0; i < steps.size(); ++i) {
      // A view is bound when it is read; planning each step on its own names the step at fault.
      auto prepared = session_->Prepare(steps[i].select, spec.steps[i].query, ErrorCode::kInvalidArgument);
      if (!prepared.ok()) return std::move(prepared).error().With(StepName(spec, i));
      if (i + 1 < steps.size()) {
        RETURN_IF_ERROR(session_->AddView(spec.steps[i].alias, steps[i].select));
      } else {
        prepared_ = std::move(prepared).value();
      }
    }
    name_ = StepName(spec, steps.size() - 1);
    row_wise_ = steps.back().facts.row_wise;
    Status status = Shape(steps.back().facts);
    if (!status.ok()) return std::move(status).error().With(name_);
    return {};
  }

  // The result's schema: types from the plan, nullability from the statement.
  Status Shape(const TableFacts& facts) {
    const arrow::Schema& planned = *prepared_.shape.schema();
    bool known = facts.columns && facts.columns->size() == static_cast<size_t>(planned.num_fields());
    std::set<std::string> names;
    arrow::FieldVector fields;
    for (int i = 0; i < planned.num_fields(); ++i) {
      const auto& field = planned.field(i);
      if (!names.insert(field->name()).second)
        return InvalidArgument("the result has two columns '{}'", field->name());
      bool required = known && (*facts.columns)[static_cast<size_t>(i)].required;
      fields.push_back(field->WithNullable(!required));
    }
    schema_ = arrow::schema(std::move(fields));
    return {};
  }

  std::unique_ptr<Session> session_;
  std::shared_ptr<ScanTable> table_;
  Prepared prepared_;
  std::string name_;
  std::shared_ptr<arrow::Schema> schema_;
  bool row_wise_ = false;
};

// What can be said of the result when nothing is known of the input but its name.
Result<TableFacts> FactsOf(const TransformSpec& spec) {
  ASSIGN_OR_RETURN(const Dialect* dialect, FindDialect(spec.engine));
  RETURN_IF_ERROR(CheckSteps(spec));
  SessionOptions options;
  options.limits = kParserLimits;
  ASSIGN_OR_RETURN(std::unique_ptr<Session> session, Session::Open(options));
  std::set<std::string> macros;
  TableFacts input;
  input.row_wise = true;
  ASSIGN_OR_RETURN(auto steps, RewriteSteps(*session, spec, *dialect, input, macros));
  return std::move(steps.back().facts);
}

}  // namespace

Result<std::unique_ptr<Preprocess>> Preprocess::Prepare(const TransformSpec& spec,
                                                        std::shared_ptr<arrow::Schema> input,
                                                        const Limits& limits) {
  return DuckPreprocess::Make(spec, std::move(input), limits);
}

Status CheckTransform(const TransformSpec& spec) {
  RETURN_IF_ERROR(FactsOf(spec));
  return {};
}

Result<bool> IsRowByRow(const TransformSpec& spec) {
  ASSIGN_OR_RETURN(const TableFacts facts, FactsOf(spec));
  return facts.row_wise && !facts.expands;
}

}  // namespace sluice::sql
