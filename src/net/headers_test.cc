#include "net/headers.h"

#include <gtest/gtest.h>

namespace sluice::net {
namespace {

TEST(HeadersTest, IgnoresCaseAndKeepsOrder) {
  Headers headers{{"Content-Type", "text/plain"}, {"X", "1"}, {"x", "2"}};
  EXPECT_EQ(headers.Find("content-TYPE"), "text/plain");
  EXPECT_EQ(headers.Joined("X"), "1, 2");
  EXPECT_EQ(headers.Find("Y"), std::nullopt);
  headers.Set("x", "3");
  EXPECT_EQ(headers.Joined("X"), "3");
  EXPECT_EQ(headers.fields().size(), 2u);
}

TEST(HeadersTest, KnowsWhatWouldSplitAHeader) {
  EXPECT_TRUE(IsSafeField("X-A", "any text, also \xc3\xa9"));
  for (const char* value : {"a\r\nSet-Cookie: b", "a\n", "\r"})
    EXPECT_FALSE(IsSafeField("X", value)) << value;
  for (const char* name : {"", "a b", "a:", "a\n"}) EXPECT_FALSE(IsSafeField(name, "x")) << name;
}

}  // namespace
}  // namespace sluice::net
