#include "base/quantity.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(QuantityTest, ReadsUnits) {
  EXPECT_EQ(*ParseDuration("1.5s"), std::chrono::milliseconds(1500));
  EXPECT_EQ(*ParseDuration("2 h"), std::chrono::hours(2));
  EXPECT_EQ(*ParseDuration("0"), std::chrono::milliseconds(0));
  EXPECT_EQ(*ParseByteCount("1GiB"), uint64_t{1} << 30);
  EXPECT_EQ(*ParseByteCount("1.5kB"), 1500U);
  for (const std::string_view bad : {"", "s", "-1s", "1y", "1e99h", "nan"})
    EXPECT_FALSE(ParseDuration(bad).ok()) << bad;
  for (const std::string_view bad : {"", "KiB", "-1", "1kb", "1e30GiB"})
    EXPECT_FALSE(ParseByteCount(bad).ok()) << bad;
  EXPECT_FALSE(ParseDuration("90").ok());
  EXPECT_EQ(*ParseDuration("90", BareNumber::kSeconds), std::chrono::seconds(90));
  EXPECT_EQ(*ParseDuration("2min"), std::chrono::minutes(2));
  EXPECT_FALSE(ParseDuration("40000d").ok()) << "no clock counts so far";
  EXPECT_EQ(FormatDuration(std::chrono::seconds(90)), "90s");
  EXPECT_EQ(FormatDuration(std::chrono::hours(48)), "2d");
  EXPECT_EQ(ShowBytes(512), "512B");
  EXPECT_EQ(ShowBytes(1536), "1.5KiB");
}

}  // namespace
}  // namespace sluice
