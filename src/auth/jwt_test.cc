#include "auth/jwt.h"

#include <nlohmann/json.hpp>

#include "auth/testing/jwt_maker.h"
#include "base/testing/matchers.h"
#include "multiformats/multibase.h"

namespace sluice::auth {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr Instant kNow{1'800'000'000, 0};

json Claims() {
  return {{"iss", "https://id.example"}, {"aud", "sluice"},      {"sub", "kim"},
          {"exp", 1'800'000'600},        {"nbf", 1'799'999'000}, {"scope", "openid push:gauges/north read"}};
}

const JwtRules kRules{.issuer = "https://id.example", .audience = "sluice"};

class JwtTest : public testing::Test {
 protected:
  Result<Principal> Verify(const std::string& token) { return VerifyJwt(token, *keys_, kRules, kNow); }

  const JwtMaker rsa_{"RS256", "rsa"}, ec_{"ES256", "ec"}, ed_{"EdDSA", "ed"};
  const std::shared_ptr<const KeySet> keys_ = KeySet::Parse(KeySetOf({&rsa_, &ec_, &ed_})).value();
};

TEST_F(JwtTest, TakesThreeAlgorithms) {
  EXPECT_EQ(keys_->size(), 3u);
  for (const JwtMaker* maker : {&rsa_, &ec_, &ed_}) {
    ASSERT_OK_AND_ASSIGN(const Principal principal, Verify(maker->Sign(Claims())));
    EXPECT_EQ(principal.account, "kim");
    ASSERT_EQ(principal.scopes.size(), 2u) << "foreign scopes are passed over";
    EXPECT_TRUE(principal.MayPush("gauges", "north"));
    EXPECT_TRUE(principal.MayRead("gauges", std::nullopt));
    EXPECT_FALSE(principal.MayPush("gauges", "south"));
    EXPECT_EQ(principal.expires, (Instant{1'800'000'600, 0}));
  }
}

TEST_F(JwtTest, LetsTheKeyDecideTheAlgorithm) {
  for (const std::string algorithm : {"none", "None", "", "HS256", "RS512", "ES256", "EdDSA"}) {
    const std::string token = rsa_.Sign(Claims(), algorithm.empty() ? " " : algorithm);
    EXPECT_THAT(Verify(token), IsErrorCode(ErrorCode::kUnauthenticated)) << algorithm;
  }
  const std::string head = multiformats::EncodeBase64Url(R"({"alg":"none"})");
  EXPECT_THAT(Verify(head + "." + multiformats::EncodeBase64Url(Claims().dump()) + "."),
              IsErrorCode(ErrorCode::kUnauthenticated));
}

TEST_F(JwtTest, RefusesOtherKeysAndChangedTokens) {
  const JwtMaker stranger("ES256", "ec");
  EXPECT_THAT(Verify(stranger.Sign(Claims())), IsError(ErrorCode::kUnauthenticated, HasSubstr("signature")));
  const std::string token = ec_.Sign(Claims());
  for (size_t at = 0; at < token.size(); at += 7) {
    std::string changed = token;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    EXPECT_THAT(Verify(changed), IsErrorCode(ErrorCode::kUnauthenticated)) << at;
  }
  for (const std::string& text :
       {std::string(), std::string("a.b"), std::string("a.b.c.d"), std::string(".."), token + ".",
        token.substr(0, token.size() - 3), std::string(20'000, 'a')}) {
    EXPECT_THAT(Verify(text), IsErrorCode(ErrorCode::kUnauthenticated)) << text.substr(0, 20);
  }
  EXPECT_THAT(Verify(ec_.SignRaw(R"({"alg":"ES256","kid":"ec","crit":["b64"]})", Claims().dump())),
              IsErrorCode(ErrorCode::kUnauthenticated));
}

TEST_F(JwtTest, TriesAllKeysWithoutAName) {
  EXPECT_THAT(Verify(ec_.SignRaw(R"({"alg":"ES256"})", Claims().dump())), IsOk());
}

TEST_F(JwtTest, ChecksClaims) {
  const std::vector<std::pair<std::string, json>> wrong = {
      {"exp", 1'799'999'940}, {"exp", nullptr},
      {"exp", "soon"},        {"exp", 1e300},
      {"nbf", 1'800'000'061}, {"nbf", "x"},
      {"iss", "other"},       {"iss", nullptr},
      {"aud", "other"},       {"aud", json::array({"x"})},
      {"aud", nullptr},       {"sub", ""},
      {"sub", "a/b"},         {"sub", 7}};
  for (const auto& [name, value] : wrong) {
    json claims = Claims();
    claims[name] = value;
    EXPECT_THAT(Verify(ed_.Sign(claims)), IsError(ErrorCode::kUnauthenticated, HasSubstr("not valid")))
        << name << " " << value;
  }
  for (const char* name : {"exp", "iss", "aud", "sub"}) {
    json claims = Claims();
    claims.erase(name);
    EXPECT_THAT(Verify(ed_.Sign(claims)), IsErrorCode(ErrorCode::kUnauthenticated)) << name;
  }
  json claims = Claims();
  claims["aud"] = {"other", "sluice"};
  claims["exp"] = 1'799'999'970;  // within the leeway
  claims["scope"] = {"admin", "profile", 7};
  ASSERT_OK_AND_ASSIGN(const Principal principal, Verify(ed_.Sign(claims)));
  EXPECT_TRUE(principal.MayAdminister());
}

TEST(KeySetTest, PassesOverWhatItCannotUse) {
  const JwtMaker good("EdDSA", "good"), other("RS256", "other");
  json set = json::parse(KeySetOf({&good, &other}));
  set["keys"][1]["use"] = "enc";
  set["keys"].push_back({{"kty", "oct"}, {"k", "AAAA"}});
  set["keys"].push_back({{"kty", "RSA"}, {"n", "AQAB"}, {"e", "AQAB"}});
  set["keys"].push_back(
      {{"kty", "EC"}, {"crv", "P-256"}, {"x", std::string(43, 'A')}, {"y", std::string(43, 'A')}});
  set["keys"].push_back({{"kty", "EC"}, {"crv", "P-521"}, {"x", "AA"}, {"y", "AA"}});
  set["keys"].push_back("text");
  ASSERT_OK_AND_ASSIGN(const auto keys, KeySet::Parse(set.dump()));
  EXPECT_EQ(keys->size(), 1u);
  EXPECT_TRUE(keys->Contains("good"));
  for (const std::string text : {"", "{}", "[]", R"({"keys":{}})", "{\"keys\":["})
    EXPECT_THAT(KeySet::Parse(text), IsErrorCode(ErrorCode::kInvalidArgument)) << text;
}

}  // namespace
}  // namespace sluice::auth
