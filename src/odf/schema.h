#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sluice::odf {

enum class TimeUnit : int16_t { kSecond = 0, kMillisecond = 1, kMicrosecond = 2, kNanosecond = 3 };

// Discriminants of the DataType union (odf-metadata.md 4.5).
enum class TypeKind : uint8_t {
  kBinary = 1,
  kBool,
  kDate,
  kDecimal,
  kDuration,
  kFloat16,
  kFloat32,
  kFloat64,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUInt8,
  kUInt16,
  kUInt32,
  kUInt64,
  kList,
  kMap,
  kNull,
  kOption,
  kStruct,
  kTime,
  kTimestamp,
  kString,
};

// "Int64", "Timestamp", ...; total over the enum.
std::string_view NameOf(TypeKind kind);

struct DataField;

// One ODF type as it was written: absent optional parameters stay absent, because they have other bytes than
// explicit defaults. A value with deep copies; equality here is exact (see EquivalentTypes for equality with
// defaults applied).
struct DataType {
  TypeKind kind = TypeKind::kNull;

  std::optional<uint64_t> fixed_length;  // Binary, List
  uint32_t precision = 0;                // Decimal
  int32_t scale = 0;                     // Decimal
  std::optional<TimeUnit> unit;          // Duration, Time, Timestamp; default kMillisecond
  std::optional<std::string> timezone;   // Timestamp; default "UTC"
  std::optional<bool> keys_sorted;       // Map; default false
  std::vector<DataType> children;        // List: item; Option: inner; Map: key, value
  std::vector<DataField> fields;         // Struct

  static DataType Of(TypeKind kind);
  static DataType Option(DataType inner);
  static DataType List(DataType item);

  bool is_option() const { return kind == TypeKind::kOption; }
  // The type inside Option, or itself.
  const DataType& inner() const;

  bool operator==(const DataType&) const;
};

struct DataField {
  std::string name;
  DataType type;
  // Attribute object as compact JSON text with sorted keys (odf-metadata.md 4.7); absent when empty.
  std::optional<std::string> extra;

  bool operator==(const DataField&) const = default;
};

// Out of the class, because they need DataField to be complete.
inline bool DataType::operator==(const DataType&) const = default;
inline const DataType& DataType::inner() const { return is_option() ? children[0] : *this; }

struct DataSchema {
  std::vector<DataField> fields;
  std::optional<std::string> extra;

  bool operator==(const DataSchema&) const = default;
};

// `Option<List<Int64>>`, `Decimal(10, 2)`, `Timestamp(Microsecond, UTC)`: for messages.
std::string ToString(const DataType& type);
// One `name Type` a line.
std::string ToString(const DataSchema& schema);

// Equality with explicit defaults (unit Millisecond, timezone UTC, keysSorted false) equal to absent.
// Attributes of nested struct fields are not compared.
bool EquivalentTypes(const DataType& a, const DataType& b);

}  // namespace sluice::odf
