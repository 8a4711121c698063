#include "connectors/postgres/target.h"

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <map>

#include "connectors/postgres/connection.h"

namespace sluice::connectors::postgres {
namespace {

using pipeline::Column;
using pipeline::ColumnName;

constexpr size_t kMaxNameBytes = 63;  // the server would cut a longer one
constexpr std::string_view kKeyIndex = "(tenant_id, source_type, source_id, data_id) WHERE data_id <> ''";

// pg_type's fixed oids.
constexpr uint32_t kTextType = 25, kTextArray = 1009;
constexpr uint32_t kUuidType = 2950, kUuidArray = 2951;
constexpr uint32_t kJsonType = 114, kJsonArray = 199;
constexpr uint32_t kJsonbType = 3802, kJsonbArray = 3807;
constexpr uint32_t kTimeType = 1114, kTimeArray = 1115;
constexpr uint32_t kTimeZoneType = 1184, kTimeZoneArray = 1185;
constexpr uint32_t kVarcharType = 1043;

struct TypeRow {
  uint32_t type;  // of the table's column
  ColumnForm form;
  uint32_t parameter_type;
  uint32_t array_type;
};
constexpr std::array<TypeRow, 7> kTypes = {{
    {kTextType, ColumnForm::kText, kTextType, kTextArray},
    {kVarcharType, ColumnForm::kText, kTextType, kTextArray},
    {kUuidType, ColumnForm::kUuid, kUuidType, kUuidArray},
    {kJsonType, ColumnForm::kJson, kJsonType, kJsonArray},
    {kJsonbType, ColumnForm::kJsonb, kJsonbType, kJsonbArray},
    {kTimeType, ColumnForm::kTime, kTimeType, kTimeArray},
    {kTimeZoneType, ColumnForm::kTime, kTimeZoneType, kTimeZoneArray},
}};

bool Fits(Column column, ColumnForm form) {
  switch (column) {
    case Column::kUuid:
      return form == ColumnForm::kText || form == ColumnForm::kUuid;
    case Column::kMetadata:
    case Column::kExtra:
      return form == ColumnForm::kJson || form == ColumnForm::kJsonb;
    case Column::kCreatedAt:
    case Column::kUpdatedAt:
      return form == ColumnForm::kTime;
    default:
      return form == ColumnForm::kText;
  }
}

// The type that `create_table` gives it.
std::string_view SqlType(Column column) {
  if (Fits(column, ColumnForm::kJsonb)) return "jsonb";
  if (Fits(column, ColumnForm::kTime)) return "timestamptz";
  if (column == Column::kUuid) return "text PRIMARY KEY";
  return "text NOT NULL DEFAULT ''";
}

std::string Cell(const Reply& reply, int row, int column) {
  return PQgetisnull(reply.get(), row, column) != 0 ? std::string()
                                                    : std::string(PQgetvalue(reply.get(), row, column));
}
bool IsTrue(const Reply& reply, int row, int column) { return Cell(reply, row, column) == "t"; }

Result<Reply> Query(Connection& connection, const std::string& sql, const std::stop_token& stop) {
  ASSIGN_OR_RETURN(auto replies, connection.Run(sql, stop));
  if (replies.empty()) return Internal("no answer to a query");
  return std::move(replies.back());
}

std::string CreateStatement(const std::string& name) {
  std::string sql = "CREATE TABLE " + name + " (";
  for (int i = 0; i < pipeline::kColumns; ++i) {
    const auto column = static_cast<Column>(i);
    sql += fmt::format("{}{} {}", i == 0 ? "" : ", ", Quoted(ColumnName(column)), SqlType(column));
  }
  return sql + ")";
}

// Finds, makes and checks one table.
class Opener {
 public:
  Opener(Connection& connection, const TargetOptions& options, std::stop_token stop)
      : connection_(connection), options_(options), stop_(std::move(stop)) {}

