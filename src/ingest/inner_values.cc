#include "ingest/inner_values.h"

#include <arrow/array.h>
#include <arrow/type.h>

#include <functional>
#include <string_view>

#include "columnar/cast.h"

namespace sluice::ingest {
namespace {

using ArrayPtr = std::shared_ptr<arrow::Array>;

struct Fault {
  std::string path;
  std::string_view reason;
};

bool IsNested(const arrow::Array& array) { return array.type()->num_fields() > 0; }

// The items of these rows.
ArrayPtr ItemsOf(const arrow::Array& array) {
  if (array.type_id() == arrow::Type::FIXED_SIZE_LIST) {
    const auto& list = static_cast<const arrow::FixedSizeListArray&>(array);
    return list.values()->Slice(list.value_offset(0), list.length() * list.list_type()->list_size());
  }
  const auto& list = static_cast<const arrow::ListArray&>(array);
  const int64_t first = list.value_offset(0);
  return list.values()->Slice(first, list.value_offset(list.length()) - first);
}

std::optional<Fault> FaultIn(const arrow::Array& array);

std::optional<Fault> FaultOfChild(const arrow::Array& child, const arrow::Field& field, std::string path) {
  if (!field.nullable() && child.null_count() > 0) return Fault{std::move(path), columnar::kNullInRequired};
  auto fault = FaultIn(child);
  if (fault) fault->path.insert(0, path);
  return fault;
}

std::optional<Fault> FaultIn(const arrow::Array& array) {
  switch (array.type_id()) {
    case arrow::Type::FIXED_SIZE_LIST:
      if (array.null_count() > 0) return Fault{"", "null in place of a list of fixed length"};
      return FaultOfChild(*ItemsOf(array), *array.type()->field(0), "[]");
    case arrow::Type::LIST:
      return FaultOfChild(*ItemsOf(array), *array.type()->field(0), "[]");
    case arrow::Type::STRUCT: {
      if (array.null_count() > 0) return Fault{"", "null in place of a struct"};
      for (int i = 0; i < array.type()->num_fields(); ++i) {
        const auto& field = *array.type()->field(i);
        auto fault =
            FaultOfChild(*static_cast<const arrow::StructArray&>(array).field(i), field, "." + field.name());
        if (fault) return fault;
      }
      return std::nullopt;
    }
    default:
      return std::nullopt;
  }
}

}  // namespace

void FindBadInnerValues(const arrow::Array& values, const std::string& column, std::vector<BadValue>* bad) {
  if (!IsNested(values) || !FaultIn(values)) return;
  for (int64_t row = 0; row < values.length(); ++row) {
    if (const auto fault = FaultIn(*values.Slice(row, 1)))
      bad->push_back({row, column + fault->path, "", std::string(fault->reason)});
  }
}

bool HasNullStruct(const arrow::Array& values) {
  if (values.type_id() == arrow::Type::LIST || values.type_id() == arrow::Type::FIXED_SIZE_LIST)
    return HasNullStruct(*ItemsOf(values));
  if (values.type_id() != arrow::Type::STRUCT) return false;
  if (values.null_count() > 0) return true;
  for (const auto& child : static_cast<const arrow::StructArray&>(values).fields()) {
    if (HasNullStruct(*child)) return true;
  }
  return false;
}

}  // namespace sluice::ingest
