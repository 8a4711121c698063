#include "net/url.h"

#include "base/testing/matchers.h"

namespace sluice::net {
namespace {

TEST(UrlTest, ParsesTargets) {
  ASSERT_OK_AND_ASSIGN(const Target target, ParseTarget("/a%20b/c+d?x=1&y=a%26b+c&flag&&=z#part"));
  EXPECT_EQ(target.path, "/a b/c+d");
  EXPECT_EQ(target.Parameter("x"), "1");
  EXPECT_EQ(target.Parameter("y"), "a&b c");
  EXPECT_EQ(target.Parameter("flag"), "");
  EXPECT_EQ(target.Parameter("none"), std::nullopt);
  EXPECT_EQ(target.query.size(), 4u);
}

TEST(UrlTest, RefusesBadTargets) {
  for (const char* text : {"", "a", "*", "http://a/b", "/%", "/%4", "/%zz", "/a%00b", "/?x=%f"}) {
    EXPECT_THAT(ParseTarget(text), IsErrorCode(ErrorCode::kInvalidArgument)) << text;
  }
}

TEST(UrlTest, EncodingComesBack) {
  std::string all;
  for (int c = 1; c < 256; ++c) all += static_cast<char>(c);
  EXPECT_EQ(PercentDecode(PercentEncode(all)).value_or("?"), all);
  EXPECT_EQ(PercentEncode("a/b c~"), "a%2Fb%20c~");
  EXPECT_EQ(PercentEncode("a/b c", true), "a/b%20c");
}

}  // namespace
}  // namespace sluice::net
