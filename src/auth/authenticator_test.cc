#include "auth/authenticator.h"

#include <atomic>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>

#include "auth/testing/jwt_maker.h"
#include "base/testing/matchers.h"
#include "net/http_server.h"
#include "storage/testing/temp_folder.h"

namespace sluice::auth {
namespace {

using testing::HasSubstr;

// An identity provider's key set.
class KeyServer final : public net::HttpHandler {
 public:
  net::HttpResponse Handle(net::HttpRequest&) override {
    ++fetches;
    std::lock_guard lock(mutex);
    return net::TextResponse(status, keys);
  }
  std::atomic<int> fetches = 0;
  std::mutex mutex;
  std::string keys;
  int status = 200;
};

class AuthenticatorTest : public testing::Test {
 protected:
  void SetUp() override {
    server_.keys = KeySetOf({&old_});
    auto http = net::HttpServer::Start({{}}, server_);
    ASSERT_THAT(http, IsOk());
    http_ = std::move(*http);
    options_.workspace_root = folder_.path();
    options_.jwt = JwtOptions{.jwks = http_->url() + "/keys",
                              .rules = {.issuer = "i", .audience = "a"},
                              .refetch_every = std::chrono::seconds(0)};
  }
  std::string Token(const JwtMaker& maker) {
    return maker.Sign(
        {{"iss", "i"}, {"aud", "a"}, {"sub", "kim"}, {"exp", 1'800'000'600}, {"scope", "push"}});
  }
  std::unique_ptr<Authenticator> Make() {
    auto made = Authenticator::Make(options_, clock_);
    EXPECT_THAT(made, IsOk());
    return std::move(*made);
  }
  void Serve(const std::string& keys, int status = 200) {
    std::lock_guard lock(server_.mutex);
    server_.keys = keys;
    server_.status = status;
  }

  const JwtMaker old_{"EdDSA", "old"}, new_{"EdDSA", "new"};
  storage::TempFolder folder_;
  FixedClock clock_{Instant{1'800'000'000, 0}};
  KeyServer server_;
  std::unique_ptr<net::HttpServer> http_;
  AuthenticatorOptions options_;
};

TEST_F(AuthenticatorTest, TakesStoredTokensAndThoseOfTheProvider) {
  const auto authenticator = Make();
  ASSERT_OK_AND_ASSIGN(const NewToken token,
                       authenticator->tokens().Create({"lee", {Scope{}}, std::nullopt}, clock_));
  EXPECT_EQ(authenticator->Check(token.text).value().account, "lee");
  EXPECT_EQ(authenticator->Check(Token(old_)).value().account, "kim");
  for (const std::string text : {"", "x", "a.b.c", "sluice_x"})
    EXPECT_THAT(authenticator->Check(text), IsErrorCode(ErrorCode::kUnauthenticated)) << text;
  options_.jwt.reset();
  EXPECT_THAT(Make()->Check(Token(old_)), IsErrorCode(ErrorCode::kUnauthenticated));
}

TEST_F(AuthenticatorTest, FollowsTheProvidersNewKeys) {
  const auto authenticator = Make();
  EXPECT_THAT(authenticator->Check(Token(new_)), IsErrorCode(ErrorCode::kUnauthenticated));
  Serve(KeySetOf({&old_, &new_}));
  EXPECT_THAT(authenticator->Check(Token(new_)), IsOk());
  const int fetches = server_.fetches;
  EXPECT_THAT(authenticator->Check(Token(new_)), IsOk());
  EXPECT_THAT(authenticator->Check(Token(old_)), IsOk());
  EXPECT_EQ(server_.fetches, fetches) << "known keys are not asked for";
  Serve("out of order", 500);
  EXPECT_THAT(authenticator->Check(Token(JwtMaker("EdDSA", "none"))),
              IsErrorCode(ErrorCode::kUnauthenticated));
  EXPECT_THAT(authenticator->Check(Token(new_)), IsOk()) << "a failed fetch leaves the keys";
}

TEST_F(AuthenticatorTest, IsNotMadeToFetchForEveryStranger) {
  options_.jwt->refetch_every = std::chrono::seconds(30);
  const auto authenticator = Make();
  for (int i = 0; i < 20; ++i)
    EXPECT_THAT(authenticator->Check(Token(new_)), IsErrorCode(ErrorCode::kUnauthenticated));
  EXPECT_EQ(server_.fetches, 1);
}

TEST_F(AuthenticatorTest, ReadsKeysFromAFile) {
  options_.jwt->jwks = std::string(folder_.path()) + "/keys.json";
  std::ofstream(options_.jwt->jwks) << KeySetOf({&old_});
  EXPECT_THAT(Make()->Check(Token(old_)), IsOk());
}

TEST_F(AuthenticatorTest, SaysAtOnceWhatIsWrong) {
  options_.jwt->jwks = "http://keys.example/set";
  EXPECT_THAT(Authenticator::Make(options_, clock_),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("https")));
  options_.jwt->jwks = "http://localhost.example/set";
  EXPECT_THAT(Authenticator::Make(options_, clock_),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("https")));
  options_.jwt->jwks = std::string(folder_.path()) + "/none.json";
  EXPECT_THAT(Authenticator::Make(options_, clock_), IsErrorCode(ErrorCode::kNotFound));
  options_.jwt->jwks = http_->url();
  Serve(R"({"keys":[]})");
  EXPECT_THAT(Authenticator::Make(options_, clock_),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("no key")));
  options_.jwt->rules.audience.clear();
  EXPECT_THAT(Authenticator::Make(options_, clock_),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("audience")));
}

TEST(BearerTest, FindsTheToken) {
  EXPECT_EQ(BearerToken("Bearer abc"), "abc");
  EXPECT_EQ(BearerToken("  bearer   abc "), "abc");
  for (const std::string text : {"", "Bearer", "Bearer ", "Basic abc", "Bearerabc"})
    EXPECT_EQ(BearerToken(text), std::nullopt) << text;
}

}  // namespace
}  // namespace sluice::auth
