#include "odf/arrow_schema.h"

#include <arrow/type.h>

#include "odf/encoding_attributes_internal.h"
#include "odf/fields_internal.h"

namespace sluice::odf {
namespace {

using ArrowType = std::shared_ptr<arrow::DataType>;

constexpr uint32_t kMaxDecimal128 = 38;
constexpr uint32_t kMaxDecimal256 = 76;
constexpr int kMaxDepth = 128;

arrow::TimeUnit::type UnitOf(const DataType& type) {
  switch (type.unit.value_or(TimeUnit::kMillisecond)) {
    case TimeUnit::kSecond:
      return arrow::TimeUnit::SECOND;
    case TimeUnit::kMillisecond:
      return arrow::TimeUnit::MILLI;
    case TimeUnit::kMicrosecond:
      return arrow::TimeUnit::MICRO;
    case TimeUnit::kNanosecond:
      return arrow::TimeUnit::NANO;
  }
  return arrow::TimeUnit::MILLI;
}

TimeUnit UnitFrom(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      return TimeUnit::kSecond;
    case arrow::TimeUnit::MILLI:
      return TimeUnit::kMillisecond;
    case arrow::TimeUnit::MICRO:
      return TimeUnit::kMicrosecond;
    case arrow::TimeUnit::NANO:
      return TimeUnit::kNanosecond;
  }
  return TimeUnit::kMillisecond;
}

Result<ArrowType> DecimalType(const DataType& type) {
  if (type.precision == 0 || type.precision > kMaxDecimal256) {
    return Unsupported("type {}: the precision is not from 1 to {}", ToString(type), kMaxDecimal256);
  }
  const auto precision = static_cast<int32_t>(type.precision);
  return type.precision <= kMaxDecimal128 ? arrow::decimal128(precision, type.scale)
                                          : arrow::decimal256(precision, type.scale);
}

Result<int32_t> LengthOf(const DataType& type) {
  if (*type.fixed_length > INT32_MAX) return Unsupported("type {}: the length is too large", ToString(type));
  return static_cast<int32_t>(*type.fixed_length);
}

ArrowType TimeType(const DataType& type) {
  const auto unit = UnitOf(type);
  return unit == arrow::TimeUnit::SECOND || unit == arrow::TimeUnit::MILLI ? arrow::time32(unit)
                                                                           : arrow::time64(unit);
}

std::shared_ptr<arrow::Field> ChildField(std::string name, const DataType& odf_type, ArrowType type) {
  return arrow::field(std::move(name), std::move(type), odf_type.is_option());
}

Result<ArrowType> ListType(const DataType& type) {
  const DataType& item = ChildOf(type, 0);
  ASSIGN_OR_RETURN(ArrowType item_type, ToArrow(item));
  auto field = ChildField("item", item, std::move(item_type));
  if (!type.fixed_length) return arrow::list(std::move(field));
  ASSIGN_OR_RETURN(const int32_t length, LengthOf(type));
  return arrow::fixed_size_list(std::move(field), length);
}

Result<ArrowType> MapType(const DataType& type) {
  const DataType& key = ChildOf(type, 0);
  const DataType& value = ChildOf(type, 1);
  if (key.is_option()) return Unsupported("type {}: a key cannot be optional", ToString(type));
  ASSIGN_OR_RETURN(ArrowType key_type, ToArrow(key));
  ASSIGN_OR_RETURN(ArrowType value_type, ToArrow(value));
  auto entries = arrow::struct_(
      {ChildField("keys", key, std::move(key_type)), ChildField("values", value, std::move(value_type))});
  return ArrowType(std::make_shared<arrow::MapType>(arrow::field("entries", std::move(entries), false),
                                                    type.keys_sorted.value_or(false)));
}

Result<ArrowType> StructType(const DataType& type) {
  arrow::FieldVector fields;
  for (const auto& field : type.fields) {
    ASSIGN_OR_RETURN(auto converted, ToArrow(field));
    fields.push_back(std::move(converted));
  }
  return arrow::struct_(std::move(fields));
}

// --- from Arrow ---

Result<DataType> FromType(const arrow::DataType& type, int depth);

Result<DataType> FromField(const arrow::Field& field, int depth) {
  auto type = FromType(*field.type(), depth);
  if (!type.ok()) return std::move(type).error().With(fmt::format("field '{}'", field.name()));
  return field.nullable() ? DataType::Option(*std::move(type)) : *std::move(type);
}

DataType WithUnit(TypeKind kind, arrow::TimeUnit::type unit) {
  DataType type = DataType::Of(kind);
  type.unit = UnitFrom(unit);
  return type;
}

Result<DataType> FromList(const arrow::BaseListType& list, int depth) {
  ASSIGN_OR_RETURN(DataType item, FromField(*list.value_field(), depth + 1));
  return DataType::List(std::move(item));
}

Result<DataType> FromMap(const arrow::MapType& map, int depth) {
  DataType type = DataType::Of(TypeKind::kMap);
  ASSIGN_OR_RETURN(DataType key, FromField(*map.key_field(), depth + 1));
  ASSIGN_OR_RETURN(DataType value, FromField(*map.item_field(), depth + 1));
  type.children = {std::move(key), std::move(value)};
  type.keys_sorted = map.keys_sorted();
  return type;
}

Result<DataType> FromStruct(const arrow::DataType& structure, int depth) {
  DataType type = DataType::Of(TypeKind::kStruct);
  for (const auto& field : structure.fields()) {
    ASSIGN_OR_RETURN(DataType field_type, FromField(*field, depth + 1));
    type.fields.push_back({field->name(), std::move(field_type), std::nullopt});
  }
  return type;
}

// Arrow types that have no parameters of ours. Null when `id` is not one.
std::optional<TypeKind> SimpleKind(arrow::Type::type id) {
  static constexpr std::array<std::pair<arrow::Type::type, TypeKind>, 21> kKinds = {{
      {arrow::Type::NA, TypeKind::kNull},
      {arrow::Type::BOOL, TypeKind::kBool},
      {arrow::Type::INT8, TypeKind::kInt8},
      {arrow::Type::INT16, TypeKind::kInt16},
      {arrow::Type::INT32, TypeKind::kInt32},
      {arrow::Type::INT64, TypeKind::kInt64},
      {arrow::Type::UINT8, TypeKind::kUInt8},
      {arrow::Type::UINT16, TypeKind::kUInt16},
      {arrow::Type::UINT32, TypeKind::kUInt32},
      {arrow::Type::UINT64, TypeKind::kUInt64},
      {arrow::Type::HALF_FLOAT, TypeKind::kFloat16},
      {arrow::Type::FLOAT, TypeKind::kFloat32},
      {arrow::Type::DOUBLE, TypeKind::kFloat64},
      {arrow::Type::DATE32, TypeKind::kDate},
      {arrow::Type::DATE64, TypeKind::kDate},
      {arrow::Type::STRING, TypeKind::kString},
      {arrow::Type::LARGE_STRING, TypeKind::kString},
      {arrow::Type::STRING_VIEW, TypeKind::kString},
      {arrow::Type::BINARY, TypeKind::kBinary},
      {arrow::Type::LARGE_BINARY, TypeKind::kBinary},
      {arrow::Type::BINARY_VIEW, TypeKind::kBinary},
  }};
  for (const auto& [arrow_id, kind] : kKinds) {
    if (arrow_id == id) return kind;
  }
  return std::nullopt;
}

Result<DataType> FromType(const arrow::DataType& type, int depth) {
  if (depth > kMaxDepth) return Unsupported("types nested deeper than {} levels", kMaxDepth);
  if (const auto kind = SimpleKind(type.id())) return DataType::Of(*kind);
  switch (type.id()) {
    case arrow::Type::TIMESTAMP: {
      const auto& timestamp = static_cast<const arrow::TimestampType&>(type);
      DataType converted = WithUnit(TypeKind::kTimestamp, timestamp.unit());
      if (!timestamp.timezone().empty()) converted.timezone = timestamp.timezone();
      return converted;
    }
    case arrow::Type::TIME32:
    case arrow::Type::TIME64:
      return WithUnit(TypeKind::kTime, static_cast<const arrow::TimeType&>(type).unit());
    case arrow::Type::DURATION:
      return WithUnit(TypeKind::kDuration, static_cast<const arrow::DurationType&>(type).unit());
    case arrow::Type::DECIMAL32:
    case arrow::Type::DECIMAL64:
    case arrow::Type::DECIMAL128:
    case arrow::Type::DECIMAL256: {
      const auto& decimal = static_cast<const arrow::DecimalType&>(type);
      DataType converted = DataType::Of(TypeKind::kDecimal);
      converted.precision = static_cast<uint32_t>(decimal.precision());
      converted.scale = decimal.scale();
      return converted;
    }
    case arrow::Type::FIXED_SIZE_BINARY: {
      DataType converted = DataType::Of(TypeKind::kBinary);
      converted.fixed_length =
          static_cast<uint64_t>(static_cast<const arrow::FixedSizeBinaryType&>(type).byte_width());
      return converted;
    }
    case arrow::Type::LIST:
    case arrow::Type::LARGE_LIST:
    case arrow::Type::LIST_VIEW:
    case arrow::Type::LARGE_LIST_VIEW:
      return FromList(static_cast<const arrow::BaseListType&>(type), depth);
    case arrow::Type::FIXED_SIZE_LIST: {
      ASSIGN_OR_RETURN(DataType list, FromList(static_cast<const arrow::BaseListType&>(type), depth));
      list.fixed_length =
          static_cast<uint64_t>(static_cast<const arrow::FixedSizeListType&>(type).list_size());
      return list;
    }
    case arrow::Type::MAP:
      return FromMap(static_cast<const arrow::MapType&>(type), depth);
    case arrow::Type::STRUCT:
      return FromStruct(type, depth);
    case arrow::Type::RUN_END_ENCODED:
      return FromType(*static_cast<const arrow::RunEndEncodedType&>(type).value_type(), depth + 1);
    default:
      return Unsupported("Arrow type '{}' has no counterpart in the format", type.ToString());
  }
}

}  // namespace

