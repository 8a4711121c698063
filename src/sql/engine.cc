#include "sql/engine.h"

#include <arrow/api.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/names.h"
#include "sql/dialect.h"
#include "sql/names.h"
#include "sql/rewrite.h"
#include "sql/session.h"
#include "sql/size_guards.h"

namespace sluice::sql {
namespace {

constexpr char kOwnDialect[] = "duckdb";

// A table that is known but not yet in the database, which opens with the first query: that takes 22 ms, and
// the files a fenced session may read have to be named before.
struct Registration {
  std::shared_ptr<arrow::Schema> schema;
  RecordBatches batches;
  std::vector<std::string> paths;
  bool is_parquet = false;
  // Columns of files that the engine cannot read, with what is said to a query that asks for their values.
  // Every other query is answered.
  std::map<std::string, std::string> unread;
};

bool HasWideDecimal(const arrow::DataType& type) {
  if (type.id() == arrow::Type::DECIMAL256) return true;
  return std::any_of(type.fields().begin(), type.fields().end(),
                     [](const auto& field) { return HasWideDecimal(*field->type()); });
}

// What the engine reads a file's column as, where it does not have the type itself. Wide decimals come out
// wrong: see Registration::unread.
std::shared_ptr<arrow::DataType> TypeAsRead(const std::shared_ptr<arrow::DataType>& type) {
  switch (type->id()) {
    case arrow::Type::HALF_FLOAT:
      return arrow::float32();
    case arrow::Type::DECIMAL256:
      return arrow::float64();
    case arrow::Type::LIST:
      return arrow::list(type->field(0)->WithType(TypeAsRead(type->field(0)->type())));
    case arrow::Type::STRUCT: {
      arrow::FieldVector fields;
      for (const auto& field : type->fields()) fields.push_back(field->WithType(TypeAsRead(field->type())));
      return arrow::struct_(fields);
    }
    default:
      return type;
  }
}

std::shared_ptr<arrow::Schema> AsRead(const arrow::Schema& schema) {
  arrow::FieldVector fields;
  for (const auto& field : schema.fields()) fields.push_back(field->WithType(TypeAsRead(field->type())));
  return arrow::schema(std::move(fields));
}

class DuckEngine final : public Engine {
 public:
  DuckEngine(const Limits& limits, bool fenced, const Dialect* dialect) : fenced_(fenced), dialect_(dialect) {
    options_.limits = limits;
    options_.fenced = fenced;
    if (fenced && dialect == nullptr) options_.setup = SizeGuardMacros();
    options_.truncate_integer_division = dialect != nullptr && dialect->truncate_integer_division;
  }

  Status RegisterBatches(const std::string& name, std::shared_ptr<arrow::Schema> schema,
                         RecordBatches batches) override {
    RETURN_IF_ERROR(CheckScannable(*schema));
    for (const auto& batch : batches) {
      if (!batch->schema()->Equals(*schema, false)) {
        return InvalidArgument("a batch of table '{}' has the columns {}, not {}", name,
                               batch->schema()->ToString(), schema->ToString());
      }
    }
    return Add(name, {std::move(schema), std::move(batches), {}, false, {}});
  }

  Status RegisterParquet(const std::string& name, std::shared_ptr<arrow::Schema> schema,
                         std::vector<std::string> paths) override {
    std::map<std::string, std::string> unread;
    for (const auto& field : schema->fields()) {
      if (!HasWideDecimal(*field->type())) continue;
      unread[field->name()] =
          fmt::format("column '{}' of type {} cannot be queried: a query knows decimals of up to 38 digits",
                      field->name(), field->type()->ToString());
    }
    schema = AsRead(*schema);
    RETURN_IF_ERROR(CheckScannable(*schema));
    if (fenced_ && session_ != nullptr) {
      return Internal("table '{}' over files is registered after the first query of a fenced engine", name);
    }
    return Add(name, {std::move(schema), {}, std::move(paths), true, std::move(unread)});
  }

  Result<std::unique_ptr<QueryResult>> Query(const std::string& statement, std::stop_token stop) override {
    RETURN_IF_ERROR(Open());
    ASSIGN_OR_RETURN(nlohmann::json tree,
                     ParseSelect(*session_, statement, dialect_ ? dialect_->lex : LexRules{}));
    std::set<std::string> macros;
    RewriteOptions options{dialect_, fenced_, {}};
    for (const auto& [name, registration] : tables_) options.tables.push_back(name);
    RETURN_IF_ERROR(Rewrite(tree, options, macros));
    ASSIGN_OR_RETURN(std::string select, Unparse(*session_, tree));
    if (dialect_ != nullptr) {
      for (const std::string& macro : MacrosFor(*dialect_, macros)) RETURN_IF_ERROR(session_->Execute(macro));
    }
    ASSIGN_OR_RETURN(Prepared prepared, session_->Prepare(select, statement, ErrorCode::kInvalidArgument));
    // The plan lives on in the running result.
    return session_->Start(prepared, stop, ErrorCode::kInvalidArgument);
  }

 private:
  Status Add(const std::string& name, Registration registration) {
    if (session_ != nullptr) RETURN_IF_ERROR(Apply(name, registration));
    tables_[name] = std::move(registration);
    return {};
  }

  Status Open() {
    if (session_ != nullptr) return {};
    for (const auto& [name, registration] : tables_) {
      options_.allowed_paths.insert(options_.allowed_paths.end(), registration.paths.begin(),
                                    registration.paths.end());
    }
    ASSIGN_OR_RETURN(std::unique_ptr<Session> session, Session::Open(options_));
    session_ = std::move(session);
    for (const auto& [name, registration] : tables_) {
      if (Status status = Apply(name, registration); !status.ok()) {
        session_.reset();
        return std::move(status).error().With(fmt::format("table '{}'", name));
      }
    }
    return {};
  }

