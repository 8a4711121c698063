#include "server/openapi.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "server/openapi_schemas_internal.h"
#include "server/problem.h"

namespace sluice::server {
namespace {

using nlohmann::json;

const CallDoc* FindDoc(const Route& route) {
  for (const auto& doc : CallDocs())
    if (doc.method == route.method && doc.path == route.path) return &doc;
  return nullptr;
}

json Parse(const std::string& text) { return json::parse(text, nullptr, /*allow_exceptions=*/false); }

json PathParameter(const std::string& name) {
  static const std::map<std::string, std::string> meanings = {
      {"dataset",
       "The dataset's name or id, without regard to case; `account/name` is two segments of the path"},
      {"source", "Name of a push source, slashes in it as they are"},
      {"hash", "Multihash text as in the chain: `f1620` and 64 hex digits"},
      {"receipt", "Receipt of a queued batch"},
      {"id", "Receipt of a queued batch"},
      {"token", "Upload token"},
      {"action", "What is to be done with the batch"},
  };
  json schema = {{"type", "string"}, {"minLength", 1}};
  if (name == "dataset") schema["pattern"] = "^[A-Za-z0-9][A-Za-z0-9.:_-]*$";
  if (name == "hash") schema["pattern"] = "^[A-Za-z0-9]+$";
  if (name == "action") schema = {{"type", "string"}, {"enum", {"retry", "drop"}}};
  const auto it = meanings.find(name);
  return {{"name", name},
          {"in", "path"},
          {"required", true},
          {"description", it == meanings.end() ? name : it->second},
          {"schema", std::move(schema)}};
}

json ProblemAnswer(int status) {
  const std::string description = ReasonOf(status);
  json answer = {
      {"description", description},
      {"content", {{"application/problem+json", {{"schema", {{"$ref", "#/components/schemas/Problem"}}}}}}}};
  if (status == 503 || status == 429) {
    answer["headers"]["Retry-After"] = {{"description", "Seconds after which to try again"},
                                        {"schema", {{"type", "string"}}}};
  }
  return answer;
}

json GoodAnswer(const CallDoc::Answer& good) {
  json answer = {{"description", good.description}};
  for (const auto& type : good.media_types) {
    json schema = {{"type", "string"}};
    if (!good.schema.empty()) schema = {{"$ref", "#/components/schemas/" + good.schema}};
    const bool is_tree = type == "application/json" || type == "application/yaml";
    if (good.schema.empty() && is_tree) schema = json::object();
    answer["content"][type]["schema"] = std::move(schema);
  }
  answer["headers"]["X-Request-Id"] = {{"description", "Names the request in the log"},
                                       {"schema", {{"type", "string"}}}};
  return answer;
}

json Operation(const Route& route, const CallDoc& doc) {
  json operation = {{"operationId", doc.id}, {"summary", doc.summary}, {"parameters", json::array()}};
  for (const auto& parameter : doc.parameters) {
    operation["parameters"].push_back({{"name", parameter.name},
                                       {"in", parameter.in},
                                       {"required", parameter.required},
                                       {"description", parameter.description},
                                       {"schema", Parse(parameter.schema)}});
  }
  for (const auto& type : doc.bodies) {
    json schema = {{"type", "string"}};
    if (type == "application/json" && !doc.body_schema.empty()) schema = Parse(doc.body_schema);
    if (type == "application/json" && doc.body_schema.empty()) schema = json::object();
    if (type == "multipart/form-data") {
      schema = {{"type", "object"},
                {"required", {"file"}},
                {"properties", {{"file", {{"type", "string"}, {"format", "binary"}}}}}};
    }
    operation["requestBody"]["content"][type]["schema"] = std::move(schema);
  }
  if (!doc.bodies.empty()) operation["requestBody"]["required"] = doc.path != "/{dataset}/ingest";
  json& answers = operation["responses"];
  for (const auto& good : doc.answers) answers[std::to_string(good.status)] = GoodAnswer(good);
  // What every call can answer, the server's own answers to what it cannot read included.
  std::vector<int> problems = {400, 408, 413, 417, 431, 500, 501, 503, 505};
  if (route.right != Right::kNone) problems.insert(problems.end(), {401, 403, 429});
  if (doc.path.find('{') != std::string::npos) problems.push_back(404);
  if (!doc.bodies.empty()) problems.push_back(415);
  problems.insert(problems.end(), doc.problems.begin(), doc.problems.end());
  for (const int status : problems) answers[std::to_string(status)] = ProblemAnswer(status);
  if (route.right == Right::kNone) operation["security"] = json::array();
  return operation;
}

}  // namespace

json OpenApi(const Limits& limits) {
  json paths = json::object();
  for (const auto& route : Routes()) {
    const auto* doc = FindDoc(route);
    if (!doc) continue;  // served on the workspace's socket only
    const std::string& path = route.path;
    json& item = paths[path];
    if (item.is_null()) {
      item["parameters"] = json::array();
      for (size_t at = path.find('{'); at != std::string::npos; at = path.find('{', at + 1)) {
        item["parameters"].push_back(PathParameter(path.substr(at + 1, path.find('}', at) - at - 1)));
      }
    }
    std::string method = route.method;
    for (char& c : method) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    item[method] = Operation(route, *doc);
    if (!doc->bodies.empty())
      item[method]["requestBody"]["description"] =
          fmt::format("At most {} bytes", MaxBodyBytes(route, limits));
  }
  return {
      {"openapi", "3.0.3"},
      {"info",
       {{"title", "Sluice node"},
        {"version", "1"},
        {"description",
         "Push records into datasets with any HTTP client, retry freely, read them back. Every error is a "
         "problem (RFC 9457) whose `message` repeats `detail`."}}},
      {"paths", std::move(paths)},
      {"security", json::array({{{"token", json::array()}}, json::object()})},
      {"components",
       {{"securitySchemes",
         {{"token",
           {{"type", "http"},
            {"scheme", "bearer"},
            {"description", "From `sluice token create`; on a loopback listener without tokens, none"}}}}},
        {"schemas", Parse(kOpenApiSchemas)}}}};
}

void GetOpenApi(const Context& context, const CallPtr& call) {
  call->Answer(JsonResponse(200, OpenApi(context.limits)));
}

}  // namespace sluice::server
