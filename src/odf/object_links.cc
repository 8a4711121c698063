#include "odf/object_links.h"

#include <nlohmann/json.hpp>

namespace sluice::odf {
namespace {

constexpr char kLinkedObjects[] = "opendatafabric.org/linkedObjects";

bool IsObjectLink(const DataField& field) {
  if (!field.extra) return false;
  const auto extra = nlohmann::json::parse(*field.extra, nullptr, false);
  if (!extra.is_object()) return false;
  const auto type = extra.find("opendatafabric.org/type");
  if (type == extra.end() || !type->is_object()) return false;
  const auto kind = type->find("kind");
  return kind != type->end() && *kind == "ObjectLink";
}

std::optional<uint64_t> Number(const nlohmann::json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_number_unsigned() ? std::optional(it->get<uint64_t>()) : std::nullopt;
}

}  // namespace

Result<std::vector<std::string>> LinkColumns(const DataSchema& schema) {
  std::vector<std::string> columns;
  for (const auto& field : schema.fields) {
    if (!IsObjectLink(field)) continue;
    if (field.type.inner().kind != TypeKind::kString) {
      return Unsupported("column '{}' links objects but is {}, not String", field.name, ToString(field.type));
    }
    columns.push_back(field.name);
  }
  return columns;
}

std::string ToExtra(const LinkedObjectCounts& counts) {
  return fmt::format(R"({{"{}":{{"numObjectsNaive":{},"sizeNaive":{}}}}})", kLinkedObjects, counts.objects,
                     counts.bytes);
}

std::optional<LinkedObjectCounts> LinkedObjectsOf(const std::optional<std::string>& extra) {
  if (!extra) return std::nullopt;
  const auto json = nlohmann::json::parse(*extra, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto it = json.find(kLinkedObjects);
  if (it == json.end() || !it->is_object()) return std::nullopt;
  const auto objects = Number(*it, "numObjectsNaive"), bytes = Number(*it, "sizeNaive");
  if (!objects || !bytes) return std::nullopt;
  return LinkedObjectCounts{*objects, *bytes};
}

}  // namespace sluice::odf
