#pragma once

#include <memory>

#include "auth/authenticator.h"
#include "base/clock.h"
#include "server/call.h"

namespace sluice::server {

struct AccessOptions {
  bool allow_anonymous = false;  // of this machine, without a token
  auth::AuthenticatorOptions auth;
};

// Who may do what on a node (push-protocol.md 3, 8). The workspace's own user, at the socket, is the operator
// and may do everything. Thread-safe.
class Access {
 public:
  // `clock` must outlive it. Errors: those of Authenticator::Make.
  static Result<std::shared_ptr<Access>> Open(AccessOptions options, const Clock& clock);

  // Errors: kUnauthenticated; kPermissionDenied for an anonymous request that a browser may have been made to
  // send: with an Origin, or to a Host that is not loopback.
  Result<Caller> Authenticate(const net::HttpRequest& request) const;
  // Whether `caller` may do that with the dataset (or at all, when there is none). Errors: kPermissionDenied;
  // kNotFound, as for a dataset that is not there, for one that the caller has no right to at all.
  Status Check(const Caller& caller, Right right, const std::string& dataset,
               const std::optional<std::string>& source) const;

 private:
  Access(AccessOptions options, std::unique_ptr<auth::Authenticator> authenticator)
      : options_(std::move(options)), authenticator_(std::move(authenticator)) {}

  const AccessOptions options_;
  const std::unique_ptr<auth::Authenticator> authenticator_;
};

// `localhost`, `127.0.0.1:8080`, `[::1]`.
bool IsLoopbackHost(std::string_view host);

}  // namespace sluice::server
