#include "push/http_target.h"

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "net/http_client.h"
#include "net/http_condition.h"
#include "net/url.h"
#include "push/position.h"

namespace sluice::push {
namespace {

using nlohmann::json;

constexpr size_t kShownRecords = 5;

std::string TextOf(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// What the node says; its beginning when that is no problem document.
std::string MessageOf(const net::HttpAnswer& answer, const json& body) {
  std::string message = body.is_object() ? TextOf(body, "message") : std::string();
  if (message.empty()) message = answer.body.substr(0, 200);
  if (message.empty()) message = fmt::format("the node answered {}", answer.status);
  if (!body.is_object() || !body.contains("errors") || !body["errors"].is_array()) return message;
  size_t shown = 0;
  for (const json& error : body["errors"]) {
    if (!error.is_object() || shown++ == kShownRecords) break;
    message += fmt::format("\n  record {}, column {}, value {}: {}", error.value("record", json()).dump(),
                           error.value("column", json()).dump(), error.value("value", json()).dump(),
                           TextOf(error, "reason"));
  }
  return message;
}

std::optional<State> AcceptedOf(const json& body) {
  const std::string value = TextOf(body, "accepted");
  if (value.empty()) return std::nullopt;
  return State{TextOf(body, "kind"), value};
}

bool IsWorthRepeating(int status) {
  return status == 408 || status == 429 || (status >= 500 && status != 501 && status != 505);
}

class HttpTarget final : public Target {
 public:
  HttpTarget(HttpTargetOptions options, std::unique_ptr<net::HttpClient> client, std::stop_token stop)
      : options_(std::move(options)), client_(std::move(client)), stop_(std::move(stop)) {}

  Result<SourceInfo> Describe() override {
    if (options_.source) {
      ASSIGN_OR_RETURN(const json source,
                       Get("/sources/" + net::PercentEncode(*options_.source, /*keep_slash=*/true)));
      return Found(source);
    }
    ASSIGN_OR_RETURN(const json answer, Get("/sources"));
    const auto listed = answer.find("sources");
    if (listed == answer.end() || !listed->is_array()) return Unexpected("/sources");
    std::vector<json> sources;
    std::ranges::copy_if(*listed, std::back_inserter(sources), [](const json& source) {
      return !source.is_object() || TextOf(source, "type") != "polling";
    });
    if (sources.size() == 1) return Found(sources.front());
    if (sources.empty()) return NotFound("dataset '{}' has no push source", options_.url);
    std::string names;
    for (const json& source : sources)
      names += (names.empty() ? "" : ", ") + (source.is_object() ? TextOf(source, "sourceName") : "?");
    return MakeError(ErrorCode::kConflict,
                     "dataset '{}' has several push sources: {}; choose one with --source", options_.url,
                     names);
  }

  PushReply Push(const PushCall& call) override {
    net::HttpCall http = Call("POST", "/ingest?sourceName=" + net::PercentEncode(source_));
    http.body = call.body;
    http.headers.Set("Content-Type",
                     options_.content_type.empty() ? "application/octet-stream" : options_.content_type);
    if (!call.if_state.empty()) {
      http.headers.Set("ODF-If-Source-State", call.if_state);
      http.headers.Set("ODF-Source-State", call.next_state);
      http.headers.Set("ODF-Source-State-Kind", call.state_kind.empty() ? kPositionKind : call.state_kind);
    }
    if (!call.key.empty()) http.headers.Set("Idempotency-Key", call.key);
    const auto answer = client_->Send(http, stop_);
    PushReply reply;
    if (!answer.ok()) {
      reply.error = answer.error();
      const ErrorCode code = answer.error().code();
      const bool may_pass = code == ErrorCode::kUnavailable || code == ErrorCode::kTimeout;
      reply.kind = may_pass ? PushReply::Kind::kLater : PushReply::Kind::kRefused;
      return reply;
    }
    Read(*answer, reply);
    return reply;
  }

 private:
  Result<SourceInfo> Found(const json& source) {
    if (!source.is_object() || TextOf(source, "sourceName").empty()) return Unexpected("/sources");
    SourceInfo info{.name = TextOf(source, "sourceName"), .format = TextOf(source, "readFormat")};
    const auto merge = source.find("mergeStrategy");
    if (merge != source.end() && merge->is_string()) info.merge = merge->get<std::string>();
    const auto header = source.find("hasHeader");
    if (header != source.end() && header->is_boolean()) info.has_header = header->get<bool>();
    info.accepted = AcceptedOf(source);
    source_ = info.name;
    return info;
  }

  Error Unexpected(std::string_view path) const {
    return MakeError(ErrorCode::kUnavailable, "'{}{}' does not answer like a node", options_.url, path);
  }

  net::HttpCall Call(const std::string& method, const std::string& path) const {
    net::HttpCall call;
    call.method = method;
    call.url = options_.url + path;
    call.unix_socket = options_.unix_socket;
    call.timeout = options_.timeout;
    if (!options_.token.empty()) call.headers.Set("Authorization", "Bearer " + options_.token);
    return call;
  }

  Result<json> Get(const std::string& path) {
    ASSIGN_OR_RETURN(const net::HttpAnswer answer, client_->Send(Call("GET", path), stop_));
    json body = json::parse(answer.body, nullptr, false);
    if (answer.status == 200) {
      if (!body.is_object()) return Unexpected(path);
      return body;
    }
    const Status status = net::CheckAnswer(answer);
    const ErrorCode code = IsWorthRepeating(answer.status) ? ErrorCode::kUnavailable
                           : status.ok()                   ? ErrorCode::kInvalidArgument
                                                           : status.error().code();
    return MakeError(code, "'{}{}': {}", options_.url, path, MessageOf(answer, body));
  }

  void Read(const net::HttpAnswer& answer, PushReply& reply) const {
    const json body = json::parse(answer.body, nullptr, false);
    const std::string message = MessageOf(answer, body);
    if (answer.status == 200 || answer.status == 202) {
      // What cannot be read is asked again: then it is a duplicate.
      const std::string status = body.is_object() ? TextOf(body, "status") : std::string();
      if (status.empty()) {
        reply.error = MakeError(ErrorCode::kUnavailable, "the node's answer cannot be read");
        return;
      }
      reply.kind = status == "duplicate" ? PushReply::Kind::kDuplicate : PushReply::Kind::kTaken;
      const auto records = body.find("records");
      if (records != body.end() && records->is_object() && records->contains("added") &&
          (*records)["added"].is_number_unsigned()) {
        reply.added = (*records)["added"].get<uint64_t>();
      }
      return;
    }
    const Status status = net::CheckAnswer(answer);
    reply.error = Error(status.ok() ? ErrorCode::kUnavailable : status.error().code(), message);
    if (answer.status == 412 && body.is_object()) {
      reply.kind = PushReply::Kind::kBehind;
      reply.accepted = AcceptedOf(body);
    } else if (answer.status == 413) {
      reply.kind = PushReply::Kind::kTooLarge;
    } else if (IsWorthRepeating(answer.status)) {
      reply.retry_after = net::RetryAfter(answer.headers, std::time(nullptr));
    } else {
      reply.kind = PushReply::Kind::kRefused;
    }
  }

  const HttpTargetOptions options_;
  const std::unique_ptr<net::HttpClient> client_;
  const std::stop_token stop_;
  std::string source_;
};

}  // namespace

Result<std::unique_ptr<Target>> MakeHttpTarget(const HttpTargetOptions& options, std::stop_token stop) {
  HttpTargetOptions checked = options;
  while (checked.url.ends_with('/')) checked.url.pop_back();
  const size_t scheme = checked.url.find("://");
  const size_t path = scheme == std::string::npos ? scheme : checked.url.find('/', scheme + 3);
  if (path == std::string::npos || checked.url.find_first_of("?#") != std::string::npos) {
    return InvalidArgument("'{}' is not the URL of a dataset, such as http://127.0.0.1:8080/gauges",
                           options.url);
  }
  ASSIGN_OR_RETURN(auto client,
                   net::HttpClient::Make({.user_agent = "sluice-push", .ca_file = checked.ca_file}));
  return std::unique_ptr<Target>(
      std::make_unique<HttpTarget>(std::move(checked), std::move(client), std::move(stop)));
}

}  // namespace sluice::push
