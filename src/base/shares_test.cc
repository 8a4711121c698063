#include "base/shares.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(SharesTest, OneAloneHasAll) {
  Shares shares(100);
  EXPECT_TRUE(shares.MayTake("kim", 100));
  shares.Take("kim", 100);
  EXPECT_FALSE(shares.MayTake("kim", 1));
  shares.Give("kim", 40);
  EXPECT_TRUE(shares.MayTake("kim", 40));
  EXPECT_EQ(shares.total(), 60U);
}

TEST(SharesTest, WhoFloodsLeavesAPart) {
  Shares shares(1000);
  EXPECT_TRUE(shares.MayTake("bob", 1));  // has come, holds nothing
  uint64_t flood = 0;
  while (shares.MayTake("kim", 10)) {
    shares.Take("kim", 10);
    flood += 10;
  }
  EXPECT_EQ(flood, 800U);
  EXPECT_TRUE(shares.MayTake("bob", 100));
  shares.Take("bob", 100);
  EXPECT_FALSE(shares.MayTake("kim", 10));
  EXPECT_TRUE(shares.MayTake("eve", 50));  // a third one too
}

TEST(SharesTest, ATenantThatHoldsNothingMayTakeWhatIsFree) {
  Shares shares(100);
  EXPECT_TRUE(shares.MayTake("bob", 1));
  EXPECT_TRUE(shares.MayTake("kim", 95));
  shares.Take("kim", 95);
  EXPECT_TRUE(shares.MayTake("bob", 5));
  EXPECT_FALSE(shares.MayTake("bob", 6));
}

TEST(SharesTest, ForgetsManyThatHoldNothing) {
  Shares shares(100);
  for (int i = 0; i < 5000; ++i) shares.MayTake("a" + std::to_string(i), 1);
  EXPECT_LE(shares.held().size(), 1001U);
}

}  // namespace
}  // namespace sluice
