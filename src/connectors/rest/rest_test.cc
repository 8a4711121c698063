#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <set>
#include <thread>

#include "connectors/rest/testing/list_api.h"
#include "pipeline/testing/conformance.h"
#include "pipeline/testing/scripted.h"

namespace sluice::connectors::rest::testing {
namespace {

using net::HttpRequest;
using net::HttpResponse;
using nlohmann::json;
using pipeline::Places;
using pipeline::testing::FakeIntake;
using std::chrono::milliseconds;

using RestListTest = RestTest;

TEST_F(RestListTest, ConformsInEveryWay) {
  for (const Way& way : kWays) {
    SCOPED_TRACE(way.name);
    for (const bool once : {true, false}) {
      Api api;
      const std::string yaml =
          fmt::format("{{type: rest, requests_per_second: 0, interval: 5ms, once: {}, {}, url: {}/{}}}", once,
                      kRecord, api.url(), way.options);
      pipeline::testing::CheckIngestor(
          {[&] { return bed_.MakeIngestor(yaml); }, [&](const std::string& text) { api.AddLines(text); }},
          {.is_finite = once});
    }
  }
}

TEST_F(RestListTest, GoesOnWithoutReadingAllAgain) {
  AddNumbered(205);
  for (const Way& way : kWays) {
    SCOPED_TRACE(way.name);
    Texts got;
    const Places places = RunOnce(Yaml(way.options), &got);
    EXPECT_EQ(got, Numbers(1, 206));
    const size_t before = api_.asked().size();
    RunOnce(Yaml(way.options), &got, places);
    EXPECT_EQ(got, Texts());
    // One to look whether it can be asked at all, two where it goes on.
    EXPECT_LE(api_.asked().size(), before + 3);
  }
}

TEST_F(RestListTest, APlaceInTheMiddleOfAPageHolds) {
  // As a writer leaves it that stored a part of what was delivered with one cursor.
  AddNumbered(65);
  for (const Way& way : kWays) {
    SCOPED_TRACE(way.name);
    Texts got;
    Places places = RunOnce(Yaml(way.options), &got);
    ASSERT_EQ(places.size(), 1U);
    const bool is_index = std::string(way.options).find("mark:") == std::string::npos;
    places.begin()->second.next = is_index ? 62 : 63;
    RunOnce(Yaml(way.options), &got, places);
    EXPECT_EQ(got, Numbers(63, 66));
  }
}

TEST_F(RestListTest, MapsItems) {
  api_.Add({{"author", {{"name", "Ada"}}},
            {"title", "T"},
            {"body", "B"},
            {"tags", {"x", "y"}},
            {"at", "2024-05-06T07:08:09Z"}});
  FakeIntake intake;
  auto ingestor = Make(
      "{type: rest, once: true, mark: number, mark_path: id, record: {data: {join: [title, body]}, data_id: {from: id}, source_type: forum, "
      "lang: {from: 'tags[1]'}, created_at: {from: at}}, url: " +
      api_.url() + "/offset}");
  ASSERT_TRUE(ingestor->Start(intake, {}).ok());
  const auto delivery = intake.Next();
  EXPECT_EQ(
      pipeline::testing::Shown(delivery.batch),
      (Texts{
          R"({"source_type":"forum","data":"T\n\nB","data_id":"1","metadata":{"at":"2024-05-06T07:08:09Z","author":{"name":"Ada"},"body":"B","id":1,)"
          R"("tags":["x","y"],"title":"T"},"lang":"y","created_at":"2024-05-06T07:08:09Z"})"}));
  delivery.done({{}});
  EXPECT_TRUE(ingestor->Stop(milliseconds(1000)).ok());
}

TEST_F(RestListTest, ChangedItemsComeAgainByTheirTime) {
  const auto item = [](int id, const std::string& at) { return json{{"id", id}, {"at", at}, {"data", "d"}}; };
  std::vector<json> now = {item(1, "2024-01-01T00:00:01Z"), item(2, "2024-01-01T00:00:02Z"),
                           item(3, "2024-01-01T00:00:02Z")};
  Texts since;
  api_.Intercept([&](const HttpRequest& request) -> std::optional<HttpResponse> {
    since.push_back(request.url.Parameter("since").value_or(""));
    json list = json::array();
    std::sort(now.begin(), now.end(), [](const json& a, const json& b) { return a["at"] < b["at"]; });
    for (const auto& one : now) {
      if (one["at"].get<std::string>() >= since.back()) list.push_back(one);
    }
    return Json(list);
  });
  const std::string yaml = Yaml("issues, mark: time, mark_path: at, since_parameter: since");
  Texts got;
  const Places places = RunOnce(yaml, &got);
  EXPECT_EQ(got.size(), 3U);
  now[0]["at"] = "2024-01-01T00:00:05Z";
  now.push_back(item(4, "2024-01-01T00:00:03Z"));
  since.clear();
  RunOnce(yaml, &got, places);
  EXPECT_EQ(got, (Texts{"4", "1"}));
  EXPECT_EQ(since.front(), "2024-01-01T00:00:02Z");
}

TEST_F(RestListTest, ManyOfOneMomentComeOnceInWholePages) {
  for (int i = 1; i <= 130; ++i)
    api_.Add({{"data", "d"},
              {"at", fmt::format("2024-01-01T00:00:0{}Z", i <= 15    ? 1
                                                          : i <= 100 ? 2
                                                          : i <= 120 ? 3
                                                                     : 4)}});
  for (const char* way : {"page, items: data, pagination: page", "link, items: data, pagination: link",
                          "cursor, items: data, pagination: cursor, next: next, page_parameter: at",
                          "newest, pagination: page, order: newest_first"}) {
    SCOPED_TRACE(way);
    Texts got;
    const Places places = RunOnce(Yaml(std::string(way) + ", mark: time, mark_path: at"), &got);
    std::set<int> numbers;
    for (const auto& text : got) numbers.insert(std::stoi(text));
    EXPECT_EQ(got.size(), 130U);
    EXPECT_EQ(numbers.size(), 130U);
    RunOnce(Yaml(std::string(way) + ", mark: time, mark_path: at"), &got, places);
    EXPECT_EQ(got, Texts());
  }
}

TEST_F(RestListTest, TimesInTheFutureHoldNothingUp) {
  for (const char* at : {"2024-01-01T00:00:01Z", "2199-01-01T00:00:00Z", "2024-01-01T00:00:02Z"})
    api_.Add({{"data", "d"}, {"at", at}});
  Texts got;
  const std::string more =
      "{type: rest, once: true, settle: 20s, record: {data_id: {from: id}, created_at: {from: at}}, url: " +
      api_.url() + "/offset, ";
  RunOnce(more + "mark: number, mark_path: id}", &got);
  EXPECT_EQ(got, (Texts{"1", "2", "3"}));
  const Places places = RunOnce(more + "mark: time, mark_path: at}", &got);
  EXPECT_EQ(got, (Texts{"1", "3"}));
  ASSERT_EQ(refused_.size(), 1U);
  EXPECT_NE(refused_[0].find("future"), std::string::npos) << refused_[0];
  api_.Add({{"data", "d"}, {"at", "2024-01-01T00:00:03Z"}});
  RunOnce(more + "mark: time, mark_path: at}", &got, places);
  EXPECT_EQ(got, Texts{"4"});
}

TEST_F(RestListTest, WhatIsTooYoungWaits) {
  const int64_t now = std::time(nullptr);
  const auto at = [&](int64_t seconds) {
    std::tm time = {};
    const std::time_t moment = now - seconds;
    gmtime_r(&moment, &time);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &time);
    return std::string(text);
  };
  for (const int64_t seconds : {100, 50, 3, 40}) api_.Add({{"data", "d"}, {"at", at(seconds)}});
  const std::string yaml =
      "{type: rest, once: true, settle: 20s, mark: number, mark_path: id, record: {data_id: {from: id}, created_at: {from: at}}, url: " +
      api_.url() + "/offset}";
  Texts got;
  RunOnce(yaml, &got);
  EXPECT_EQ(got, (Texts{"1", "2"})) << "what stands behind a young one waits with it";
}

TEST_F(RestListTest, AMomentThatIsNotOverWaits) {
  const std::time_t now = std::time(nullptr);
  std::tm time = {};
  gmtime_r(&now, &time);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &time);
  api_.Add({{"data", "d"}, {"at", "2024-01-01T00:00:00Z"}});
  api_.Add({{"data", "d"}, {"at", text}});
  const std::string yaml =
      "{type: rest, once: true, mark: time, mark_path: at, record: {data_id: {from: id}}, url: " +
      api_.url() + "/offset}";
  Texts got;
  Places places = RunOnce(yaml, &got);
  EXPECT_EQ(got, Texts{"1"}) << "what shows up later in this second would lie behind the position";
  api_.Add({{"data", "d"}, {"at", text}});
  std::this_thread::sleep_for(std::chrono::milliseconds(3100));
  RunOnce(yaml, &got, places);
  EXPECT_EQ(std::set<std::string>(got.begin(), got.end()), (std::set<std::string>{"2", "3"}));
}

