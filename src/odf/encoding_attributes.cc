#include "odf/encoding_attributes_internal.h"

#include <arrow/type.h>
#include <arrow/type_traits.h>

#include <algorithm>
#include <array>

#include "odf/arrow_schema.h"
#include "odf/type_text_internal.h"
#include "odf/yaml_tree_internal.h"

namespace sluice::odf {
namespace {

constexpr std::string_view kBufferEncoding = "arrow.apache.org/bufferEncoding";
constexpr std::string_view kDateEncoding = "arrow.apache.org/dateEncoding";
constexpr std::string_view kDecimalEncoding = "arrow.apache.org/decimalEncoding";
constexpr std::array kEncodings = {kBufferEncoding, kDateEncoding, kDecimalEncoding};

using ArrowType = std::shared_ptr<arrow::DataType>;

std::string TextOf(const YamlNode& attribute, std::string_view name) {
  const YamlNode* value = attribute.Find(name);
  return value && value->is_scalar() ? value->text : std::string();
}

// The number in `name`, 32 when absent, 0 when it is none.
int WidthOf(const YamlNode& attribute, std::string_view name) {
  const YamlNode* value = attribute.Find(name);
  if (!value) return 32;
  return value->is_scalar() ? ParseNumber<int32_t>(value->text).value_or(0) : 0;
}

// Null when the combination is none of the format.
ArrowType WithBufferEncoding(const ArrowType& canonical, std::string_view kind, int width) {
  const bool wide = width == 64;
  if (width != 32 && width != 64) return nullptr;
  if (IsSpellingOf(kind, "Contiguous")) {
    switch (canonical->id()) {
      case arrow::Type::STRING:
        return wide ? arrow::large_utf8() : canonical;
      case arrow::Type::BINARY:
        return wide ? arrow::large_binary() : canonical;
      case arrow::Type::LIST:
        return wide ? arrow::large_list(canonical->field(0)) : canonical;
      default:
        return nullptr;
    }
  }
  if (!IsSpellingOf(kind, "View")) return nullptr;
  switch (canonical->id()) {
    case arrow::Type::STRING:
      return wide ? nullptr : arrow::utf8_view();
    case arrow::Type::BINARY:
      return wide ? nullptr : arrow::binary_view();
    case arrow::Type::LIST:
      return wide ? arrow::large_list_view(canonical->field(0)) : arrow::list_view(canonical->field(0));
    default:
      return nullptr;
  }
}

ArrowType WithDateEncoding(const ArrowType& canonical, std::string_view unit) {
  if (canonical->id() != arrow::Type::DATE32) return nullptr;
  if (IsSpellingOf(unit, "Day")) return canonical;
  return IsSpellingOf(unit, "Millisecond") ? arrow::date64() : nullptr;
}

ArrowType WithDecimalEncoding(const ArrowType& canonical, int width) {
  if (!arrow::is_decimal(canonical->id())) return nullptr;
  const auto& decimal = static_cast<const arrow::DecimalType&>(*canonical);
  const int32_t precision = decimal.precision();
  const int32_t scale = decimal.scale();
  if (width == 32 && precision <= 9) return arrow::decimal32(precision, scale);
  if (width == 64 && precision <= 18) return arrow::decimal64(precision, scale);
  if (width == 128 && precision <= 38) return arrow::decimal128(precision, scale);
  return width == 256 ? arrow::decimal256(precision, scale) : nullptr;
}

void Strip(DataType* type);

void Strip(DataField* field) {
  Strip(&field->type);
  if (!field->extra) return;
  auto attributes = ParseJson(*field->extra);
  if (!attributes.ok() || !attributes->is_mapping()) return;
  YamlNode kept = YamlNode::Mapping();
  for (size_t i = 0; i < attributes->keys.size(); ++i) {
    const auto& key = attributes->keys[i];
    if (std::find(kEncodings.begin(), kEncodings.end(), key) == kEncodings.end())
      kept.Add(key, attributes->items[i]);
  }
  if (kept.keys.size() == attributes->keys.size()) return;
  const auto text = CanonicalJson(kept);
  field->extra = kept.keys.empty() || !text.ok() ? std::nullopt : std::optional<std::string>(*text);
}

void Strip(DataType* type) {
  if (type->is_option() && !type->children.empty()) Strip(&type->children[0]);
  if (type->kind == TypeKind::kStruct) {
    for (auto& field : type->fields) Strip(&field);
  }
}

}  // namespace

Result<std::shared_ptr<arrow::DataType>> ApplyEncodings(const DataField& field,
                                                        std::shared_ptr<arrow::DataType> canonical) {
  if (!field.extra) return canonical;
  const auto attributes = ParseJson(*field.extra);
  if (!attributes.ok() || !attributes->is_mapping()) return canonical;
  const YamlNode* buffer = attributes->Find(kBufferEncoding);
  const YamlNode* date = attributes->Find(kDateEncoding);
  const YamlNode* decimal = attributes->Find(kDecimalEncoding);
  const int count = (buffer != nullptr) + (date != nullptr) + (decimal != nullptr);
  if (count == 0) return canonical;
  ArrowType changed;
  if (count == 1 && buffer) {
    changed = WithBufferEncoding(canonical, TextOf(*buffer, "kind"), WidthOf(*buffer, "offsetBitWidth"));
  } else if (count == 1 && date) {
    changed = WithDateEncoding(canonical, TextOf(*date, "unit"));
  } else if (count == 1) {
    changed = WithDecimalEncoding(canonical, WidthOf(*decimal, "bitWidth"));
  }
  if (!changed) return Unsupported("encoding {} of type {}", *field.extra, ToString(field.type));
  return changed;
}

DataSchema StripEncodings(DataSchema schema) {
  for (auto& field : schema.fields) Strip(&field);
  return schema;
}

}  // namespace sluice::odf
