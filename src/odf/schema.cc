#include "odf/schema.h"

#include <fmt/core.h>

#include "odf/fields_internal.h"

namespace sluice::odf {
namespace {

std::string_view NameOfUnit(TimeUnit unit) {
  const auto& names = EnumOf<TimeUnit>::kNames;
  const auto index = static_cast<size_t>(unit);
  return index < names.size() ? names[index] : std::string_view("unknown");
}

std::string UnitAndZone(const DataType& type) {
  std::string text;
  if (type.unit) text += NameOfUnit(*type.unit);
  if (type.timezone) text += fmt::format("{}{}", text.empty() ? "" : ", ", *type.timezone);
  return text.empty() ? text : fmt::format("({})", text);
}

std::string FixedLength(const DataType& type) {
  return type.fixed_length ? fmt::format("({})", *type.fixed_length) : std::string();
}

}  // namespace

DataType DataType::Of(TypeKind kind) {
  DataType type;
  type.kind = kind;
  return type;
}

DataType DataType::Option(DataType inner) {
  DataType type = Of(TypeKind::kOption);
  type.children.push_back(std::move(inner));
  return type;
}

DataType DataType::List(DataType item) {
  DataType type = Of(TypeKind::kList);
  type.children.push_back(std::move(item));
  return type;
}

std::string ToString(const DataType& type) {
  const std::string_view name = NameOf(type.kind);
  switch (type.kind) {
    case TypeKind::kBinary:
      return fmt::format("{}{}", name, FixedLength(type));
    case TypeKind::kDecimal:
      return fmt::format("{}({}, {})", name, type.precision, type.scale);
    case TypeKind::kDuration:
    case TypeKind::kTime:
    case TypeKind::kTimestamp:
      return fmt::format("{}{}", name, UnitAndZone(type));
    case TypeKind::kOption:
      return fmt::format("{}<{}>", name, ToString(ChildOf(type, 0)));
    case TypeKind::kList:
      return fmt::format("{}<{}>{}", name, ToString(ChildOf(type, 0)), FixedLength(type));
    case TypeKind::kMap:
      return fmt::format("{}<{}, {}>", name, ToString(ChildOf(type, 0)), ToString(ChildOf(type, 1)));
    case TypeKind::kStruct: {
      std::string fields;
      for (const auto& field : type.fields) {
        fields += fmt::format("{}{}: {}", fields.empty() ? "" : ", ", field.name, ToString(field.type));
      }
      return fmt::format("{}<{}>", name, fields);
    }
    default:
      return std::string(name);
  }
}

std::string ToString(const DataSchema& schema) {
  std::string text;
  for (const auto& field : schema.fields) text += fmt::format("{} {}\n", field.name, ToString(field.type));
  return text;
}

bool EquivalentTypes(const DataType& a, const DataType& b) {
  if (a.kind != b.kind || a.fixed_length != b.fixed_length || a.precision != b.precision ||
      a.scale != b.scale ||
      a.unit.value_or(TimeUnit::kMillisecond) != b.unit.value_or(TimeUnit::kMillisecond) ||
      a.timezone.value_or("UTC") != b.timezone.value_or("UTC") ||
      a.keys_sorted.value_or(false) != b.keys_sorted.value_or(false) ||
      a.children.size() != b.children.size() || a.fields.size() != b.fields.size()) {
    return false;
  }
  for (size_t i = 0; i < a.children.size(); ++i) {
    if (!EquivalentTypes(a.children[i], b.children[i])) return false;
  }
  for (size_t i = 0; i < a.fields.size(); ++i) {
    if (a.fields[i].name != b.fields[i].name || !EquivalentTypes(a.fields[i].type, b.fields[i].type))
      return false;
  }
  return true;
}

}  // namespace sluice::odf