  Result<Target> Open() {
    const std::string name = options_.schema.empty() ? Quoted(options_.table)
                                                     : Quoted(options_.schema) + "." + Quoted(options_.table);
    RETURN_IF_ERROR(Find(name));
    if (oid_.empty()) {
      if (!options_.create_table)
        return Complain(ErrorCode::kNotFound, "does not exist: create it, or set create_table: true");
      auto made = connection_.Run(CreateStatement(name), stop_);
      // Two at the same time: the other one made it, and the server tells that of the row of its catalogue,
      // of the table, or of the type that every table has.
      const std::string& state = connection_.state();
      if (!made.ok() && state != "23505" && state != "42P07" && state != "42710")
        return std::move(made).error().With("creating table " + name);
      RETURN_IF_ERROR(Find(name));
      if (oid_.empty()) return Complain(ErrorCode::kPrecondition, "was made, but is not found");
    }
    RETURN_IF_ERROR(CheckRights());
    RETURN_IF_ERROR(ReadColumns());
    RETURN_IF_ERROR(CheckIndexes());
    return std::move(target_);
  }

 private:
  Error Complain(ErrorCode code, std::string_view what) const {
    return MakeError(code, "{}: table '{}' {}", connection_.server(), options_.table, what);
  }

  Status Find(const std::string& name) {
    ASSIGN_OR_RETURN(
        const Reply reply,
        Query(connection_,
              "SELECT c.oid, n.nspname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = "
              "c.relnamespace WHERE c.oid = to_regclass(" +
                  Literal(name) + ")",
              stop_));
    if (PQntuples(reply.get()) == 0) return {};
    oid_ = Cell(reply, 0, 0);
    target_.name = Quoted(Cell(reply, 0, 1)) + "." + Quoted(options_.table);
    const std::string kind = Cell(reply, 0, 2);
    if (kind != "r" && kind != "p")
      return Complain(ErrorCode::kPrecondition, "is no table (view, or foreign)");
    return {};
  }

  Status CheckRights() {
    for (const std::string_view right : {"INSERT", "SELECT", "UPDATE"}) {
      if (right == "UPDATE" && !options_.updates) continue;
      ASSIGN_OR_RETURN(
          const Reply reply,
          Query(connection_, fmt::format("SELECT has_table_privilege({}, '{}')", oid_, right), stop_));
      if (!IsTrue(reply, 0, 0))
        return Complain(ErrorCode::kPermissionDenied,
                        fmt::format("may not be used so: GRANT {} ON {} to this user", right, target_.name));
    }
    return {};
  }

  Status ReadColumns() {
    ASSIGN_OR_RETURN(
        const Reply reply,
        Query(
            connection_,
            "SELECT a.attname, a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod), a.attnotnull AND "
            "NOT a.atthasdef AND a.attidentity = '', COALESCE(to_jsonb(a)->>'attgenerated', '') <> '' FROM "
            "pg_attribute a WHERE a.attrelid = " +
                oid_ + " AND a.attnum > 0 AND NOT a.attisdropped",
            stop_));
    std::map<std::string, int> rows;
    for (int row = 0; row < PQntuples(reply.get()); ++row) rows[Cell(reply, row, 0)] = row;
    for (int i = 0; i < pipeline::kColumns; ++i) {
      const auto column = static_cast<Column>(i);
      const std::string name(ColumnName(column));
      const auto found = rows.find(name);
      if (found == rows.end()) {
        // Only records with unknown fields need it; those are refused one by one.
        if (column == Column::kExtra) continue;
        return Complain(ErrorCode::kPrecondition,
                        fmt::format("has no column '{}': ALTER TABLE {} ADD COLUMN {} {}", name, target_.name,
                                    Quoted(name), SqlType(column)));
      }
      RETURN_IF_ERROR(TakeColumn(column, reply, found->second));
      rows.erase(found);
    }
    for (const auto& [name, row] : rows) {
      if (!IsTrue(reply, row, 4)) continue;
      return Complain(
          ErrorCode::kPrecondition,
          fmt::format("has the column '{}', which must be filled and is no field of a record: give it "
                      "a default",
                      name));
    }
    return {};
  }