  Status Apply(const std::string& name, const Registration& registration) {
    if (registration.is_parquet && !registration.paths.empty()) return ApplyParquet(name, registration);
    auto table = std::make_shared<ScanTable>();
    table->schema = registration.schema;
    table->batches = registration.batches;
    table->max_threads = options_.limits.threads;
    return session_->AddTable(name, std::move(table));
  }

  // The files' columns under encoded names. Where a column is in none of them, a table without rows gives its
  // type.
  Status ApplyParquet(const std::string& name, const Registration& registration) {
    std::vector<std::string> paths;
    for (const std::string& path : registration.paths) paths.push_back(QuoteText(path));
    std::string files = fmt::format("read_parquet([{}], union_by_name = true)", JoinNames(paths));
    ASSIGN_OR_RETURN(std::vector<std::string> names, session_->ColumnNames("SELECT * FROM " + files));
    // The engine renames the second of two columns that differ in case only; then the place tells which is
    // which.
    bool by_place = names.size() == static_cast<size_t>(registration.schema->num_fields());
    std::set<std::string> present(names.begin(), names.end());
    std::vector<std::string> columns;
    std::vector<std::string> fields;
    bool complete = true;
    for (int i = 0; i < registration.schema->num_fields(); ++i) {
      const arrow::Field& field = *registration.schema->field(i);
      std::string found;
      if (present.contains(field.name())) {
        found = QuoteName(field.name());
      } else if (by_place && IsRenamed(names[static_cast<size_t>(i)], field.name())) {
        found = QuoteName(names[static_cast<size_t>(i)]);
      }
      complete = complete && !found.empty();
      if (const auto it = registration.unread.find(field.name());
          it != registration.unread.end() && !found.empty()) {
        found = fmt::format("(CASE WHEN {0} IS NOT NULL THEN error({1}) ELSE {0} END)", found,
                            QuoteText(it->second));
      }
      fields.push_back(QuoteName(EncodeName(field.name())));
      columns.push_back(fmt::format("{} AS {}", found.empty() ? "NULL" : EncodedValue(*field.type(), found),
                                    fields.back()));
    }
    std::string select = fmt::format("SELECT {} FROM {}", JoinNames(columns), files);
    if (complete) return session_->AddView(name, select);
    auto shape = std::make_shared<ScanTable>();
    shape->schema = registration.schema;
    ASSIGN_OR_RETURN(std::string empty, session_->AddHidden(std::move(shape)));
    return session_->AddView(name,
                             fmt::format("SELECT {} FROM {} UNION ALL {}", JoinNames(fields), empty, select));
  }

  // `mixED_1` stands for `mixED` beside a column `MIXed`.
  static bool IsRenamed(const std::string& engine_name, const std::string& name) {
    return engine_name.starts_with(name + "_") &&
           engine_name.find_first_not_of("0123456789", name.size() + 1) == std::string::npos;
  }

  static bool HasUpperFields(const arrow::DataType& type) {
    for (const auto& field : type.fields()) {
      bool renamed = type.id() == arrow::Type::STRUCT && EncodeName(field->name()) != field->name();
      if (renamed || HasUpperFields(*field->type())) return true;
    }
    return false;
  }

  // `value` with the fields of structs inside it under encoded names.
  static std::string EncodedValue(const arrow::DataType& type, const std::string& value, int depth = 0) {
    if (!HasUpperFields(type)) return value;
    if (type.id() == arrow::Type::STRUCT) {
      std::vector<std::string> fields;
      for (const auto& field : type.fields()) {
        fields.push_back(fmt::format(
            "{} := {}", QuoteName(EncodeName(field->name())),
            EncodedValue(*field->type(), fmt::format("({}).{}", value, QuoteName(field->name())), depth)));
      }
      return fmt::format("CASE WHEN {} IS NOT NULL THEN struct_pack({}) END", value, JoinNames(fields));
    }
    if (type.id() == arrow::Type::LIST || type.id() == arrow::Type::LARGE_LIST) {
      std::string item = fmt::format("item{}", depth);
      return fmt::format("list_transform({}, lambda {}: {})", value, item,
                         EncodedValue(*type.field(0)->type(), item, depth + 1));
    }
    return value;
  }

  const bool fenced_;
  const Dialect* const dialect_;  // null: the engine's own
  SessionOptions options_;
  std::map<std::string, Registration> tables_;
  std::unique_ptr<Session> session_;
};

}  // namespace

Result<std::unique_ptr<Engine>> Engine::OpenFenced(const Limits& limits, const std::string& dialect) {
  const Dialect* found = nullptr;
  if (!dialect.empty() && dialect != kOwnDialect) {
    auto known = FindDialect(dialect);
    if (!known.ok()) {
      std::vector<std::string> names = {kOwnDialect};
      for (const Dialect& one : AllDialects()) names.emplace_back(one.name);
      return InvalidArgument("no engine '{}'; engines are {}", dialect, JoinNames(names));
    }
    found = *known;
  }
  return std::unique_ptr<Engine>(new DuckEngine(limits, true, found));
}

Result<std::unique_ptr<Engine>> Engine::OpenTrusted(const Limits& limits) {
  return std::unique_ptr<Engine>(new DuckEngine(limits, false, nullptr));
}

}  // namespace sluice::sql
