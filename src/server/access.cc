#include "server/access.h"

#include <unistd.h>

#include <algorithm>

namespace sluice::server {
namespace {

bool IsFromLoopback(const std::string& peer) {
  return peer.starts_with("127.") || peer.starts_with("[::1]") || peer.starts_with("::1") ||
         peer.starts_with("[::ffff:127.") || peer.starts_with("unix");
}

Error Denied(std::string_view what) {
  return MakeError(ErrorCode::kPermissionDenied, "this token does not give the right to {}", what);
}

// `account/name` of another account than the token's.
bool IsOfAnother(const auth::Principal& principal, const std::string& dataset) {
  const size_t slash = dataset.find('/');
  return slash != std::string::npos &&
         !net::EqualsIgnoringCase(std::string_view(dataset).substr(0, slash), principal.account);
}

// Whether some right of the token covers every source of the dataset, named or not.
bool MayPushAnywhere(const auth::Principal& principal, const std::string& dataset) {
  auto rights = principal;
  std::erase_if(rights.scopes, [](const auth::Scope& scope) { return !scope.source.empty(); });
  return rights.MayPush(dataset, std::nullopt);
}

}  // namespace

bool IsLoopbackHost(std::string_view host) {
  const size_t colon = host.find(':', host.starts_with('[') ? host.find(']') : 0);
  if (colon < host.size() && host.find_first_not_of("0123456789", colon + 1) != std::string_view::npos)
    return false;
  host = host.substr(0, colon);
  if (host == "[::1]") return true;
  if (net::EqualsIgnoringCase(host, "localhost")) return true;
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

Result<std::shared_ptr<Access>> Access::Open(AccessOptions options, const Clock& clock) {
  ASSIGN_OR_RETURN(auto authenticator, auth::Authenticator::Make(options.auth, clock));
  return std::shared_ptr<Access>(new Access(std::move(options), std::move(authenticator)));
}

Result<Caller> Access::Authenticate(const net::HttpRequest& request) const {
  Caller caller;
  if (request.peer_user && (*request.peer_user == geteuid() || *request.peer_user == 0)) {
    caller.is_operator = true;
    return caller;
  }
  if (const auto header = request.headers.Find("Authorization")) {
    const auto token = auth::BearerToken(*header);
    if (!token)
      return MakeError(ErrorCode::kUnauthenticated, "give the token as 'Authorization: Bearer TOKEN'");
    ASSIGN_OR_RETURN(auto principal, authenticator_->Check(*token));
    caller.account = principal.account;
    caller.principal = std::make_shared<const auth::Principal>(std::move(principal));
    return caller;
  }
  if (!options_.allow_anonymous || !IsFromLoopback(request.peer))
    return MakeError(ErrorCode::kUnauthenticated, "a token is needed: 'Authorization: Bearer TOKEN'");
  if (request.headers.Contains("Origin")) {
    return MakeError(ErrorCode::kPermissionDenied,
                     "requests of web pages need a token: anonymous ones are for programs of this machine");
  }
  if (!IsLoopbackHost(request.headers.Find("Host").value_or(""))) {
    return MakeError(
        ErrorCode::kPermissionDenied,
        "anonymous requests are for this machine's loopback names, such as 127.0.0.1 or localhost");
  }
  caller.is_anonymous = true;
  return caller;
}

Status Access::Check(const Caller& caller, Right right, const std::string& dataset,
                     const std::optional<std::string>& source) const {
  if (caller.is_operator || (caller.is_anonymous && right != Right::kOperator)) return {};
  if (!caller.principal) return MakeError(ErrorCode::kPermissionDenied, "this caller has no rights");
  const auto& principal = *caller.principal;
  const bool sees = principal.MayAdminister() || principal.MayRead(dataset, source) ||
                    principal.MayPush(dataset, std::nullopt);
  if (!dataset.empty() && (!sees || IsOfAnother(principal, dataset)))
    return NotFound("Dataset not found: {}", dataset);
  switch (right) {
    case Right::kNone:
    case Right::kCaller:
      return {};
    case Right::kSources:
      return principal.MayRead(dataset, source) || principal.MayPush(dataset, source) ? OkStatus()
                                                                                      : Denied("read here");
    case Right::kRead:
      return principal.MayRead(dataset, source) ? OkStatus() : Denied("read here");
    case Right::kPush:
      if (!principal.MayPush(dataset, source)) return Denied("push here");
      if (!source && !MayPushAnywhere(principal, dataset))
        return Denied("push to every source of this dataset: name the one with 'sourceName'");
      return {};
    case Right::kAdmin:
      return principal.MayAdminister() ? OkStatus() : Denied("change or administer datasets");
    case Right::kOperator:
      return Denied("do this: it is for the workspace's socket");
  }
  return Denied("do this");
}

}  // namespace sluice::server