TEST_F(RestListTest, ReadsWhatNobodyAskedToBeCompressed) {
  static constexpr char kZipped[] =
      "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x8b\xae\x56\xca\x4c\x51\xb2\x32\xd4\x51\x4a\x49\x2c\x49"
      "\x54\xb2\x52\x4a\x51\xaa\x8d\x05\x00\x92\x81\x4a\xe9\x15\x00\x00\x00";
  for (const bool is_zipped : {true, false}) {
    api_.Intercept([&](const HttpRequest&) {
      HttpResponse response;
      response.headers.Set("Content-Type", "application/json");
      if (is_zipped) response.headers.Set("Content-Encoding", "gzip");
      response.body =
          is_zipped ? std::string(kZipped, sizeof kZipped - 1) : "\xef\xbb\xbf[{\"id\":1,\"data\":\"d\"}]";
      return response;
    });
    Texts got;
    RunOnce("{type: rest, once: true, record: {data_id: {from: id}}, url: " + api_.url() + "/x}", &got);
    EXPECT_EQ(got, Texts{"1"}) << is_zipped;
  }
}

TEST_F(RestListTest, APasswordInTheUrlIsInNoPosition) {
  AddNumbered(3);
  std::string url = api_.url();
  url.insert(url.find("://") + 3, "me:hush@");
  Texts got;
  const Places places = RunOnce(
      "{type: rest, once: true, mark: number, mark_path: id, record: {data_id: {from: id}}, url: " + url +
          "/offset}",
      &got);
  EXPECT_EQ(got, Numbers(1, 4));
  ASSERT_EQ(places.size(), 1U);
  EXPECT_EQ(places.begin()->first, api_.url() + "/offset");
}

