#include "auth/authenticator.h"

#include <fcntl.h>

#include "base/mutex.h"
#include "net/headers.h"
#include "net/http_client.h"
#include "storage/disk.h"

namespace sluice::auth {
namespace {

constexpr uint64_t kMaxKeySetBytes = 1 << 20;

bool IsUrl(std::string_view text) { return text.starts_with("https://") || text.starts_with("http://"); }

bool IsLoopbackUrl(std::string_view url) {
  for (const std::string_view host : {"127.0.0.1", "localhost", "[::1]"}) {
    const std::string start = fmt::format("http://{}", host);
    if (!url.starts_with(start)) continue;
    const std::string_view rest = url.substr(start.size());
    if (rest.empty() || rest[0] == ':' || rest[0] == '/') return true;
  }
  return false;
}

// Keys that are fetched again when they are old, or when a token names one that is not there. A fetch that
// fails leaves the keys that there were.
class KeySource {
 public:
  explicit KeySource(JwtOptions options) : options_(std::move(options)) {}

  // Errors: as Authenticator::Make.
  Status FetchFirst() {
    auto keys = Fetch();
    if (!keys.ok()) return std::move(keys).error().With(fmt::format("keys '{}'", options_.jwks));
    if ((*keys)->size() == 0) {
      return InvalidArgument("'{}' holds no key for RS256, ES256 or EdDSA", options_.jwks);
    }
    MutexLock lock(mutex_);
    keys_ = std::move(*keys);
    tried_ = fetched_ = std::chrono::steady_clock::now();
    return {};
  }

  std::shared_ptr<const KeySet> KeysFor(const std::string& key_id) EXCLUDES(mutex_) {
    {
      MutexLock lock(mutex_);
      const auto now = std::chrono::steady_clock::now();
      const bool is_wanted =
          now >= fetched_ + options_.max_age || (!key_id.empty() && !keys_->Contains(key_id));
      if (!is_wanted || is_fetching_ || now < tried_ + options_.refetch_every) return keys_;
      is_fetching_ = true;
      tried_ = now;
    }
    auto keys = Fetch();
    MutexLock lock(mutex_);
    is_fetching_ = false;
    if (keys.ok() && (*keys)->size() > 0) {
      keys_ = std::move(*keys);
      fetched_ = std::chrono::steady_clock::now();
    }
    return keys_;
  }

 private:
  Result<std::shared_ptr<const KeySet>> Fetch() const {
    ASSIGN_OR_RETURN(const std::string text, IsUrl(options_.jwks) ? Download() : ReadFile());
    return KeySet::Parse(text);
  }

  Result<std::string> ReadFile() const {
    ASSIGN_OR_RETURN(const auto file,
                     storage::File::Open(storage::Disk::Real(), options_.jwks, O_RDONLY | O_NONBLOCK));
    return file->ReadSome(0, kMaxKeySetBytes);
  }

  Result<std::string> Download() const {
    ASSIGN_OR_RETURN(const auto client, net::HttpClient::Make());
    net::HttpCall call{.url = options_.jwks};
    call.headers.Add("Accept", "application/json");
    call.connect_timeout = options_.fetch_timeout;
    call.timeout = options_.fetch_timeout;
    call.max_body_bytes = kMaxKeySetBytes;
    ASSIGN_OR_RETURN(net::HttpAnswer answer, client->Send(call));
    RETURN_IF_ERROR(net::CheckAnswer(answer));
    return std::move(answer.body);
  }

  const JwtOptions options_;
  Mutex mutex_;
  std::shared_ptr<const KeySet> keys_ GUARDED_BY(mutex_);
  std::chrono::steady_clock::time_point fetched_ GUARDED_BY(mutex_);
  std::chrono::steady_clock::time_point tried_ GUARDED_BY(mutex_);
  bool is_fetching_ GUARDED_BY(mutex_) = false;
};

class AuthenticatorImpl final : public Authenticator {
 public:
  AuthenticatorImpl(std::unique_ptr<TokenStore> tokens, const Clock& clock)
      : tokens_(std::move(tokens)), clock_(clock) {}

  Status UseJwt(const JwtOptions& options) {
    if (options.rules.issuer.empty() || options.rules.audience.empty()) {
      return InvalidArgument("tokens of an identity provider need both an issuer and an audience");
    }
    if (options.jwks.starts_with("http://") && !IsLoopbackUrl(options.jwks)) {
      return InvalidArgument("'{}': keys must come over https, or from this machine", options.jwks);
    }
    rules_ = options.rules;
    keys_ = std::make_unique<KeySource>(options);
    return keys_->FetchFirst();
  }

  Result<Principal> Check(std::string_view token) override {
    if (keys_ == nullptr || IsStoredToken(token)) return tokens_->Check(token, clock_.Now());
    ASSIGN_OR_RETURN(const std::string key_id, KeyIdOf(token));
    return VerifyJwt(token, *keys_->KeysFor(key_id), rules_, clock_.Now());
  }

  TokenStore& tokens() override { return *tokens_; }

 private:
  const std::unique_ptr<TokenStore> tokens_;
  const Clock& clock_;
  JwtRules rules_;
  std::unique_ptr<KeySource> keys_;  // null without an identity provider
};

}  // namespace

Result<std::unique_ptr<Authenticator>> Authenticator::Make(const AuthenticatorOptions& options,
                                                           const Clock& clock) {
  ASSIGN_OR_RETURN(auto tokens, TokenStore::Open(options.workspace_root));
  auto authenticator = std::make_unique<AuthenticatorImpl>(std::move(tokens), clock);
  if (options.jwt) RETURN_IF_ERROR(authenticator->UseJwt(*options.jwt));
  return std::unique_ptr<Authenticator>(std::move(authenticator));
}

std::optional<std::string_view> BearerToken(std::string_view authorization) {
  constexpr std::string_view kScheme = "Bearer ";
  authorization = net::Trimmed(authorization);
  if (authorization.size() <= kScheme.size() ||
      !net::EqualsIgnoringCase(authorization.substr(0, kScheme.size()), kScheme)) {
    return std::nullopt;
  }
  return net::Trimmed(authorization.substr(kScheme.size()));
}

}  // namespace sluice::auth
