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

TEST(UrlTest, FollowsLinks) {
  const std::string base = "https://forum.example/latest.json?page=1#top";
  EXPECT_EQ(*ResolveUrl(base, "https://other.example/x"), "https://other.example/x");
  EXPECT_EQ(*ResolveUrl(base, "/t/5.json?a=b c"), "https://forum.example/t/5.json?a=b+c");
  EXPECT_EQ(*ResolveUrl(base, "?page=2"), "https://forum.example/latest.json?page=2");
  EXPECT_EQ(*ResolveUrl(base, "next"), "https://forum.example/next");
  EXPECT_EQ(*ResolveUrl(base, "//cdn.example/x#y"), "https://cdn.example/x");
  for (const std::string& link : {std::string("http://"), std::string("http://a b/"), std::string("a\0b", 3)})
    EXPECT_FALSE(ResolveUrl(base, link).ok()) << link;
  EXPECT_FALSE(ResolveUrl("no url", "/x").ok());
}

TEST(UrlTest, TellsServersApart) {
  EXPECT_EQ(OriginOf("https://a.example/x?y"), OriginOf("https://a.example:443/z"));
  EXPECT_NE(OriginOf("https://a.example/"), OriginOf("http://a.example/"));
  EXPECT_NE(OriginOf("http://a.example:8080/"), OriginOf("http://a.example/"));
  EXPECT_EQ(OriginOf("what is this"), "what is this");
}

}  // namespace
}  // namespace sluice::net
