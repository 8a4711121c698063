#include "columnar/plain_types.h"

#include <arrow/array.h>
#include <arrow/compute/api.h>
#include <arrow/compute/initialize.h>
#include <arrow/extension_type.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "columnar/arrow_status.h"

namespace sluice::columnar {
namespace {

using TypePtr = std::shared_ptr<arrow::DataType>;

// How the types at the leaves and the nodes change; the walk is the same.
struct Mapping {
  bool stored;  // replace what Parquet cannot hold
};

TypePtr MapType(const TypePtr& type, Mapping mapping);

std::shared_ptr<arrow::Field> MapField(const std::shared_ptr<arrow::Field>& field, Mapping mapping) {
  return arrow::field(field->name(), MapType(field->type(), mapping), field->nullable());
}

template <class List>
std::shared_ptr<arrow::Field> Item(const TypePtr& type, Mapping mapping) {
  return MapField(static_cast<const List&>(*type).value_field(), mapping);
}

TypePtr MapStruct(const TypePtr& type, Mapping mapping) {
  arrow::FieldVector fields;
  for (const auto& field : type->fields()) fields.push_back(MapField(field, mapping));
  return arrow::struct_(std::move(fields));
}

TypePtr MapMap(const TypePtr& type, Mapping mapping) {
  const auto& map = static_cast<const arrow::MapType&>(*type);
  return std::make_shared<arrow::MapType>(MapField(map.key_field(), mapping),
                                          MapField(map.item_field(), mapping), map.keys_sorted());
}

TypePtr MapTime(const TypePtr& type, Mapping mapping) {
  if (!mapping.stored) return type;
  if (type->id() == arrow::Type::TIME32) return arrow::time32(arrow::TimeUnit::MILLI);
  const auto& timestamp = static_cast<const arrow::TimestampType&>(*type);
  if (timestamp.unit() != arrow::TimeUnit::SECOND) return type;
  return arrow::timestamp(arrow::TimeUnit::MILLI, timestamp.timezone());
}

TypePtr MapType(const TypePtr& type, Mapping mapping) {
  switch (type->id()) {
    case arrow::Type::LARGE_STRING:
    case arrow::Type::STRING_VIEW:
      return arrow::utf8();
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::BINARY_VIEW:
      return arrow::binary();
    case arrow::Type::DICTIONARY:
      return MapType(static_cast<const arrow::DictionaryType&>(*type).value_type(), mapping);
    case arrow::Type::EXTENSION:
      return MapType(static_cast<const arrow::ExtensionType&>(*type).storage_type(), mapping);
    case arrow::Type::LIST:
      return arrow::list(Item<arrow::ListType>(type, mapping));
    case arrow::Type::LARGE_LIST:
      return arrow::list(Item<arrow::LargeListType>(type, mapping));
    case arrow::Type::LIST_VIEW:
      return arrow::list(Item<arrow::ListViewType>(type, mapping));
    case arrow::Type::LARGE_LIST_VIEW:
      return arrow::list(Item<arrow::LargeListViewType>(type, mapping));
    case arrow::Type::FIXED_SIZE_LIST:
      return arrow::fixed_size_list(Item<arrow::FixedSizeListType>(type, mapping),
                                    static_cast<const arrow::FixedSizeListType&>(*type).list_size());
    case arrow::Type::STRUCT:
      return MapStruct(type, mapping);
    case arrow::Type::MAP:
      return MapMap(type, mapping);
    case arrow::Type::TIME32:
    case arrow::Type::TIMESTAMP:
      return MapTime(type, mapping);
    default:
      return type;
  }
}

std::shared_ptr<arrow::Schema> MapSchema(const arrow::Schema& schema, Mapping mapping) {
  arrow::FieldVector fields;
  for (const auto& field : schema.fields()) fields.push_back(MapField(field, mapping));
  return arrow::schema(std::move(fields));
}

arrow::Result<std::shared_ptr<arrow::Array>> ConvertArray(std::shared_ptr<arrow::Array> array,
                                                          const TypePtr& target) {
  if (array->type_id() == arrow::Type::EXTENSION) {
    array = static_cast<const arrow::ExtensionArray&>(*array).storage();
  }
  if (array->type()->Equals(*target)) return array;
  return arrow::compute::Cast(*array, target);
}

}  // namespace

TypePtr PlainType(const TypePtr& type) { return MapType(type, {.stored = false}); }

std::shared_ptr<arrow::Schema> PlainSchema(const arrow::Schema& schema) {
  return MapSchema(schema, {.stored = false});
}

std::shared_ptr<arrow::Schema> StoredSchema(const arrow::Schema& schema) {
  return MapSchema(schema, {.stored = true});
}

void EnsureArrowCompute() {
  static const bool initialized = arrow::compute::Initialize().ok();
  static_cast<void>(initialized);
}

Result<std::vector<std::shared_ptr<arrow::RecordBatch>>> ConvertBatch(
    const std::shared_ptr<arrow::RecordBatch>& batch, const std::shared_ptr<arrow::Schema>& target) {
  if (batch->schema().get() == target.get()) return std::vector{batch};
  if (batch->num_columns() != target->num_fields()) {
    return InvalidArgument("a batch of {} columns does not fit a schema of {}", batch->num_columns(),
                           target->num_fields());
  }
  EnsureArrowCompute();
  arrow::ArrayVector columns;
  for (int i = 0; i < batch->num_columns(); ++i) {
    const auto& field = target->field(i);
    auto column = ConvertArray(batch->column(i), field->type());
    if (column.ok()) {
      columns.push_back(std::move(column).ValueUnsafe());
      continue;
    }
    const bool too_large = column.status().IsInvalid() || column.status().IsCapacityError();
    if (too_large && batch->num_rows() > 1) {
      const int64_t half = batch->num_rows() / 2;
      ASSIGN_OR_RETURN(auto batches, ConvertBatch(batch->Slice(0, half), target));
      ASSIGN_OR_RETURN(auto rest, ConvertBatch(batch->Slice(half), target));
      batches.insert(batches.end(), rest.begin(), rest.end());
      return batches;
    }
    if (too_large) return FromArrowStatus(column.status()).With(fmt::format("column '{}'", field->name()));
    return Unsupported("column '{}': type {} cannot become {}", field->name(),
                       batch->column(i)->type()->ToString(), field->type()->ToString());
  }
  return std::vector{arrow::RecordBatch::Make(target, batch->num_rows(), std::move(columns))};
}

}  // namespace sluice::columnar
