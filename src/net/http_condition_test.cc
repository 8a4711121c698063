#include "net/http_condition.h"

#include <gtest/gtest.h>

namespace sluice::net {
namespace {

struct RangeCase {
  const char* text;
  uint64_t total;
  RangeKind kind;
  uint64_t offset = 0;
  uint64_t size = 0;
};

TEST(HttpRangeTest, ParsesSingleRanges) {
  const RangeCase cases[] = {
      {"bytes=0-0", 10, RangeKind::kSatisfiable, 0, 1},
      {"bytes=2-5", 10, RangeKind::kSatisfiable, 2, 4},
      {"Bytes= 2 - 5 ", 10, RangeKind::kSatisfiable, 2, 4},
      {"bytes=5-", 10, RangeKind::kSatisfiable, 5, 5},
      {"bytes=5-99", 10, RangeKind::kSatisfiable, 5, 5},
      {"bytes=-3", 10, RangeKind::kSatisfiable, 7, 3},
      {"bytes=-99", 10, RangeKind::kSatisfiable, 0, 10},
      {"bytes=0-18446744073709551615", 10, RangeKind::kSatisfiable, 0, 10},
      {"bytes=10-", 10, RangeKind::kUnsatisfiable},
      {"bytes=0-0", 0, RangeKind::kUnsatisfiable},
      {"bytes=-0", 10, RangeKind::kUnsatisfiable},
      {"bytes=-1", 0, RangeKind::kUnsatisfiable},
      {"bytes=5-2", 10, RangeKind::kNone},
      {"bytes=0-1,3-4", 10, RangeKind::kNone},
      {"bytes=", 10, RangeKind::kNone},
      {"bytes=-", 10, RangeKind::kNone},
      {"bytes=a-b", 10, RangeKind::kNone},
      {"bytes=1-18446744073709551616", 10, RangeKind::kNone},
      {"lines=1-2", 10, RangeKind::kNone},
      {"", 10, RangeKind::kNone},
  };
  for (const RangeCase& c : cases) {
    SCOPED_TRACE(c.text);
    ByteRange range;
    EXPECT_EQ(ParseRange(c.text, c.total, range), c.kind);
    EXPECT_EQ(range.offset, c.offset);
    EXPECT_EQ(range.size, c.size);
  }
}

TEST(HttpConditionTest, ComparesTags) {
  EXPECT_TRUE(MatchesAnyTag("*", "\"a\""));
  EXPECT_TRUE(MatchesAnyTag("\"a\"", "\"a\""));
  EXPECT_TRUE(MatchesAnyTag("\"x\", W/\"a,b\"", "\"a,b\""));
  EXPECT_TRUE(MatchesAnyTag("\"a\"", "W/\"a\""));
  EXPECT_FALSE(MatchesAnyTag("\"b\"", "\"a\""));
  EXPECT_FALSE(MatchesAnyTag("a", "\"a\""));
  EXPECT_FALSE(MatchesAnyTag("\"a", "\"a\""));
  EXPECT_FALSE(MatchesAnyTag("", "\"a\""));
}

HttpResponse Answer(const std::string& method, Headers headers) {
  HttpRequest request;
  request.method = method;
  request.headers = std::move(headers);
  HttpResponse response;
  response.body = FileRange{"ten-bytes", 100, 10};
  response.headers.Set("ETag", "\"t\"");
  ApplyConditions(request, response);
  return response;
}

TEST(HttpConditionTest, AnswersConditions) {
  EXPECT_EQ(Answer("GET", {}).status, 200);
  EXPECT_EQ(Answer("GET", {{"If-None-Match", "\"t\""}}).status, 304);
  EXPECT_EQ(Answer("HEAD", {{"If-None-Match", "\"t\""}}).status, 304);
  EXPECT_EQ(Answer("POST", {{"If-None-Match", "\"t\""}}).status, 200);
  EXPECT_EQ(Answer("GET", {{"If-None-Match", "\"t\""}, {"Range", "bytes=0-1"}}).status, 304) << "comes first";
  const HttpResponse part = Answer("GET", {{"Range", "bytes=2-4"}});
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(std::get<FileRange>(part.body).offset, 102u);
  EXPECT_EQ(std::get<FileRange>(part.body).size, 3u);
  EXPECT_EQ(part.headers.Find("Content-Range"), "bytes 2-4/10");
  EXPECT_EQ(Answer("GET", {{"Range", "bytes=10-"}}).headers.Find("Content-Range"), "bytes */10");
  EXPECT_EQ(Answer("HEAD", {{"Range", "bytes=2-4"}}).status, 200);
  EXPECT_EQ(Answer("GET", {{"Range", "bytes=2-4"}, {"If-Range", "\"t\""}}).status, 206);
  EXPECT_EQ(Answer("GET", {{"Range", "bytes=2-4"}, {"If-Range", "\"old\""}}).status, 200);
}

TEST(HttpConditionTest, CutsNoText) {
  HttpRequest request;
  request.method = "GET";
  request.headers = {{"Range", "bytes=2-4"}};
  HttpResponse response = TextResponse(200, "{\"a\":1}");
  ApplyConditions(request, response);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(std::get<std::string>(response.body), "{\"a\":1}");
  EXPECT_FALSE(response.headers.Contains("Accept-Ranges"));
}

TEST(HttpConditionTest, FormatsDates) {
  EXPECT_EQ(FormatHttpDate(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST(HttpDateTest, ReadsTheThreeForms) {
  for (const char* text :
       {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"})
    EXPECT_EQ(ParseHttpDate(text), 784111777) << text;
  EXPECT_EQ(FormatHttpDate(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  for (const char* text : {"yesterday", "", "Sun, 06 Nov 1994 08:49:37 GMT+1"})
    EXPECT_EQ(ParseHttpDate(text), std::nullopt) << text;
}

TEST(RetryAfterTest, ReadsSecondsAndDates) {
  using std::chrono::seconds;
  const auto retry = [](const std::string& value) { return RetryAfter({{"Retry-After", value}}, 784111777); };
  EXPECT_EQ(retry("30"), seconds(30));
  EXPECT_EQ(retry(" 30.5"), seconds(30));
  EXPECT_EQ(retry("-5"), seconds(0));
  EXPECT_EQ(retry("Sun, 06 Nov 1994 08:50:37 GMT"), seconds(60));
  EXPECT_EQ(retry("Sun, 06 Nov 1994 08:40:37 GMT"), seconds(0));
  EXPECT_EQ(retry("99999999"), seconds(3600));
  EXPECT_EQ(retry("soon"), std::nullopt);
  EXPECT_EQ(RetryAfter({}, 0), std::nullopt);
}

}  // namespace
}  // namespace sluice::net
