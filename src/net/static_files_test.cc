#include "net/static_files.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/testing/matchers.h"
#include "net/http_client.h"

namespace sluice::net {
namespace {

namespace fs = std::filesystem;
using testing::StartsWith;

class StaticFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / fmt::format("sluice-static-{}", getpid());
    fs::create_directories(root_ / "served/data/sub");
    Write("served/index.html", "<p>start");
    Write("served/data/a.csv", "0123456789");
    Write("served/data/with space", "spaced");
    Write("served/data/.pending-0123456789abcdef", "half");
    Write("secret", "secret");
    Write("served2", "next door");
    fs::create_symlink("../../secret", root_ / "served/data/out");
    fs::create_symlink("a.csv", root_ / "served/data/in");
    files_ = std::make_unique<StaticFiles>(root_ / "served");
    auto server = HttpServer::Start({{}}, *files_);
    ASSERT_THAT(server, IsOk());
    server_ = std::move(*server);
    auto client = HttpClient::Make({.proxy = ""});
    ASSERT_THAT(client, IsOk());
    client_ = std::move(*client);
  }
  void TearDown() override {
    server_.reset();
    fs::remove_all(root_);
  }

  void Write(const std::string& name, const std::string& content) { std::ofstream(root_ / name) << content; }
  HttpAnswer Get(const std::string& path, Headers headers = {}, const std::string& method = "GET") {
    auto answer =
        client_->Send({.method = method, .url = server_->url() + path, .headers = std::move(headers)});
    EXPECT_THAT(answer, IsOk());
    return answer.ok() ? *answer : HttpAnswer{};
  }

  fs::path root_;
  std::unique_ptr<StaticFiles> files_;
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<HttpClient> client_;
};

TEST_F(StaticFilesTest, ServesFiles) {
  const HttpAnswer answer = Get("/data/a.csv");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "0123456789");
  EXPECT_THAT(answer.headers.Find("Content-Type").value_or(""), StartsWith("text/csv"));
  EXPECT_EQ(answer.headers.Find("Accept-Ranges"), "bytes");
  EXPECT_EQ(Get("/data/with%20space").body, "spaced");
  EXPECT_EQ(Get("/data/in").body, "0123456789") << "a link inside";
  EXPECT_EQ(Get("/").body, "<p>start");
  EXPECT_EQ(Get("/data/a.csv", {}, "HEAD").headers.Find("Content-Length"), "10");
}

TEST_F(StaticFilesTest, ServesRangesAndTags) {
  HttpAnswer answer = Get("/data/a.csv", {{"Range", "bytes=2-4"}});
  EXPECT_EQ(answer.status, 206);
  EXPECT_EQ(answer.body, "234");
  EXPECT_EQ(answer.headers.Find("Content-Range"), "bytes 2-4/10");
  EXPECT_EQ(Get("/data/a.csv", {{"Range", "bytes=-1"}}).body, "9");
  EXPECT_EQ(Get("/data/a.csv", {{"Range", "bytes=10-"}}).status, 416);
  const std::string tag = answer.headers.Find("ETag").value_or("");
  EXPECT_FALSE(tag.empty());
  answer = Get("/data/a.csv", {{"If-None-Match", tag}});
  EXPECT_EQ(answer.status, 304);
  EXPECT_EQ(answer.body, "");
  Write("served/data/a.csv", "another content");
  EXPECT_EQ(Get("/data/a.csv", {{"If-None-Match", tag}}).body, "another content");
}

TEST_F(StaticFilesTest, StaysInItsFolder) {
  for (const char* path :
       {"/%2e%2e/secret", "/data/%2e%2e/%2e%2e/secret", "/..%2fsecret", "/data/out", "/%2e%2e/served2",
        "//etc/passwd", "/data//a.csv", "/data/.pending-0123456789abcdef", "/data/a.csv/", "/data/sub",
        "/nothing", "/data/./a.csv%00"}) {
    SCOPED_TRACE(path);
    const HttpAnswer answer = Get(path);
    EXPECT_GE(answer.status, 400);
    EXPECT_LE(answer.status, 404);
    EXPECT_THAT(answer.body, testing::Not(testing::HasSubstr("secret")));
  }
}

TEST_F(StaticFilesTest, RefusesOtherMethods) {
  EXPECT_EQ(Get("/data/a.csv", {}, "DELETE").status, 405);
  EXPECT_EQ(Get("/data/a.csv", {}, "POST").headers.Find("Allow"), "GET, HEAD");
}

TEST_F(StaticFilesTest, SendsLargeFiles) {
  const std::string large(5'000'000, 'z');
  Write("served/large", large);
  EXPECT_TRUE(Get("/large").body == large);
  EXPECT_EQ(Get("/large", {{"Range", "bytes=4999990-"}}).body.size(), 10u);
}

}  // namespace
}  // namespace sluice::net
