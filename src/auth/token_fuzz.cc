#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "auth/authenticator.h"

// Whatever is shown as a token, as a scope, or served as a key set: refused, never let in, never a crash.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sluice::auth;
  static const auto keys = KeySet::Parse(
      R"({"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})");
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)IsStoredToken(bytes);
  (void)BearerToken(bytes);
  (void)ParseLifetime(bytes);
  if (const auto scope = ParseScope(bytes); scope.ok()) {
    if (ParseScope(ToString(*scope)).value() != *scope) std::abort();
  }
  (void)KeySet::Parse(bytes);
  (void)KeyIdOf(bytes);
  const JwtRules rules{.issuer = "i", .audience = "a"};
  if (VerifyJwt(bytes, **keys, rules, sluice::Instant{0, 0}).ok()) std::abort();
  return 0;
}
