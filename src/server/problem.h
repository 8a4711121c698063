#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/error.h"
#include "gateway/gateway.h"
#include "net/http_message.h"

namespace sluice::server {

net::HttpResponse JsonResponse(int status, const nlohmann::json& body);

// `application/problem+json` (RFC 9457) with `message`, as clients of the reference expect
// (push-protocol.md 3). `request_id` is told, so that it can be found in the log.
net::HttpResponse Problem(int status, const std::string& detail, const std::string& request_id);
net::HttpResponse Problem(const Error& error, const std::string& request_id);
// Into an answer that was made without it, its header and its body.
void AddRequestId(const std::string& request_id, net::HttpResponse* response);
// With states, bad records and Retry-After.
net::HttpResponse Problem(const gateway::Refusal& refusal, const std::string& request_id);

// The standard's name of a status: `Precondition Failed`.
std::string ReasonOf(int status);

}  // namespace sluice::server
