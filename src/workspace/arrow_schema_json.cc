#include <arrow/type.h>

#include <nlohmann/json.hpp>

#include "workspace/query.h"

namespace sluice::workspace {
namespace {

nlohmann::ordered_json FieldJson(const arrow::Field& field) {
  nlohmann::ordered_json children = nlohmann::ordered_json::array();
  for (const auto& child : field.type()->fields()) children.push_back(FieldJson(*child));
  return {{"name", field.name()},
          {"nullable", field.nullable()},
          {"type", {{"name", field.type()->name()}, {"text", field.type()->ToString()}}},
          {"children", std::move(children)}};
}

}  // namespace

std::string ArrowSchemaJson(const arrow::Schema& schema) {
  nlohmann::ordered_json fields = nlohmann::ordered_json::array();
  for (const auto& field : schema.fields()) fields.push_back(FieldJson(*field));
  return nlohmann::ordered_json{{"fields", std::move(fields)}}.dump(2);
}

}  // namespace sluice::workspace
