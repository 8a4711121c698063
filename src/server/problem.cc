#include "server/problem.h"

#include <nlohmann/json.hpp>

namespace sluice::server {
namespace {

using nlohmann::json;

constexpr size_t kShownRejects = 100;

json Body(int status, const std::string& detail, const std::string& request_id) {
  return {{"type", "about:blank"}, {"title", ReasonOf(status)}, {"status", status},
          {"detail", detail},      {"message", detail},         {"requestId", request_id}};
}

net::HttpResponse Response(int status, const json& body) {
  net::HttpResponse response;
  response.status = status;
  response.headers.Set("Content-Type", "application/problem+json");
  response.body = body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  return response;
}

json ValueOf(const std::optional<gateway::State>& state) {
  return state ? json(state->value) : json(nullptr);
}

}  // namespace

std::string ReasonOf(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 422:
      return "Unprocessable Content";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    default:
      return "Error";
  }
}

net::HttpResponse JsonResponse(int status, const json& body) {
  net::HttpResponse response;
  response.status = status;
  response.headers.Set("Content-Type", "application/json");
  response.body = body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  return response;
}

net::HttpResponse Problem(int status, const std::string& detail, const std::string& request_id) {
  return Response(status, Body(status, detail, request_id));
}

void AddRequestId(const std::string& request_id, net::HttpResponse* response) {
  response->headers.Set("X-Request-Id", request_id);
  const auto* text = std::get_if<std::string>(&response->body);
  if (text == nullptr) return;
  json body = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!body.is_object()) return;
  body["requestId"] = request_id;
  response->body = body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

net::HttpResponse Problem(const Error& error, const std::string& request_id) {
  return Problem(gateway::Refusal{.error = error}, request_id);
}

net::HttpResponse Problem(const gateway::Refusal& refusal, const std::string& request_id) {
  const int status = refusal.http_status.value_or(InfoOf(refusal.error.code()).http_status);
  json body = Body(status, refusal.error.ToString(), request_id);
  if (refusal.states) {
    const auto& known = refusal.states->accepted ? refusal.states->accepted : refusal.states->committed;
    body["accepted"] = ValueOf(refusal.states->accepted);
    body["committed"] = ValueOf(refusal.states->committed);
    body["kind"] = known ? json(known->kind) : json(nullptr);
  }
  if (refusal.reject_count > 0) {
    json errors = json::array();
    for (const auto& reject : refusal.rejects) {
      if (errors.size() == kShownRejects) break;
      errors.push_back({{"record", reject.record},
                        {"column", reject.column.empty() ? json(nullptr) : json(reject.column)},
                        {"value", reject.value},
                        {"reason", reject.reason}});
    }
    body["errors"] = std::move(errors);
    body["errorCount"] = refusal.reject_count;
  }
  auto response = Response(status, body);
  int retry_after = refusal.retry_after_seconds.value_or(0);
  if (retry_after == 0 && (status == 503 || status == 429)) retry_after = 1;
  if (retry_after > 0) response.headers.Set("Retry-After", std::to_string(retry_after));
  if (status == 401) response.headers.Set("WWW-Authenticate", "Bearer");
  return response;
}

}  // namespace sluice::server
