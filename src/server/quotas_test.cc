#include "server/quotas.h"

#include <gtest/gtest.h>

namespace sluice::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Quotas::Time kStart{seconds(1000)};

TEST(QuotasTest, CountsWithoutALimit) {
  Quotas quotas({}, {});
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(quotas.Take("kim", 10, kStart));
  EXPECT_EQ(quotas.uses().at("kim").requests, 1000U);
  EXPECT_EQ(quotas.uses().at("kim").bytes, 10'000U);
}

TEST(QuotasTest, SavesUpTenSeconds) {
  Quotas quotas({.requests_per_second = 2}, {});
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(quotas.Take("kim", 0, kStart)) << i;
  EXPECT_EQ(quotas.Take("kim", 0, kStart), 1);
  EXPECT_FALSE(quotas.Take("bob", 0, kStart));  // has a quota of its own
  EXPECT_TRUE(quotas.Take("kim", 0, kStart + milliseconds(400)));
  EXPECT_FALSE(quotas.Take("kim", 0, kStart + milliseconds(500)));
  EXPECT_TRUE(quotas.Take("kim", 0, kStart + milliseconds(500)));
  EXPECT_EQ(quotas.uses().at("kim").refused, 3U);
  int taken = 0;
  while (!quotas.Take("kim", 0, kStart + seconds(1000))) ++taken;
  EXPECT_EQ(taken, 20);
}

TEST(QuotasTest, ALargeBodyIsADebt) {
  Quotas quotas({}, {{"kim", {.bytes_per_second = 100}}});
  EXPECT_FALSE(quotas.Take("kim", 2000, kStart));
  EXPECT_EQ(quotas.Take("kim", 1, kStart), 11);
  EXPECT_FALSE(quotas.Take("bob", 1 << 30, kStart));
  EXPECT_TRUE(quotas.Take("kim", 1, kStart + seconds(9)));
  EXPECT_FALSE(quotas.Take("kim", 1, kStart + seconds(11)));
}

TEST(QuotasTest, SlowRatesAllowOne) {
  Quotas quotas({.requests_per_second = 0.01}, {});
  EXPECT_FALSE(quotas.Take("kim", 0, kStart));
  EXPECT_EQ(quotas.Take("kim", 0, kStart), 100);
  EXPECT_FALSE(quotas.Take("kim", 0, kStart + seconds(100)));
}

TEST(QuotasTest, ManyAccountsDoNotCostMemory) {
  Quotas quotas({}, {});
  for (size_t i = 0; i < 3 * Quotas::kMostAccounts; ++i) quotas.Take("a" + std::to_string(i), 1, kStart);
  EXPECT_EQ(quotas.uses().size(), Quotas::kMostAccounts + 1);
  EXPECT_EQ(quotas.uses().at("").requests, 2 * Quotas::kMostAccounts);
}

}  // namespace
}  // namespace sluice::server
