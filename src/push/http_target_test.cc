#include "push/http_target.h"

#include <mutex>

#include "base/testing/matchers.h"
#include "net/http_server.h"
#include "push/position.h"

namespace sluice::push {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Answers as it is told, and remembers what it was asked.
class FakeNode final : public net::HttpHandler {
 public:
  net::HttpResponse Handle(net::HttpRequest& request) override {
    std::lock_guard lock(mutex);
    last = request;
    net::HttpResponse response = net::TextResponse(status, body);
    for (const auto& [name, value] : headers.fields()) response.headers.Set(name, value);
    return response;
  }
  std::mutex mutex;
  int status = 200;
  std::string body;
  net::Headers headers;
  net::HttpRequest last;
};

class HttpTargetTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server = net::HttpServer::Start({{}}, node_);
    ASSERT_THAT(server, IsOk());
    server_ = std::move(*server);
    options_.url = server_->url() + "/kim/gauges/";
  }
  std::unique_ptr<Target> Make() {
    auto target = MakeHttpTarget(options_, {});
    EXPECT_THAT(target, IsOk());
    return std::move(*target);
  }
  PushReply Push(int status, const std::string& body, net::Headers headers = {}) {
    node_.status = 200;
    node_.body = R"({"sources":[{"sourceName":"a b","readFormat":"NdJson","accepted":null}]})";
    auto target = Make();
    EXPECT_THAT(target->Describe(), IsOk());
    node_.status = status;
    node_.body = body;
    node_.headers = std::move(headers);
    return target->Push({"{}\n", "*", "next"});
  }

  FakeNode node_;
  std::unique_ptr<net::HttpServer> server_;
  HttpTargetOptions options_;
};

TEST_F(HttpTargetTest, FindsTheSource) {
  node_.body =
      R"({"sources":[{"sourceName":"s","readFormat":"Csv","hasHeader":true,"kind":"k/x","accepted":"v"}]})";
  ASSERT_OK_AND_ASSIGN(SourceInfo info, Make()->Describe());
  EXPECT_EQ(node_.last.target, "/kim/gauges/sources");
  EXPECT_EQ(info.name, "s");
  EXPECT_EQ(info.format, "Csv");
  EXPECT_EQ(info.has_header, true);
  ASSERT_TRUE(info.accepted);
  EXPECT_EQ(info.accepted->kind, "k/x");
  EXPECT_EQ(info.accepted->value, "v");
  options_.source = "s 1";
  options_.token = "t";
  node_.body = R"({"sourceName":"s 1","readFormat":"NdJson","kind":null,"accepted":null})";
  ASSERT_OK_AND_ASSIGN(info, Make()->Describe());
  EXPECT_EQ(node_.last.target, "/kim/gauges/sources/s%201");
  EXPECT_EQ(node_.last.headers.Find("Authorization"), "Bearer t");
  EXPECT_FALSE(info.accepted);
}

TEST_F(HttpTargetTest, AsksForASourceWhereThereAreSeveral) {
  node_.body = R"({"sources":[{"sourceName":"a"},{"sourceName":"b"}]})";
  EXPECT_THAT(Make()->Describe(), IsError(ErrorCode::kConflict, HasSubstr("a, b; choose one with --source")));
  node_.body = R"({"sources":[]})";
  EXPECT_THAT(Make()->Describe(), IsErrorCode(ErrorCode::kNotFound));
  node_.body = "hello";
  EXPECT_THAT(Make()->Describe(), IsErrorCode(ErrorCode::kUnavailable));
  node_.status = 404;
  node_.body = R"({"message":"no such dataset"})";
  EXPECT_THAT(Make()->Describe(), IsError(ErrorCode::kNotFound, HasSubstr("no such dataset")));
  node_.status = 503;
  EXPECT_THAT(Make()->Describe(), IsErrorCode(ErrorCode::kUnavailable));
}

TEST_F(HttpTargetTest, SendsStatesAndReadsOutcomes) {
  PushReply reply = Push(200, R"({"status":"committed","records":{"received":1,"added":1}})");
  EXPECT_EQ(reply.kind, PushReply::Kind::kTaken);
  EXPECT_EQ(reply.added, 1u);
  EXPECT_EQ(node_.last.target, "/kim/gauges/ingest?sourceName=a%20b");
  EXPECT_EQ(node_.last.body, "{}\n");
  EXPECT_EQ(node_.last.headers.Find("ODF-If-Source-State"), "*");
  EXPECT_EQ(node_.last.headers.Find("ODF-Source-State"), "next");
  EXPECT_EQ(node_.last.headers.Find("ODF-Source-State-Kind"), kPositionKind);
  EXPECT_EQ(Push(200, R"({"status":"duplicate","records":{"received":null,"added":null}})").kind,
            PushReply::Kind::kDuplicate);
  EXPECT_EQ(Push(202, R"({"status":"queued"})").kind, PushReply::Kind::kTaken);
  EXPECT_EQ(Push(200, "cut off").kind, PushReply::Kind::kLater) << "asked again";
}

TEST_F(HttpTargetTest, TellsFailuresApart) {
  PushReply reply = Push(412, R"({"message":"m","accepted":"x","kind":"sluice/position"})");
  EXPECT_EQ(reply.kind, PushReply::Kind::kBehind);
  ASSERT_TRUE(reply.accepted);
  EXPECT_EQ(reply.accepted->value, "x");
  EXPECT_FALSE(Push(412, R"({"message":"m","accepted":null,"kind":null})").accepted);
  for (const int status : {408, 429, 500, 502, 503, 504})
    EXPECT_EQ(Push(status, "").kind, PushReply::Kind::kLater) << status;
  for (const int status : {400, 401, 403, 404, 409, 415, 422, 428, 501})
    EXPECT_EQ(Push(status, "").kind, PushReply::Kind::kRefused) << status;
  EXPECT_EQ(Push(413, "").kind, PushReply::Kind::kTooLarge);
  EXPECT_EQ(Push(503, "", {{"Retry-After", "7"}}).retry_after, std::chrono::milliseconds(7000));
  EXPECT_EQ(Push(503, "", {{"Retry-After", "soon"}}).retry_after, std::nullopt);
  reply = Push(
      422, R"({"message":"1 bad","errors":[{"record":3,"column":"n","value":"x","reason":"not a number"}]})");
  EXPECT_EQ(reply.error.code(), ErrorCode::kInvalidRecords);
  EXPECT_THAT(reply.error.message(),
              AllOf(HasSubstr("1 bad"), HasSubstr("record 3, column \"n\""), HasSubstr("not a number")));
  server_.reset();
  auto target = Make();
  EXPECT_EQ(target->Push({"", "*", "n"}).kind, PushReply::Kind::kLater) << "nobody answers";
}

TEST_F(HttpTargetTest, WantsTheUrlOfADataset) {
  for (const std::string url : {"", "gauges", "http://host", "http://host/", "http://host/d?x"}) {
    EXPECT_THAT(MakeHttpTarget({.url = url}, {}), IsErrorCode(ErrorCode::kInvalidArgument)) << url;
  }
}

}  // namespace
}  // namespace sluice::push