  Status TakeColumn(Column column, const Reply& reply, int row) {
    const auto type = static_cast<uint32_t>(std::stoul(Cell(reply, row, 1)));
    const auto* known =
        std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeRow& t) { return t.type == type; });
    if (known == kTypes.end() || !Fits(column, known->form)) {
      return Complain(ErrorCode::kPrecondition,
                      fmt::format("has the column '{}' as {}, and records need {}", ColumnName(column),
                                  Cell(reply, row, 3), SqlType(column)));
    }
    if (IsTrue(reply, row, 5)) {
      return Complain(
          ErrorCode::kPrecondition,
          fmt::format(
              "has the column '{0}', which the server makes itself and records are to fill: ALTER TABLE "
              "{1} ALTER COLUMN {0} DROP EXPRESSION",
              ColumnName(column), target_.name));
    }
    TargetColumn taken{.column = column,
                       .form = known->form,
                       .type = known->parameter_type,
                       .array_type = known->array_type};
    const int modifier = std::stoi(Cell(reply, row, 2));
    if (type == kVarcharType && modifier > 4) taken.max_letters = modifier - 4;
    target_.columns.push_back(taken);
    if (column == Column::kExtra) target_.has_extra = true;
    return {};
  }

  Status CheckIndexes() {
    ASSIGN_OR_RETURN(
        const Reply reply,
        Query(
            connection_,
            "SELECT (SELECT string_agg(a.attname, ',' ORDER BY a.attname) FROM unnest(i.indkey) WITH ORDINALITY "
            "k(attnum, n) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.n <= "
            "i.indnkeyatts), pg_get_expr(i.indpred, i.indrelid) FROM pg_index i WHERE i.indisunique AND "
            "i.indisvalid AND i.indimmediate AND i.indexprs IS NULL AND i.indrelid = " +
                oid_,
            stop_));
    bool has_uuid = false;
    bool has_key = false;
    for (int row = 0; row < PQntuples(reply.get()); ++row) {
      const std::string columns = Cell(reply, row, 0);
      const std::string condition = Cell(reply, row, 1);
      if (columns == "uuid" && condition.empty()) has_uuid = true;
      if (columns == "data_id,source_id,source_type,tenant_id") {
        // Without the condition, records that have no data_id would count as each other's duplicates.
        if (condition.empty())
          return Complain(
              ErrorCode::kPrecondition,
              "has a unique index over tenant_id, source_type, source_id, data_id that takes in empty "
              "data_ids: make it one WHERE data_id <> ''");
        if (condition.starts_with("(data_id <> ''") || condition.starts_with("((data_id)::text <> ''"))
          has_key = true;
      }
    }
    if (!has_uuid) RETURN_IF_ERROR(MakeIndex("(uuid)"));
    if (!has_key) RETURN_IF_ERROR(MakeIndex(kKeyIndex));
    return {};
  }

  Status MakeIndex(std::string_view what) {
    const std::string sql = fmt::format("CREATE UNIQUE INDEX ON {} {}", target_.name, what);
    if (!options_.create_table) {
      return Complain(
          ErrorCode::kPrecondition,
          fmt::format("cannot tell a repeated record from a new one without a unique index: {}; or set "
                      "create_table: true",
                      sql));
    }
    auto made = connection_.Run(sql, stop_);
    if (!made.ok()) return std::move(made).error().With(sql);
    return {};
  }

  Connection& connection_;
  const TargetOptions& options_;
  const std::stop_token stop_;
  std::string oid_;
  Target target_;
};

}  // namespace

std::string Target::ColumnList(std::string_view prefix) const {
  std::string list;
  for (const TargetColumn& column : columns) {
    if (!list.empty()) list += ", ";
    list += prefix;
    list += Quoted(pipeline::ColumnName(column.column));
  }
  return list;
}

Result<Target> OpenTarget(Connection& connection, const TargetOptions& options, std::stop_token stop) {
  for (const std::string& name : {options.schema, options.table}) {
    if (name.size() > kMaxNameBytes || name.find('\0') != std::string::npos)
      return InvalidArgument("'{}' is no name for PostgreSQL: at most {} bytes", name, kMaxNameBytes);
  }
  if (!options.create_table) return Opener(connection, options, stop).Open();
  // CREATE ... IF NOT EXISTS is not safe against a second one at the same time.
  const std::string key =
      fmt::format("hashtextextended({}, 0)", Literal("sluice " + options.schema + "." + options.table));
  auto locked = connection.Run("SELECT pg_advisory_lock(" + key + ")", stop);
  if (!locked.ok()) return std::move(locked).error();
  auto target = Opener(connection, options, stop).Open();
  if (!connection.is_usable()) return target;
  auto unlocked = connection.Run("SELECT pg_advisory_unlock(" + key + ")", stop);
  if (target.ok() && !unlocked.ok()) return std::move(unlocked).error();
  return target;
}

}  // namespace sluice::connectors::postgres
