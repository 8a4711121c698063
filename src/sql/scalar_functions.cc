#include "sql/scalar_functions.h"

#include "sql/handles.h"

namespace sluice::sql {
namespace {

duckdb_type TypeOf(CellType type) {
  switch (type) {
    case CellType::kText:
      return DUCKDB_TYPE_VARCHAR;
    case CellType::kBinary:
      return DUCKDB_TYPE_BLOB;
    case CellType::kDouble:
      return DUCKDB_TYPE_DOUBLE;
  }
  return DUCKDB_TYPE_INVALID;
}

// One argument of a whole chunk.
struct Column {
  void* data = nullptr;
  uint64_t* validity = nullptr;
  CellType type = CellType::kText;

  Cell At(idx_t row) const {
    Cell cell;
    cell.is_null = validity != nullptr && !duckdb_validity_row_is_valid(validity, row);
    if (cell.is_null) return cell;
    if (type == CellType::kDouble) {
      cell.number = static_cast<const double*>(data)[row];
    } else {
      auto* text = static_cast<duckdb_string_t*>(data) + row;
      cell.text = {duckdb_string_t_data(text), duckdb_string_t_length(*text)};
    }
    return cell;
  }
};

void Store(duckdb_vector output, idx_t row, CellType type, const std::optional<CellValue>& value) {
  if (!value) {
    duckdb_vector_ensure_validity_writable(output);
    duckdb_validity_set_row_invalid(duckdb_vector_get_validity(output), row);
  } else if (type == CellType::kDouble) {
    static_cast<double*>(duckdb_vector_get_data(output))[row] = value->number;
  } else {
    duckdb_vector_assign_string_element_len(output, row, value->text.data(), value->text.size());
  }
}

void Run(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output) {
  const auto& function = *static_cast<const ScalarFunction*>(duckdb_scalar_function_get_extra_info(info));
  std::vector<Column> columns(function.parameters.size());
  for (size_t i = 0; i < columns.size(); ++i) {
    duckdb_vector vector = duckdb_data_chunk_get_vector(input, i);
    columns[i] = {duckdb_vector_get_data(vector), duckdb_vector_get_validity(vector), function.parameters[i]};
  }
  std::vector<Cell> cells(columns.size());
  for (idx_t row = 0; row < duckdb_data_chunk_get_size(input); ++row) {
    bool any_null = false;
    for (size_t i = 0; i < columns.size(); ++i) {
      cells[i] = columns[i].At(row);
      any_null = any_null || cells[i].is_null;
    }
    if (any_null && !function.takes_nulls) {
      Store(output, row, function.result, std::nullopt);
      continue;
    }
    auto value = function.run(cells);
    if (!value.ok()) {
      duckdb_scalar_function_set_error(info, value.error().ToString().c_str());
      return;
    }
    Store(output, row, function.result, *value);
  }
}

using FunctionHandle = Handle<duckdb_scalar_function, duckdb_destroy_scalar_function>;

}  // namespace

Status RegisterScalar(duckdb_connection connection, ScalarFunction function) {
  FunctionHandle handle(duckdb_create_scalar_function());
  duckdb_scalar_function_set_name(handle.get(), function.name.c_str());
  for (const CellType type : function.parameters) {
    LogicalType logical(duckdb_create_logical_type(TypeOf(type)));
    duckdb_scalar_function_add_parameter(handle.get(), logical.get());
  }
  LogicalType result(duckdb_create_logical_type(TypeOf(function.result)));
  duckdb_scalar_function_set_return_type(handle.get(), result.get());
  duckdb_scalar_function_set_special_handling(handle.get());
  const std::string name = function.name;
  duckdb_scalar_function_set_extra_info(handle.get(), new ScalarFunction(std::move(function)),
                                        [](void* p) { delete static_cast<ScalarFunction*>(p); });
  duckdb_scalar_function_set_function(handle.get(), Run);
  if (duckdb_register_scalar_function(connection, handle.get()) != DuckDBSuccess)
    return Internal("the SQL engine refuses the function '{}'", name);
  return {};
}

}  // namespace sluice::sql
