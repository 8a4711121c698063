#include "connectors/http/callers.h"

#include <gtest/gtest.h>

namespace sluice::connectors::http {
namespace {

using std::chrono::milliseconds;

TEST(CallersTest, KnowsTokens) {
  const Callers callers({{"acme", "a-token"}, {"other", "o-token"}}, "any-token");
  const auto tenant = [&](const std::string& value) -> std::string {
    const auto caller = callers.Find({{"Authorization", value}});
    return caller ? "<" + caller->tenant + ">" : "none";
  };
  EXPECT_EQ(tenant("Bearer a-token"), "<acme>");
  EXPECT_EQ(tenant("bearer  o-token "), "<other>");
  EXPECT_EQ(tenant("Bearer any-token"), "<>");
  for (const char* value : {"", "Bearer", "Bearer ", "Bearer a-toke", "Basic a-token", "a-token"})
    EXPECT_EQ(tenant(value), "none") << value;
  EXPECT_FALSE(callers.Find({}));
  EXPECT_TRUE(Callers({}, "").Find({}));
}

TEST(RateLimitTest, LimitsEachTenant) {
  RateLimit limit(10);
  const RateLimit::Clock::time_point start{};
  EXPECT_FALSE(limit.Take({{"a", 10}}, start));
  const auto wait = limit.Take({{"a", 1}}, start);
  ASSERT_TRUE(wait);
  EXPECT_GE(*wait, milliseconds(100));
  EXPECT_LE(*wait, milliseconds(102));
  EXPECT_FALSE(limit.Take({{"b", 10}}, start));
  EXPECT_TRUE(limit.Take({{"a", 1}, {"c", 1}}, start));
  EXPECT_FALSE(limit.Take({{"c", 10}}, start));  // nothing was taken from c before
  EXPECT_FALSE(limit.Take({{"a", 1}}, start + milliseconds(150)));
  EXPECT_FALSE(limit.Take({{"a", 25}}, start + milliseconds(5000)));  // more than a second's, from a full one
  EXPECT_TRUE(limit.Take({{"a", 1}}, start + milliseconds(6000)));
  EXPECT_FALSE(limit.Take({{"a", 1}}, start + milliseconds(6700)));
}

TEST(RateLimitTest, ForgetsTenantsThatSendNothing) {
  RateLimit limit(1);
  const RateLimit::Clock::time_point start{};
  for (int i = 0; i < 50'000; ++i)
    EXPECT_FALSE(limit.Take({{std::to_string(i), 1}}, start + std::chrono::seconds(i)));
}

}  // namespace
}  // namespace sluice::connectors::http
