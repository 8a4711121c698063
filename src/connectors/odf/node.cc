#include <nlohmann/json.hpp>

#include "connectors/odf/odf_internal.h"
#include "net/url.h"
#include "push/http_target.h"

namespace sluice::connectors::odf {

using nlohmann::json;

Result<Node> Node::Make(NodeOptions options) {
  while (options.url.ends_with('/')) options.url.pop_back();
  ASSIGN_OR_RETURN(auto client,
                   net::HttpClient::Make({.user_agent = "sluice-run", .ca_file = options.ca_file}));
  return Node(std::move(options), std::move(client));
}

Result<net::HttpAnswer> Node::Call(const std::string& method, const std::string& path,
                                   const std::string& body, std::stop_token stop) {
  net::HttpCall call;
  call.method = method;
  call.url = options_.url + path;
  call.body = body;
  call.unix_socket = options_.unix_socket;
  call.timeout = options_.timeout;
  if (!options_.token.empty()) call.headers.Set("Authorization", "Bearer " + options_.token);
  if (!body.empty()) call.headers.Set("Content-Type", "application/yaml");
  return client_->Send(call, std::move(stop));
}

Result<std::vector<std::string>> Node::DatasetNames(std::stop_token stop) {
  ASSIGN_OR_RETURN(const auto answer, Call("GET", "/datasets", "", std::move(stop)));
  RETURN_IF_ERROR(net::CheckAnswer(answer));
  const json body = json::parse(answer.body, nullptr, false);
  if (!body.is_object() || !body.contains("datasets") || !body["datasets"].is_array())
    return MakeError(ErrorCode::kUnavailable, "'{}/datasets' does not answer like a node", options_.url);
  std::vector<std::string> names;
  for (const auto& dataset : body["datasets"]) {
    if (dataset.is_object() && dataset.contains("name") && dataset["name"].is_string())
      names.push_back(dataset["name"].get<std::string>());
  }
  return names;
}

Status Node::Create(const std::string& manifest, std::stop_token stop) {
  ASSIGN_OR_RETURN(const auto answer, Call("POST", "/datasets", manifest, std::move(stop)));
  // Somebody else was faster.
  if (answer.status == 409) return {};
  return net::CheckAnswer(answer);
}

Result<std::unique_ptr<push::Target>> Node::Open(const std::string& dataset, const std::string& source,
                                                 std::stop_token stop) const {
  push::HttpTargetOptions options;
  options.url = options_.url + "/" + net::PercentEncode(dataset, true);
  options.unix_socket = options_.unix_socket;
  options.token = options_.token;
  if (!source.empty()) options.source = source;
  options.content_type = "application/x-ndjson";
  options.ca_file = options_.ca_file;
  options.timeout = options_.timeout;
  return push::MakeHttpTarget(options, std::move(stop));
}

}  // namespace sluice::connectors::odf
