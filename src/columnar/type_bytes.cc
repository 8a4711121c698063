#include <arrow/extension_type.h>
#include <arrow/type.h>

#include "columnar/value_bytes_internal.h"

namespace sluice::columnar {
namespace {

// Type ids of the logical hash, u16.
enum class TypeTag : uint16_t {
  kInt = 1,
  kFloat = 2,
  kBinary = 3,
  kText = 4,
  kBool = 5,
  kDecimal = 6,
  kDate = 7,
  kTime = 8,
  kTimestamp = 9,
  kList = 11,
};

void AppendLittleEndian(uint64_t value, int bytes, std::string* out) {
  for (int i = 0; i < bytes; ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}

std::string Tagged(TypeTag tag) {
  std::string out;
  AppendLittleEndian(static_cast<uint16_t>(tag), 2, &out);
  return out;
}

std::string Integer(const arrow::DataType& type, bool is_signed) {
  std::string out = Tagged(TypeTag::kInt);
  AppendLittleEndian(is_signed ? 1 : 0, 1, &out);
  AppendLittleEndian(static_cast<uint64_t>(type.bit_width()), 8, &out);
  return out;
}

std::string Float(const arrow::DataType& type) {
  std::string out = Tagged(TypeTag::kFloat);
  AppendLittleEndian(static_cast<uint64_t>(type.bit_width()), 8, &out);
  return out;
}

std::string Decimal(const arrow::DataType& type) {
  const auto& decimal = static_cast<const arrow::DecimalType&>(type);
  std::string out = Tagged(TypeTag::kDecimal);
  AppendLittleEndian(static_cast<uint64_t>(type.bit_width()), 8, &out);
  AppendLittleEndian(static_cast<uint64_t>(decimal.precision()), 8, &out);
  AppendLittleEndian(static_cast<uint64_t>(static_cast<int64_t>(decimal.scale())), 8, &out);
  return out;
}

std::string WithUnit(TypeTag tag, const arrow::DataType& type, uint16_t unit) {
  std::string out = Tagged(tag);
  AppendLittleEndian(static_cast<uint64_t>(type.bit_width()), 8, &out);
  AppendLittleEndian(unit, 2, &out);
  return out;
}

uint16_t UnitOf(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      return 0;
    case arrow::TimeUnit::MILLI:
      return 1;
    case arrow::TimeUnit::MICRO:
      return 2;
    case arrow::TimeUnit::NANO:
      return 3;
  }
  return 0;
}

std::string Timestamp(const arrow::TimestampType& type) {
  std::string out = Tagged(TypeTag::kTimestamp);
  AppendLittleEndian(UnitOf(type.unit()), 2, &out);
  // Arrow has no difference between no time zone and an empty one.
  if (type.timezone().empty()) return out + '\0';
  AppendLittleEndian(type.timezone().size(), 8, &out);
  return out + type.timezone();
}

Result<std::string> List(const arrow::BaseListType& type) {
  ASSIGN_OR_RETURN(const std::string item, TypeBytes(*type.value_type()));
  return Tagged(TypeTag::kList) + item;
}

}  // namespace

Result<std::string> TypeBytes(const arrow::DataType& type) {
  using arrow::Type;
  switch (type.id()) {
    case Type::INT8:
    case Type::INT16:
    case Type::INT32:
    case Type::INT64:
      return Integer(type, true);
    case Type::UINT8:
    case Type::UINT16:
    case Type::UINT32:
    case Type::UINT64:
      return Integer(type, false);
    case Type::HALF_FLOAT:
    case Type::FLOAT:
    case Type::DOUBLE:
      return Float(type);
    case Type::BINARY:
    case Type::LARGE_BINARY:
    case Type::BINARY_VIEW:
    case Type::FIXED_SIZE_BINARY:
      return Tagged(TypeTag::kBinary);
    case Type::STRING:
    case Type::LARGE_STRING:
    case Type::STRING_VIEW:
      return Tagged(TypeTag::kText);
    case Type::BOOL:
      return Tagged(TypeTag::kBool);
    case Type::DECIMAL32:
    case Type::DECIMAL64:
    case Type::DECIMAL128:
    case Type::DECIMAL256:
      return Decimal(type);
    case Type::DATE32:
      return WithUnit(TypeTag::kDate, type, 0);
    case Type::DATE64:
      return WithUnit(TypeTag::kDate, type, 1);
    case Type::TIME32:
    case Type::TIME64:
      return WithUnit(TypeTag::kTime, type, UnitOf(static_cast<const arrow::TimeType&>(type).unit()));
    case Type::TIMESTAMP:
      return Timestamp(static_cast<const arrow::TimestampType&>(type));
    case Type::LIST:
    case Type::LARGE_LIST:
    case Type::FIXED_SIZE_LIST:
      return List(static_cast<const arrow::BaseListType&>(type));
    case Type::EXTENSION:
      return TypeBytes(*static_cast<const arrow::ExtensionType&>(type).storage_type());
    case Type::STRUCT:
      return Unsupported("{} within a list has no logical hash", type.ToString());
    default:
      return Unsupported("{} has no logical hash", type.ToString());
  }
}

}  // namespace sluice::columnar