Result<std::shared_ptr<arrow::DataType>> ToArrow(const DataType& type) {
  switch (type.kind) {
    case TypeKind::kBinary: {
      if (!type.fixed_length) return arrow::binary();
      ASSIGN_OR_RETURN(const int32_t length, LengthOf(type));
      return arrow::fixed_size_binary(length);
    }
    case TypeKind::kBool:
      return arrow::boolean();
    case TypeKind::kDate:
      return arrow::date32();
    case TypeKind::kDecimal:
      return DecimalType(type);
    case TypeKind::kDuration:
      return arrow::duration(UnitOf(type));
    case TypeKind::kFloat16:
      return arrow::float16();
    case TypeKind::kFloat32:
      return arrow::float32();
    case TypeKind::kFloat64:
      return arrow::float64();
    case TypeKind::kInt8:
      return arrow::int8();
    case TypeKind::kInt16:
      return arrow::int16();
    case TypeKind::kInt32:
      return arrow::int32();
    case TypeKind::kInt64:
      return arrow::int64();
    case TypeKind::kUInt8:
      return arrow::uint8();
    case TypeKind::kUInt16:
      return arrow::uint16();
    case TypeKind::kUInt32:
      return arrow::uint32();
    case TypeKind::kUInt64:
      return arrow::uint64();
    case TypeKind::kList:
      return ListType(type);
    case TypeKind::kMap:
      return MapType(type);
    case TypeKind::kNull:
      return arrow::null();
    case TypeKind::kOption:
      if (ChildOf(type, 0).is_option()) return Unsupported("type {}: an Option of an Option", ToString(type));
      return ToArrow(ChildOf(type, 0));
    case TypeKind::kStruct:
      return StructType(type);
    case TypeKind::kTime:
      return TimeType(type);
    case TypeKind::kTimestamp:
      return arrow::timestamp(UnitOf(type), type.timezone.value_or("UTC"));
    case TypeKind::kString:
      return arrow::utf8();
  }
  return Unsupported("type of kind {}", static_cast<int>(type.kind));
}

Result<std::shared_ptr<arrow::Field>> ToArrow(const DataField& field) {
  auto type = ToArrow(field.type);
  if (type.ok()) type = ApplyEncodings(field, *std::move(type));
  if (!type.ok()) return std::move(type).error().With(fmt::format("field '{}'", field.name));
  return arrow::field(field.name, *std::move(type), field.type.is_option());
}

Result<std::shared_ptr<arrow::Schema>> ToArrow(const DataSchema& schema) {
  arrow::FieldVector fields;
  for (const auto& field : schema.fields) {
    ASSIGN_OR_RETURN(auto converted, ToArrow(field));
    fields.push_back(std::move(converted));
  }
  return arrow::schema(std::move(fields));
}

Result<DataType> FromArrow(const arrow::DataType& type) { return FromType(type, 0); }

Result<DataSchema> FromArrow(const arrow::Schema& schema) {
  DataSchema converted;
  for (const auto& field : schema.fields()) {
    ASSIGN_OR_RETURN(DataType type, FromField(*field, 0));
    converted.fields.push_back({field->name(), std::move(type), std::nullopt});
  }
  return converted;
}

}  // namespace sluice::odf
