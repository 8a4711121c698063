#include "columnar/parquet_schema_text.h"

#include <arrow/type.h>
#include <parquet/arrow/schema.h>
#include <parquet/properties.h>
#include <parquet/schema.h>
#include <parquet/types.h>

#include <nlohmann/json.hpp>

#include "columnar/arrow_status.h"

namespace sluice::columnar {
namespace {

using parquet::schema::GroupNode;
using parquet::schema::Node;
using parquet::schema::PrimitiveNode;

std::string RepetitionName(const Node& node) {
  if (node.is_required()) return "REQUIRED";
  return node.is_repeated() ? "REPEATED" : "OPTIONAL";
}

// `STRING`, `TIMESTAMP(MILLIS,true)`, `INTEGER(8,false)`; empty for none.
std::string LogicalName(const Node& node) {
  const auto& type = node.logical_type();
  if (!type || type->is_none()) return "";
  if (const auto* time = dynamic_cast<const parquet::TimestampLogicalType*>(type.get())) {
    const char* unit = time->time_unit() == parquet::LogicalType::TimeUnit::MILLIS   ? "MILLIS"
                       : time->time_unit() == parquet::LogicalType::TimeUnit::MICROS ? "MICROS"
                                                                                     : "NANOS";
    return fmt::format("TIMESTAMP({},{})", unit, time->is_adjusted_to_utc());
  }
  if (const auto* number = dynamic_cast<const parquet::IntLogicalType*>(type.get())) {
    return fmt::format("INTEGER({},{})", number->bit_width(), number->is_signed());
  }
  if (const auto* decimal = dynamic_cast<const parquet::DecimalLogicalType*>(type.get())) {
    return fmt::format("DECIMAL({},{})", decimal->precision(), decimal->scale());
  }
  std::string text = type->ToString();
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

std::string PhysicalName(const PrimitiveNode& node) {
  std::string name = parquet::TypeToString(node.physical_type());
  if (node.physical_type() == parquet::Type::FIXED_LEN_BYTE_ARRAY)
    name += fmt::format("({})", node.type_length());
  return name;
}

void Print(const Node& node, int depth, std::string* out) {
  const std::string indent(static_cast<size_t>(depth) * 2, ' ');
  const std::string logical = LogicalName(node);
  const std::string annotation = logical.empty() ? "" : " (" + logical + ")";
  if (node.is_primitive()) {
    *out += fmt::format("{}{} {} {}{};\n", indent, RepetitionName(node),
                        PhysicalName(static_cast<const PrimitiveNode&>(node)), node.name(), annotation);
    return;
  }
  const auto& group = static_cast<const GroupNode&>(node);
  *out += depth == 0
              ? fmt::format("message {} {{\n", node.name())
              : fmt::format("{}{} group {}{} {{\n", indent, RepetitionName(node), node.name(), annotation);
  for (int i = 0; i < group.field_count(); ++i) Print(*group.field(i), depth + 1, out);
  *out += indent + "}\n";
}

nlohmann::ordered_json ToJson(const Node& node) {
  nlohmann::ordered_json json = {{"name", node.name()}};
  if (node.parent()) json["repetition"] = RepetitionName(node);
  if (const std::string logical = LogicalName(node); !logical.empty()) json["logicalType"] = logical;
  if (node.is_primitive()) {
    json["type"] = PhysicalName(static_cast<const PrimitiveNode&>(node));
    return json;
  }
  const auto& group = static_cast<const GroupNode&>(node);
  json["fields"] = nlohmann::ordered_json::array();
  for (int i = 0; i < group.field_count(); ++i) json["fields"].push_back(ToJson(*group.field(i)));
  return json;
}

}  // namespace

Result<std::string> DescribeParquetSchema(const arrow::Schema& schema, bool json) {
  // As slices are written (parquet_encoder.cc).
  parquet::WriterProperties::Builder properties;
  properties.version(parquet::ParquetVersion::PARQUET_2_6)->enable_store_decimal_as_integer();
  std::shared_ptr<parquet::SchemaDescriptor> descriptor;
  RETURN_IF_ARROW_ERROR(parquet::arrow::ToParquetSchema(&schema, *properties.build(), &descriptor));
  if (json) return ToJson(*descriptor->group_node()).dump(2) + "\n";
  std::string text;
  Print(*descriptor->group_node(), 0, &text);
  return text;
}

}  // namespace sluice::columnar
