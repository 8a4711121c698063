#include "server/routes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "server/openapi.h"

namespace sluice::server {
namespace {

std::string PathOf(const std::string& method, const std::string& path) {
  std::vector<std::string> allow;
  const auto match = FindRoute(method, path, &allow);
  return match.route ? match.route->path + " " + match.dataset : "none";
}

TEST(RoutesTest, FindsTheDatasetOfAPath) {
  EXPECT_EQ(PathOf("GET", "/a"), "/{dataset} a");
  EXPECT_EQ(PathOf("GET", "/acme/a"), "/{dataset} acme/a");
  EXPECT_EQ(PathOf("GET", "/a/log"), "/{dataset}/log a");
  EXPECT_EQ(PathOf("GET", "/acme/a/log"), "/{dataset}/log acme/a");
  EXPECT_EQ(PathOf("GET", "/acme/a/refs/head"), "/{dataset}/refs/head acme/a");
  EXPECT_EQ(PathOf("GET", "/did:odf:fed01"), "/{dataset} did:odf:fed01");
  EXPECT_EQ(PathOf("GET", "/livez"), "/livez ");
  for (const char* path : {"/metrics/log", "/", "//log", "/a/", "/a/b/c/d/e", "/a/log/", "", "a"})
    EXPECT_EQ(PathOf("GET", path), "none") << path;
}

TEST(RoutesTest, ThePollingSourceIsTwoSegments) {
  EXPECT_EQ(PathOf("DELETE", "/a/sources/odf/polling"), "/{dataset}/sources/odf/polling a");
  EXPECT_EQ(PathOf("DELETE", "/a/sources/b"), "/{dataset}/sources/{source} a");
}

TEST(RoutesTest, ASourceMayHaveSlashesInItsName) {
  std::vector<std::string> allow;
  const auto match = FindRoute("GET", "/acme/a/sources/web/eu/1/state", &allow);
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.route->path, "/{dataset}/sources/{source}/state");
  EXPECT_EQ(match.dataset, "acme/a");
  EXPECT_EQ(match.rest, (std::vector<std::string>{"web/eu/1"}));
  EXPECT_EQ(FindRoute("DELETE", "/a/sources/web/eu", &allow).rest, (std::vector<std::string>{"web/eu"}));
  EXPECT_EQ(PathOf("GET", "/a/sources/web//eu"), "none");
}

TEST(RoutesTest, TellsTheMethodsOfAPath) {
  std::vector<std::string> allow;
  EXPECT_EQ(FindRoute("PUT", "/a/sources", &allow).route, nullptr);
  EXPECT_EQ(allow, (std::vector<std::string>{"GET", "HEAD", "POST"}));
}

// A dataset `a/log` that could be deleted by a request for the history of `a` would be a bad surprise.
TEST(RoutesTest, AMethodThatAPathDoesNotHaveIsNotLookedForInAnother) {
  std::vector<std::string> allow;
  EXPECT_EQ(FindRoute("DELETE", "/a/log", &allow).route, nullptr);
  EXPECT_EQ(allow, (std::vector<std::string>{"GET", "HEAD"}));
}

TEST(RoutesTest, WordsOfPathsAreNoNames) {
  for (const auto& route : Routes()) {
    const std::string word = route.path.substr(1, route.path.find('/', 1) - 1);
    EXPECT_TRUE(word == "{dataset}" || IsReservedName(word)) << word;
  }
  EXPECT_TRUE(IsDatasetWord("log"));
  EXPECT_TRUE(IsDatasetWord("refs"));
  EXPECT_FALSE(IsDatasetWord("gauges"));
}

TEST(OpenApiTest, DescribesEveryRouteThatIsServedOverHttpAndNothingElse) {
  std::set<std::string> described, served;
  for (const auto& doc : CallDocs()) described.insert(doc.method + " " + doc.path);
  for (const auto& route : Routes())
    if (route.right != Right::kOperator) served.insert(route.method + " " + route.path);
  EXPECT_EQ(described, served);
}

TEST(OpenApiTest, NamesEveryCallOnce) {
  std::set<std::string> ids;
  for (const auto& doc : CallDocs()) EXPECT_TRUE(ids.insert(doc.id).second) << doc.id;
}

TEST(OpenApiTest, RefersToSchemasThatThereAre) {
  const auto api = OpenApi(Limits());
  const auto& schemas = api["components"]["schemas"];
  ASSERT_TRUE(schemas.is_object());
  const std::string text = api.dump(), prefix = "#/components/schemas/";
  for (size_t at = text.find(prefix); at != std::string::npos; at = text.find(prefix, at + 1)) {
    const size_t start = at + prefix.size();
    EXPECT_TRUE(schemas.contains(text.substr(start, text.find('"', start) - start)));
  }
}

}  // namespace
}  // namespace sluice::server
