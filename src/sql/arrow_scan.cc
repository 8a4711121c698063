#include "sql/arrow_scan.h"

#include <arrow/api.h>
#include <arrow/c/bridge.h>

#include <algorithm>
#include <atomic>

#include "columnar/arrow_status.h"
#include "sql/handles.h"
#include "sql/names.h"

namespace sluice::sql {
namespace {

constexpr char kScanFunction[] = "__sl_scan";

// A field with every name encoded, nested ones too: fields of structs are reached by the same identifiers as
// columns.
std::shared_ptr<arrow::Field> EncodeField(const arrow::Field& field) {
  arrow::FieldVector children;
  for (const auto& child : field.type()->fields()) children.push_back(EncodeField(*child));
  std::shared_ptr<arrow::DataType> type = field.type();
  switch (type->id()) {
    case arrow::Type::NA:
      type = arrow::utf8();  // see Textual
      break;
    case arrow::Type::STRUCT:
      type = arrow::struct_(children);
      break;
    case arrow::Type::LIST:
      type = arrow::list(children[0]);
      break;
    case arrow::Type::LARGE_LIST:
      type = arrow::large_list(children[0]);
      break;
    case arrow::Type::FIXED_SIZE_LIST:
      type = arrow::fixed_size_list(children[0],
                                    static_cast<const arrow::FixedSizeListType&>(*type).list_size());
      break;
    default:
      break;
  }
  return arrow::field(EncodeName(field.name()), type, field.nullable());
}

Status ToError(const ErrorData& data) {
  if (!data || !duckdb_error_data_has_error(data.get())) return {};
  return Error(ErrorCode::kUnsupported, DecodeMessage(duckdb_error_data_message(data.get())));
}

Result<ConvertedSchema> Convert(duckdb_connection connection, const arrow::Schema& schema) {
  ArrowSchema exported{};
  RETURN_IF_ARROW_ERROR(arrow::ExportSchema(schema, &exported));
  ConvertedSchema converted;
  ErrorData error(duckdb_schema_from_arrow(connection, &exported, converted.out()));
  if (exported.release != nullptr) exported.release(&exported);
  RETURN_IF_ERROR(ToError(error));
  return converted;
}

void ForgetArray(ArrowArray* array) { array->release = nullptr; }

// Turns rows [start, start + rows) of an exported batch into a chunk. The chunk's vectors point into the
// batch, which the table keeps; the engine is handed arrays whose release does nothing, since it would tie
// their life to column 0 alone.
Result<Chunk> ConvertRows(duckdb_connection connection, const ArrowArray& batch,
                          duckdb_arrow_converted_schema schema, int64_t start, int64_t rows) {
  auto count = static_cast<size_t>(batch.n_children);
  std::vector<ArrowArray> children(count);
  std::vector<ArrowArray*> pointers(count);
  for (size_t i = 0; i < count; ++i) {
    children[i] = *batch.children[i];
    children[i].offset += start;
    children[i].length = rows;
    if (children[i].null_count != 0) children[i].null_count = -1;
    children[i].release = ForgetArray;
    pointers[i] = &children[i];
  }
  ArrowArray root = batch;
  root.length = rows;
  root.offset = 0;
  root.children = pointers.data();
  root.release = ForgetArray;
  Chunk chunk;
  ErrorData error(duckdb_data_chunk_from_arrow(connection, &root, schema, chunk.out()));
  RETURN_IF_ERROR(ToError(error));
  return chunk;
}

struct ExportedBatch {
  ArrowArray array{};
  int64_t rows = 0;
  int64_t first_slice = 0;
  ExportedBatch() = default;
  ExportedBatch(const ExportedBatch&) = delete;
  ExportedBatch& operator=(const ExportedBatch&) = delete;
  ~ExportedBatch() {
    if (array.release != nullptr) array.release(&array);
  }
};

// What one query reads: the projected columns of every batch, cut into slices that threads take in order.
struct ScanState {
  std::shared_ptr<ScanTable> table;
  duckdb_connection connection = nullptr;
  ConvertedSchema schema;
  std::vector<idx_t> outputs;  // places in the output chunk of the projected columns
  std::vector<std::unique_ptr<ExportedBatch>> batches;
  RecordBatches kept;
  int64_t slice_count = 0;
  std::atomic<int64_t> next_slice{0};
};

struct BindData {
  ScanRegistry* registry;
  std::shared_ptr<ScanTable> table;
};

template <class T>
void Delete(void* pointer) {
  delete static_cast<T*>(pointer);
}

std::shared_ptr<arrow::Schema> EncodeSchema(const arrow::Schema& schema) {
  arrow::FieldVector fields;
  for (const auto& field : schema.fields()) fields.push_back(EncodeField(*field));
  return arrow::schema(std::move(fields));
}

Status AddResultColumns(duckdb_bind_info info, ScanRegistry& registry, const ScanTable& table) {
  std::shared_ptr<arrow::Schema> schema = EncodeSchema(*table.schema);
  ASSIGN_OR_RETURN(ConvertedSchema converted, Convert(registry.connection(), *schema));
  // The converted schema does not tell its types; a chunk of no rows does.
  ASSIGN_OR_RETURN_ARROW(auto empty, arrow::RecordBatch::MakeEmpty(schema));
  ExportedBatch exported;
  RETURN_IF_ARROW_ERROR(arrow::ExportRecordBatch(*empty, &exported.array));
  ASSIGN_OR_RETURN(Chunk chunk, ConvertRows(registry.connection(), exported.array, converted.get(), 0, 0));
  for (int i = 0; i < schema->num_fields(); ++i) {
    LogicalType type(
        duckdb_vector_get_column_type(duckdb_data_chunk_get_vector(chunk.get(), static_cast<idx_t>(i))));
    duckdb_bind_add_result_column(info, schema->field(i)->name().c_str(), type.get());
  }
  return {};
}

void Bind(duckdb_bind_info info) {
  auto* registry = static_cast<ScanRegistry*>(duckdb_bind_get_extra_info(info));
  Value id(duckdb_bind_get_parameter(info, 0));
  std::shared_ptr<ScanTable> table = registry->Find(duckdb_get_int64(id.get()));
  if (table == nullptr) {
    duckdb_bind_set_error(info, "no such table");
    return;
  }
  if (Status status = AddResultColumns(info, *registry, *table); !status.ok()) {
    duckdb_bind_set_error(info, status.error().ToString().c_str());
    return;
  }
  duckdb_bind_set_bind_data(info, new BindData{registry, std::move(table)}, Delete<BindData>);
}

// The engine takes columns of no type for numbers; ours are text.
Result<std::shared_ptr<arrow::RecordBatch>> Textual(std::shared_ptr<arrow::RecordBatch> batch) {
  for (int i = 0; i < batch->num_columns(); ++i) {
    if (batch->column(i)->type_id() != arrow::Type::NA) continue;
    ASSIGN_OR_RETURN_ARROW(auto column, arrow::MakeArrayOfNull(arrow::utf8(), batch->num_rows()));
    ASSIGN_OR_RETURN_ARROW(batch,
                           batch->SetColumn(i, batch->schema()->field(i)->WithType(arrow::utf8()), column));
  }
  return batch;
}

Status Prepare(ScanState& state, const std::vector<int>& columns) {
  if (columns.empty()) {
    // Rows are only counted: no array is converted.
    for (const auto& batch : state.table->batches) {
      auto exported = std::make_unique<ExportedBatch>();
      exported->rows = batch->num_rows();
      state.batches.push_back(std::move(exported));
    }
  } else {
    arrow::FieldVector fields;
    for (int column : columns) fields.push_back(state.table->schema->field(column));
    ASSIGN_OR_RETURN(state.schema, Convert(state.connection, *EncodeSchema(*arrow::schema(fields))));
    for (const auto& batch : state.table->batches) {
      auto exported = std::make_unique<ExportedBatch>();
      exported->rows = batch->num_rows();
      ASSIGN_OR_RETURN_ARROW(auto projected, batch->SelectColumns(columns));
      ASSIGN_OR_RETURN(projected, Textual(std::move(projected)));
      RETURN_IF_ARROW_ERROR(arrow::ExportRecordBatch(*projected, &exported->array));
      state.kept.push_back(std::move(projected));
      state.batches.push_back(std::move(exported));
    }
  }
  auto slice_rows = static_cast<int64_t>(duckdb_vector_size());
  for (auto& batch : state.batches) {
    batch->first_slice = state.slice_count;
    state.slice_count += (batch->rows + slice_rows - 1) / slice_rows;
  }
  return {};
}

void Init(duckdb_init_info info) {
  auto* bind = static_cast<BindData*>(duckdb_init_get_bind_data(info));
  auto state = std::make_unique<ScanState>();
  state->table = bind->table;
  state->connection = bind->registry->connection();
  std::vector<int> columns;
  auto width = static_cast<idx_t>(state->table->schema->num_fields());
  for (idx_t i = 0; i < duckdb_init_get_column_count(info); ++i) {
    idx_t column = duckdb_init_get_column_index(info, i);
    if (column >= width) continue;  // a row number nobody reads, as in count(*)
    columns.push_back(static_cast<int>(column));
    state->outputs.push_back(i);
  }
  if (Status status = Prepare(*state, columns); !status.ok()) {
    duckdb_init_set_error(info, status.error().ToString().c_str());
    return;
  }
  duckdb_init_set_max_threads(info, static_cast<idx_t>(std::max(1, state->table->max_threads)));
  duckdb_init_set_init_data(info, state.release(), Delete<ScanState>);
}

void Scan(duckdb_function_info info, duckdb_data_chunk output) {
  auto* state = static_cast<ScanState*>(duckdb_function_get_init_data(info));
  int64_t slice = state->next_slice.fetch_add(1);
  if (slice >= state->slice_count) {
    duckdb_data_chunk_set_size(output, 0);
    return;
  }
  auto after =
      std::upper_bound(state->batches.begin(), state->batches.end(), slice,
                       [](int64_t number, const auto& batch) { return number < batch->first_slice; });
  const ExportedBatch& batch = **std::prev(after);
  auto slice_rows = static_cast<int64_t>(duckdb_vector_size());
  int64_t start = (slice - batch.first_slice) * slice_rows;
  int64_t rows = std::min(slice_rows, batch.rows - start);
  if (!state->outputs.empty()) {
    Result<Chunk> chunk = ConvertRows(state->connection, batch.array, state->schema.get(), start, rows);
    if (!chunk.ok()) {
      duckdb_function_set_error(info, chunk.error().ToString().c_str());
      return;
    }
    for (size_t i = 0; i < state->outputs.size(); ++i) {
      duckdb_vector_reference_vector(duckdb_data_chunk_get_vector(output, state->outputs[i]),
                                     duckdb_data_chunk_get_vector(chunk->get(), i));
    }
  }
  duckdb_data_chunk_set_size(output, static_cast<idx_t>(rows));
}

Status CheckType(const arrow::Field& field, const std::string& column) {
  switch (field.type()->id()) {
    case arrow::Type::HALF_FLOAT:
    case arrow::Type::DECIMAL256:
    case arrow::Type::DURATION:
    case arrow::Type::INTERVAL_MONTHS:
    case arrow::Type::INTERVAL_DAY_TIME:
    case arrow::Type::INTERVAL_MONTH_DAY_NANO:
    case arrow::Type::SPARSE_UNION:
    case arrow::Type::DENSE_UNION:
      return Unsupported(
          "column '{}' of type {} cannot be used in a query; without a query it passes unchanged", column,
          field.type()->ToString());
    case arrow::Type::DECIMAL128: {
      const auto& decimal = static_cast<const arrow::Decimal128Type&>(*field.type());
      if (decimal.scale() < 0 || decimal.scale() > decimal.precision()) {
        return Unsupported("column '{}' of type {} cannot be used in a query: its scale is outside 0..{}",
                           column, decimal.ToString(), decimal.precision());
      }
      return {};
    }
    default:
      break;
  }
  for (const auto& child : field.type()->fields()) RETURN_IF_ERROR(CheckType(*child, column));
  return {};
}

}  // namespace

int64_t ScanRegistry::Add(std::shared_ptr<ScanTable> table) {
  MutexLock lock(mutex_);
  tables_.push_back(std::move(table));
  return static_cast<int64_t>(tables_.size()) - 1;
}

std::shared_ptr<ScanTable> ScanRegistry::Find(int64_t id) {
  MutexLock lock(mutex_);
  if (id < 0 || id >= static_cast<int64_t>(tables_.size())) return nullptr;
  return tables_[static_cast<size_t>(id)];
}

Status ScanRegistry::Register(duckdb_connection connection) {
  connection_ = connection;
  TableFunction function(duckdb_create_table_function());
  LogicalType id(duckdb_create_logical_type(DUCKDB_TYPE_BIGINT));
  duckdb_table_function_set_name(function.get(), kScanFunction);
  duckdb_table_function_add_parameter(function.get(), id.get());
  duckdb_table_function_set_extra_info(function.get(), this, nullptr);
  duckdb_table_function_set_bind(function.get(), Bind);
  duckdb_table_function_set_init(function.get(), Init);
  duckdb_table_function_set_function(function.get(), Scan);
  duckdb_table_function_supports_projection_pushdown(function.get(), true);
  if (duckdb_register_table_function(connection, function.get()) != DuckDBSuccess) {
    return Internal("the table function over batches could not be registered");
  }
  return {};
}

Status CheckScannable(const arrow::Schema& schema) {
  if (schema.num_fields() == 0) return InvalidArgument("a table without columns cannot be queried");
  for (const auto& field : schema.fields()) RETURN_IF_ERROR(CheckType(*field, field->name()));
  return {};
}

}  // namespace sluice::sql
