#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "pipeline/record.h"

namespace sluice::connectors::postgres {

class Connection;

// How a column's values are written in binary form.
enum class ColumnForm : uint8_t { kText, kUuid, kJson, kJsonb, kTime };

struct TargetColumn {
  pipeline::Column column = pipeline::Column::kUuid;
  ColumnForm form = ColumnForm::kText;
  uint32_t type = 0;         // oid of a parameter that carries its values
  uint32_t array_type = 0;   // oid of an array of those
  int64_t max_letters = -1;  // of varchar(n); -1 = any
};

struct TargetOptions {
  std::string schema;  // empty = found by the server's search path
  std::string table;
  std::string origin = "option 'table'";  // where it was given, for messages
  bool create_table = false;
  bool updates = false;
};

// The table that records go to, as the server described it.
struct Target {
  std::string name;                   // quoted, with its schema
  std::vector<TargetColumn> columns;  // in the order of pipeline::Column
  bool has_extra = false;             // can keep fields that the record model does not know

  // `"uuid", "source_type", ...`, each behind `prefix`.
  std::string ColumnList(std::string_view prefix = "") const;
};

// Finds the table, makes it and its unique indexes when that is wanted, and checks that records fit. Safe
// when several programs do so at once. Errors: kNotFound when the table is missing; kPrecondition when a
// column is missing or of a type that records do not fit, another column must be filled, or a unique index is
// missing, naming it and the statement that helps; kPermissionDenied; those of Connection.
Result<Target> OpenTarget(Connection& connection, const TargetOptions& options, std::stop_token stop);

}  // namespace sluice::connectors::postgres
