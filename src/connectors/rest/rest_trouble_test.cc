#include <atomic>
#include <thread>

#include "connectors/rest/testing/list_api.h"
#include "pipeline/testing/scripted.h"

namespace sluice::connectors::rest::testing {
namespace {

using net::HttpRequest;
using net::HttpResponse;
using nlohmann::json;
using pipeline::Places;
using pipeline::testing::Eventually;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

using RestTroubleTest = RestTest;

TEST_F(RestTroubleTest, BadItemsAreRefusedAloneAndOnce) {
  AddNumbered(3);
  api_.Change([](std::vector<json>& items) {
    items.insert(items.begin() + 1, json("no object"));
    items.insert(items.begin() + 3, json{{"id", "x"}, {"data", "no number"}});
    items[2]["data"] = {{"an", "object"}};  // as text, the JSON
    items[2]["uuid"] = json::array({1});
  });
  api_.Add({{"data", "last"}});
  Texts got;
  RunOnce(Yaml("offset, mark: number, mark_path: id"), &got);
  EXPECT_EQ(got, (Texts{"1", "2", "3", "4"}));
  ASSERT_EQ(refused_.size(), 2U);
  for (const auto& reason : refused_) EXPECT_THAT(reason, HasSubstr("'id'"));
  // Where the place in the list counts, only what cannot be a record is refused.
  RunOnce(Yaml("offset, pagination: offset"), &got);
  EXPECT_EQ(got, (Texts{"1", "2", "x", "3", "4"}));
  EXPECT_EQ(refused_.size(), 1U);
}

TEST_F(RestTroubleTest, ABadItemIsNotForgottenWhenItsSweepFails) {
  AddNumbered(45);
  api_.Change([](std::vector<json>& items) { items[40] = {{"data", "no id"}}; });
  int failures = 4;  // more than one sweep tries again
  api_.Intercept([&](const HttpRequest& request) -> std::optional<HttpResponse> {
    if (request.url.Parameter("page") != "2" || --failures < 0) return std::nullopt;
    return Json(json::object(), 500);
  });
  Texts got;
  RunOnce(Yaml("newest, pagination: page, order: newest_first, mark: number, mark_path: id"), &got);
  EXPECT_EQ(got.size(), 44U);
  EXPECT_EQ(refused_.size(), 1U);
}

TEST_F(RestTroubleTest, WaitsWhenToldTo) {
  AddNumbered(50);
  std::atomic<int> left = 0;
  std::atomic<int> limited = 0;
  api_.Intercept([&](const HttpRequest&) -> std::optional<HttpResponse> {
    if (--left >= 0) return std::nullopt;
    left = 2;
    ++limited;
    auto response = Json({{"errors", {"slow down"}}}, 429);
    response.headers.Set("Retry-After", "1");
    return response;
  });
  const auto start = std::chrono::steady_clock::now();
  Texts got;
  RunOnce(Yaml("since, since_parameter: since, mark: number, mark_path: id"), &got);
  EXPECT_EQ(got, Numbers(1, 51));
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(990) * (limited - 1));
  EXPECT_LE(limited, 3) << "it asks while it should wait";
  EXPECT_GE(limited, 2);
}

TEST_F(RestTroubleTest, StopsAtOnceWhileItWaits) {
  api_.Intercept([&](const HttpRequest&) {
    auto response = Json(json::object(), 429);
    response.headers.Set("Retry-After", "3000");
    return std::optional<HttpResponse>(std::move(response));
  });
  Collector intake;
  auto ingestor = Make(Yaml("offset"));
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(ingestor->Start(intake, {}).ok());
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_TRUE(ingestor->Stop(milliseconds(1000)).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(5000));
}

TEST_F(RestTroubleTest, TroubleIsToldAndOvercome) {
  AddNumbered(45);
  const std::pair<const char*, std::function<HttpResponse()>> troubles[] = {
      {"500", [] { return Json({{"error", "x"}}, 500); }},
      {"no JSON", [] { return net::TextResponse(200, "<html>maintenance"); }},
      {"cut JSON", [] { return net::TextResponse(200, "[{\"id\":1}"); }},
      {"no list", [] { return Json({{"message", "x"}}); }},
      {"404", [] { return Json({{"message", "x"}}, 404); }},
      {"401", [] { return Json({{"message", "x"}}, 401); }},
      {"elsewhere",
       [] {
         auto response = Json(json::object(), 302);
         response.headers.Set("Location", "/nowhere");
         return response;
       }},
      {"too large", [] { return net::TextResponse(200, "[\"" + std::string(200'000, 'x') + "\"]"); }},
  };
  for (const auto& [name, answer] : troubles) {
    SCOPED_TRACE(name);
    std::atomic<bool> is_ill = false;
    api_.Intercept([&, make = answer](const HttpRequest& request) {
      return is_ill && request.url.path != "/nowhere" ? std::optional<HttpResponse>(make()) : std::nullopt;
    });
    Collector intake;
    auto ingestor = Make(Yaml("offset, pagination: offset", "interval: 5ms, max_answer: 100KiB"));
    ASSERT_TRUE(ingestor->Start(intake, {}).ok());
    EXPECT_TRUE(Eventually([&] { return intake.ids().size() == 45; }));
    is_ill = true;
    EXPECT_TRUE(Eventually([&] { return !ingestor->health().ok(); }));
    is_ill = false;
    EXPECT_TRUE(Eventually([&] { return ingestor->health().ok(); }));
    EXPECT_EQ(intake.ids().size(), 45U);
    EXPECT_TRUE(ingestor->Stop(milliseconds(1000)).ok());
  }
}

TEST_F(RestTroubleTest, WhatCannotWorkIsSaidAtTheStart) {
  Collector intake;
  const auto start = [&](const std::string& yaml) -> std::string {
    const Status status = Make(yaml)->Start(intake, {});
    return status.ok() ? "" : status.error().ToString();
  };
  EXPECT_THAT(start(Yaml("offset, items: data.posts")), HasSubstr("items"));
  EXPECT_THAT(start(Yaml("page, items: dta")),
              ::testing::AllOf(HasSubstr("'dta'"), HasSubstr("it has data")));
  EXPECT_THAT(start(Yaml("nowhere")), ::testing::AllOf(HasSubstr("404"), HasSubstr("option 'url'")));
  api_.Intercept([&](const HttpRequest& request) {
    EXPECT_EQ(request.headers.Find("Authorization"), "Bearer secret-1");
    EXPECT_EQ(request.url.Parameter("key"), "secret 2");
    return std::optional<HttpResponse>(Json({{"errors", {"no"}}}, 401));
  });
  const std::string said = start(Yaml("offset, token: secret-1, secret_query: {key: secret 2}"));
  EXPECT_THAT(said, ::testing::AllOf(HasSubstr("'token'"), HasSubstr(api_.url())));
  EXPECT_THAT(said, ::testing::Not(::testing::AnyOf(HasSubstr("secret-1"), HasSubstr("secret%202"))));
  // Who is not there may come.
  EXPECT_EQ(start("{type: rest, url: 'http://127.0.0.1:1/x'}"), "");
}

TEST_F(RestTroubleTest, LinksGoNoFurtherThanTheServer) {
  AddNumbered(30);
  std::string link;
  api_.Intercept([&](const HttpRequest& request) -> std::optional<HttpResponse> {
    EXPECT_EQ(request.url.Parameter("key"), "s3cret");
    if (link.empty()) return std::nullopt;
    return Json({{"data", {{{"id", 1}}}}, {"links", {{"next", link}}}});
  });
  const std::string yaml =
      Yaml("json_link, items: data, pagination: link, next: links.next, secret_query: {key: s3cret}",
           "once: true, attempts: 2");
  Texts got;
  const Places places = RunOnce(yaml, &got);
  EXPECT_EQ(got.size(), 30U);
  EXPECT_THAT(places.begin()->second.cursor, ::testing::Not(HasSubstr("s3cret")));
  for (const char* bad :
       {"http://127.0.0.1:1/steal", "//example.org/x", "?at=self", "http://", "ftp://127.0.0.1/x"}) {
    link = bad;
    Status health;
    RunOnce(yaml, &got, {}, &health);
    EXPECT_FALSE(health.ok()) << bad;
    EXPECT_EQ(got, Texts{"1"}) << bad;
  }
  // A link that shows the secret is followed, and kept without it.
  link.clear();
  api_.Intercept([&](const HttpRequest& request) -> std::optional<HttpResponse> {
    if (request.url.Parameter("at")) return std::nullopt;
    return Json({{"data", {{{"id", 1}}}}, {"links", {{"next", "?key=s3cret&at=20"}}}});
  });
  const Places kept = RunOnce(yaml, &got);
  EXPECT_EQ(got.size(), 11U);
  EXPECT_THAT(kept.begin()->second.cursor,
              ::testing::AllOf(HasSubstr("at=20"), ::testing::Not(HasSubstr("s3cret"))));
}

TEST_F(RestTroubleTest, PagesInACircleEnd) {
  AddNumbered(30);
  Status health;
  Texts got;
  // It does not know the parameter: every page is the first.
  RunOnce(Yaml("link, items: data, pagination: page, page_parameter: p, mark: number, mark_path: id",
               "once: true, attempts: 1"),
          &got, {}, &health);
  ASSERT_FALSE(health.ok());
  EXPECT_THAT(health.error().ToString(), HasSubstr("page_parameter"));
  EXPECT_EQ(got, Numbers(1, 21));
}

TEST_F(RestTroubleTest, ARedirectThatLosesTheQuestionIsNoAnswer) {
  AddNumbered(45);
  std::atomic<int> moved = 0;
  api_.Intercept([&](const HttpRequest& request) -> std::optional<HttpResponse> {
    if (request.target.find('?') == std::string::npos || ++moved % 3 != 0) return std::nullopt;
    HttpResponse response = Json(json::object(), 302);
    response.headers.Set("Location", request.url.path);
    return response;
  });
  for (const Way& way : kWays) {
    SCOPED_TRACE(way.name);
    moved = 0;
    Texts got;
    RunOnce(Yaml(way.options), &got);
    EXPECT_EQ(got, Numbers(1, 46));
  }
  // Neither is one to something that was not asked.
  api_.Intercept([&](const HttpRequest& request) -> std::optional<HttpResponse> {
    if (!request.url.Parameter("before") || ++moved % 3 != 0) return std::nullopt;
    return Json({{{"id", 1045}}, {{"id", 44}}});
  });
  Texts got;
  RunOnce(Yaml("before, pagination: before, page_size: 20, mark: number, mark_path: id"), &got);
  EXPECT_EQ(got, Numbers(1, 46));
}

TEST_F(RestTroubleTest, AListThatIsNotWhatItIsSaidToBeIsNoticed) {
  AddNumbered(45);
  Texts got;
  Status health;
  RunOnce(Yaml("page, items: data, pagination: page, page_size: 50", "once: true, attempts: 1"), &got, {},
          &health);
  ASSERT_FALSE(health.ok());
  EXPECT_THAT(health.error().ToString(), HasSubstr("page_size"));
  RunOnce(Yaml("newest, pagination: page, mark: number, mark_path: id", "once: true, attempts: 1"), &got, {},
          &health);
  ASSERT_FALSE(health.ok());
  EXPECT_THAT(health.error().ToString(), HasSubstr("order"));
  const Places places = RunOnce(Yaml("link, items: data, pagination: link"), &got);
  api_.Change([](std::vector<json>& items) { items.resize(42); });
  RunOnce(Yaml("link, items: data, pagination: link", "once: true, attempts: 1"), &got, places, &health);
  ASSERT_FALSE(health.ok());
  EXPECT_THAT(health.error().ToString(), HasSubstr("mark"));
}

TEST_F(RestTroubleTest, APageThatIsGoneIsNoDeadEnd) {
  AddNumbered(45);
  Texts got;
  const std::string yaml = Yaml("cursor, items: data, pagination: cursor, next: next, page_parameter: at");
  const Places places = RunOnce(yaml, &got);
  AddNumbered(2);
  bool was_told = false;
  api_.Intercept([&](const HttpRequest& request) -> std::optional<HttpResponse> {
    if (request.url.Parameter("at") != "40" || std::exchange(was_told, true)) return std::nullopt;
    return Json({{"error", "expired"}}, 400);
  });
  RunOnce(yaml, &got, places);
  EXPECT_EQ(got, Numbers(46, 48));
}

}  // namespace
}  // namespace sluice::connectors::rest::testing