TEST_F(RestListTest, ReadsDiscourse) {
  // As /posts.json has it, with numbers that are not there.
  for (const bool is_old : {false, true}) {
    SCOPED_TRACE(is_old ? "an old server" : "a new one");
    api_.Intercept([&](const HttpRequest& request) -> std::optional<HttpResponse> {
      if (request.url.path != "/posts.json") return std::nullopt;
      const auto before = request.url.Parameter("before");
      const int64_t limit = before ? std::stoll(*before) : 1000;
      json posts = json::array();
      for (int64_t i = is_old ? std::min<int64_t>(limit, 140) : std::min<int64_t>(limit - 1, 140);
           i > 0 && posts.size() < 50; --i) {
        if (is_old && before && i <= limit - 50) break;
        if (i % 7 == 0 || (i > 60 && i < 115)) continue;
        posts.push_back(
            {{"id", i}, {"raw", fmt::format("Post {}", i)}, {"created_at", "2024-01-01T00:00:00.123Z"}});
      }
      return Json({{"latest_posts", posts}});
    });
    Texts expected;
    for (int i = 1; i <= 140; ++i) {
      if (i % 7 != 0 && (i <= 60 || i >= 115)) expected.push_back(std::to_string(i));
    }
    Texts got;
    const std::string yaml =
        "{type: rest, preset: discourse, requests_per_second: 0, once: true, url: " + api_.url() + "/}";
    const Places places = RunOnce(yaml, &got);
    EXPECT_EQ(got, expected);
    EXPECT_EQ(places.begin()->second.next, 140);
    RunOnce(yaml, &got, {{api_.url() + "/posts.json", {118, ""}}});
    EXPECT_EQ(got, Texts(expected.end() - 19, expected.end()));
  }
}

}  // namespace
}  // namespace sluice::connectors::rest::testing
