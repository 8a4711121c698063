#include <gtest/gtest.h>

#include <thread>

#include "connectors/http/connector.h"
#include "connectors/http/ingestor.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "pipeline/reasons.h"
#include "pipeline/testing/bed.h"

// The ingestor, the writer, and both against each other, on loopback.
namespace sluice::connectors::http {
namespace {

using pipeline::Outcome;
using pipeline::OutcomeKind;
using pipeline::Outcomes;
using pipeline::testing::BatchOf;
using pipeline::testing::Bed;
using pipeline::testing::ColumnOf;
using pipeline::testing::FakeIntake;
using Texts = std::vector<std::string>;

class HttpTest : public ::testing::Test {
 protected:
  HttpTest() : bed_(RegisterHttp) {}

  void Start(const std::string& options = "") {
    auto made = bed_.MakeIngestor("{type: http, listen: '127.0.0.1:0'" + options + "}");
    ASSERT_TRUE(made.ok()) << made.error().ToString();
    ingestor_ = std::move(made).value();
    const Status started = ingestor_->Start(intake_, {});
    ASSERT_TRUE(started.ok()) << started.error().ToString();
    const std::string note = bed_.notes().at(0);
    url_ = note.substr(note.find("http://"));
  }

  net::HttpAnswer Send(const std::string& body, net::Headers headers = {}, const std::string& method = "POST",
                       const std::string& url = "") {
    auto client = net::HttpClient::Make({.proxy = ""});
    net::HttpCall call;
    call.method = method;
    call.url = url.empty() ? url_ : url;
    call.body = body;
    call.headers = std::move(headers);
    call.timeout = std::chrono::seconds(20);
    auto answer = (*client)->Send(call);
    if (!answer.ok()) {
      ADD_FAILURE() << answer.error().ToString();
      return {};
    }
    return *answer;
  }

  int Status_(const std::string& body, net::Headers headers = {}) {
    return Send(body, std::move(headers)).status;
  }

  Bed bed_;
  FakeIntake intake_;
  std::unique_ptr<pipeline::Ingestor> ingestor_;
  std::string url_;
};

const net::Headers kLists = {{"Accept", "application/json"}};

TEST_F(HttpTest, AnswersAsTheOriginalDoes) {
  intake_.SettleAll({});
  Start();
  const net::HttpAnswer answer = Send(R"({"uuid":"1","data":"x"})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(Status_("{"), 400);
  EXPECT_EQ(Status_(""), 400);
  EXPECT_EQ(Status_("{\"data\":5}"), 400);
  EXPECT_EQ(Send("", {}, "GET").status, 405);
  EXPECT_EQ(Send("{}", {}, "PUT").headers.Find("Allow").value_or(""), "POST");
  EXPECT_EQ(Send("{}", {}, "POST", url_ + "/other").status, 404);
  intake_.SettleAll({OutcomeKind::kFailed, "the writer is away"});
  const net::HttpAnswer failed = Send("{}");
  EXPECT_EQ(failed.status, 500);
  EXPECT_NE(failed.body.find("the writer is away"), std::string::npos);
  intake_.SettleAll({OutcomeKind::kRejected, "too old"});
  EXPECT_EQ(Status_("{}"), 422);
  intake_.SettleAll({OutcomeKind::kDuplicate, ""});
  EXPECT_EQ(Status_("{}"), 200);
}

TEST_F(HttpTest, AnswersWhenTheOutcomeIsKnown) {
  Start();
  std::thread sender([&] { EXPECT_EQ(Status_(R"({"data":"waits"})"), 200); });
  pipeline::Delivery delivery = intake_.Next();
  EXPECT_EQ(ColumnOf(delivery.batch, pipeline::Column::kData), (Texts{"waits"}));
  EXPECT_EQ(ColumnOf(delivery.batch, pipeline::Column::kUuid)[0].size(), 36U);
  delivery.done(Outcomes(1));
  sender.join();
}

TEST_F(HttpTest, HoldsNoThreadWhileRequestsWait) {
  Start();
  constexpr int kSenders = 40;  // more than it has threads
  std::vector<std::thread> senders;
  for (int i = 0; i < kSenders; ++i)
    senders.emplace_back([&] { EXPECT_EQ(Status_(R"({"data":"waits"})"), 200); });
  std::vector<pipeline::Delivery> deliveries;
  for (int i = 0; i < kSenders; ++i) deliveries.push_back(intake_.Next());
  for (auto& delivery : deliveries) delivery.done(Outcomes(1));
  for (std::thread& sender : senders) sender.join();
}

TEST_F(HttpTest, TakesBatches) {
  Start();
  for (const char* body : {R"([{"uuid":"1"},{"uuid":"2"}])", "{\"uuid\":\"1\"}\n{\"uuid\":\"2\"}\n"}) {
    std::thread sender([&] {
      const net::HttpAnswer answer = Send(body, kLists);
      EXPECT_EQ(answer.status, 503);
      EXPECT_EQ(answer.headers.Find("Retry-After").value_or(""), "1");
      EXPECT_NE(answer.body.find(
                    R"({"outcome":"accepted","uuid":"1"},{"outcome":"failed","uuid":"2","reason":"no"})"),
                std::string::npos)
          << answer.body;
    });
    pipeline::Delivery delivery = intake_.Next();
    ASSERT_EQ(delivery.batch.rows(), 2);
    delivery.done({{OutcomeKind::kAccepted, ""}, {OutcomeKind::kFailed, "no"}});
    sender.join();
  }
}

TEST_F(HttpTest, SaysWhichRecordsCannotBeRead) {
  intake_.SettleAll({});
  Start();
  const std::string body = "{\"uuid\":\"1\"}\n{\"uuid\":2}\n{\"uuid\":\"3\"}\n";
  const net::HttpAnswer plain = Send(body);
  EXPECT_EQ(plain.status, 400);  // none was taken
  EXPECT_NE(plain.body.find("record 1"), std::string::npos) << plain.body;
  EXPECT_EQ(intake_.offers(), 0U);
  const net::HttpAnswer listed = Send(body, kLists);
  EXPECT_EQ(listed.status, 400);
  EXPECT_NE(listed.body.find(R"("accepted":2,"duplicate":0,"rejected":1,"failed":0)"), std::string::npos)
      << listed.body;
  EXPECT_EQ(intake_.offers(), 1U);
}

TEST_F(HttpTest, AsksForTokens) {
  intake_.SettleAll({});
  Start(", tokens: {acme: t1, other: t2}");
  const net::HttpAnswer refused = Send("{}");
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.headers.Find("WWW-Authenticate").value_or(""), "Bearer");
  EXPECT_EQ(Status_(std::string(3 << 20, ' ')), 401);
  EXPECT_EQ(Status_("{}", {{"Authorization", "Bearer t3"}}), 401);
  EXPECT_EQ(Send("", {}, "GET").status, 401);
  EXPECT_EQ(Status_("{}", {{"Authorization", "Bearer t1"}}), 200);
  EXPECT_EQ(Status_(R"({"tenant_id":"acme"})", {{"Authorization", "Bearer t1"}}), 200);
  EXPECT_EQ(Status_(R"({"tenant_id":"other"})", {{"Authorization", "Bearer t1"}}), 403);
}

TEST_F(HttpTest, TellsWhichTenantsMayNotBeHere) {
  intake_.SettleAll({});
  Start(", tokens: {acme: t1}");
  const net::Headers headers = {{"Authorization", "Bearer t1"}, {"Accept", "application/json"}};
  const net::HttpAnswer mixed =
      Send(R"([{"uuid":"1","tenant_id":"other"},{"uuid":"2"},{"uuid":3}])", headers);
  EXPECT_EQ(mixed.status, 422);
  EXPECT_NE(mixed.body.find(R"("accepted":1,"duplicate":0,"rejected":2,"failed":0)"), std::string::npos)
      << mixed.body;
  EXPECT_NE(mixed.body.find(R"({"outcome":"accepted","uuid":"2"})"), std::string::npos) << mixed.body;
  EXPECT_EQ(Send(R"({"tenant_id":"other"})", headers).status, 403);
}

TEST_F(HttpTest, GivesTheTenantOfTheToken) {
  Start(", tokens: {acme: t1}");
  std::thread sender([&] { EXPECT_EQ(Status_("{}", {{"Authorization", "Bearer t1"}}), 200); });
  pipeline::Delivery delivery = intake_.Next();
  EXPECT_EQ(delivery.tenant, "acme");
  delivery.done(Outcomes(1));
  sender.join();
}

TEST_F(HttpTest, RefusesWhatIsOverALimit) {
  intake_.SettleAll({});
  Start(", tenants: [a, b], rate: 2, max_body: 1KiB");
  EXPECT_EQ(Status_(R"({"tenant_id":"a","data":")" + std::string(2000, 'x') + "\"}"), 413);
  EXPECT_EQ(Status_(R"({"tenant_id":"c"})"), 403);
  EXPECT_EQ(Status_(R"([{"tenant_id":"a"},{"tenant_id":"a"}])"), 200);
  const net::HttpAnswer answer = Send(R"([{"tenant_id":"a"},{"tenant_id":"a"}])");
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.headers.Find("Retry-After").value_or(""), "1");
  EXPECT_EQ(Status_(R"({"tenant_id":"b"})"), 200);
  EXPECT_EQ(Status_("{}", {{"Content-Type", "image/png"}}), 415);
  EXPECT_EQ(Status_(R"({"tenant_id":"b"})", {{"Content-Type", "application/json; charset=utf-8"}}), 200);
}

TEST_F(HttpTest, WaitsForRoom) {
  intake_.Answer(MakeError(ErrorCode::kResourceExhausted, "full"));
  Start(", patience: 100ms");
  const net::HttpAnswer full = Send("{}");
  EXPECT_EQ(full.status, 503);
  EXPECT_EQ(full.headers.Find("Retry-After").value_or(""), "1");
  EXPECT_GE(intake_.offers(), 2U);
  intake_.Answer(MakeError(ErrorCode::kUnavailable, "stops"));
  EXPECT_EQ(Status_("{}"), 503);
}

// Not as a writer that fails, which the original answers with 500.
TEST_F(HttpTest, AFullSpoolIsFullForThoseWhoAskForNoListToo) {
  Start();
  std::thread sender([&] {
    const net::HttpAnswer full = Send("{}");
    EXPECT_EQ(full.status, 503);
    EXPECT_EQ(full.headers.Find("Retry-After").value_or(""), "1");
    EXPECT_NE(full.body.find("the spool is full"), std::string::npos) << full.body;
  });
  intake_.Next().done({{OutcomeKind::kFailed, std::string(pipeline::kSpoolIsFull)}});
  sender.join();
}

TEST_F(HttpTest, StopsWithAnswers) {
  Start();
  std::thread sender([&] { EXPECT_EQ(Status_("{}"), 200); });
  pipeline::Delivery delivery = intake_.Next();
  std::thread settler([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    delivery.done(Outcomes(1));
  });
  EXPECT_TRUE(ingestor_->Stop(std::chrono::seconds(10)).ok());
  sender.join();
  settler.join();
  EXPECT_TRUE(ingestor_->Stop(std::chrono::seconds(10)).ok());
}

TEST_F(HttpTest, SaysAtTheStartWhatIsWrong) {
  const auto said = [&](const std::string& yaml, const std::string& part) {
    auto made = bed_.MakeIngestor(yaml);
    ASSERT_FALSE(made.ok()) << yaml;
    EXPECT_NE(made.error().ToString().find(part), std::string::npos) << made.error().ToString();
  };
  said("{type: http}", "listen");
  said("{type: http, listen: here}", "no address");
  said("{type: http, listen: '127.0.0.1:70000'}", "no address");
  said("{type: http, listen: '0.0.0.0:0'}", "anonymous");
  said("{type: http, listen: '127.0.0.1:0', path: x}", "begins with");
  said("{type: http, listen: '127.0.0.1:0', tls_key: x}", "go together");
  said("{type: http, listen: '127.0.0.1:0', rate: -1}", "negative");
  EXPECT_TRUE(bed_.MakeIngestor("{type: http, listen: ':0', anonymous: true}").ok());
  Start();
  const std::string port = url_.substr(url_.rfind(':') + 1, url_.rfind('/') - url_.rfind(':') - 1);
  auto second = bed_.MakeIngestor("{type: http, listen: '127.0.0.1:" + port + "'}");
  ASSERT_TRUE(second.ok());
  const Status taken = (*second)->Start(intake_, {});
  ASSERT_FALSE(taken.ok());
  EXPECT_NE(taken.error().ToString().find("listen"), std::string::npos) << taken.error().ToString();
}

class WriterTest : public HttpTest {
 protected:
  void Open(const std::string& options = "", ErrorCode code = ErrorCode::kInternal) {
    auto made = bed_.MakeWriter("{type: http, url: '" + url_ + "'" + options + "}");
    ASSERT_TRUE(made.ok()) << made.error().ToString();
    writer_ = std::move(made).value();
    const Status opened = writer_->Open({});
    if (code == ErrorCode::kInternal) {
      ASSERT_TRUE(opened.ok()) << opened.error().ToString();
    } else {
      ASSERT_FALSE(opened.ok());
      EXPECT_EQ(opened.error().code(), code) << opened.error().ToString();
    }
  }

  static pipeline::Batch Many(int rows) {
    std::string text;
    for (int i = 0; i < rows; ++i) text += fmt::format("{{\"uuid\":\"{}\",\"data\":\"d{}\"}}\n", i, i);
    return BatchOf(text);
  }

  std::unique_ptr<pipeline::IngestionWriter> writer_;
};

TEST_F(WriterTest, SendsOneObjectAtATime) {
  intake_.SettleAll({});
  Start();
  Open();
  auto outcomes = writer_->Write(Many(100), {});
  ASSERT_TRUE(outcomes.ok()) << outcomes.error().ToString();
  EXPECT_EQ(outcomes->size(), 100U);
  for (const Outcome& outcome : *outcomes) EXPECT_EQ(outcome.kind, OutcomeKind::kAccepted) << outcome.reason;
  EXPECT_EQ(intake_.offers(), 100U);
}

TEST_F(WriterTest, SendsBatchesToItsLike) {
  intake_.SettleAll({OutcomeKind::kDuplicate, ""});
  Start();
  Open(", batch: 0");
  auto outcomes = writer_->Write(Many(100), {});
  ASSERT_TRUE(outcomes.ok()) << outcomes.error().ToString();
  EXPECT_EQ(intake_.offers(), 1U);
  EXPECT_EQ(outcomes->at(99).kind, OutcomeKind::kDuplicate);
  Open(", batch: 30, connections: 2");
  ASSERT_TRUE(writer_->Write(Many(100), {}).ok());
  EXPECT_EQ(intake_.offers(), 5U);
  Open(", batch: 100, max_body: 8KiB");
  ASSERT_TRUE(writer_->Write(Many(100), {}).ok());
  EXPECT_GT(intake_.offers(), 6U);
}

TEST_F(WriterTest, TellsWhatBecameOfEach) {
  Start();
  Open(", batch: 10");
  std::thread settler([&] {
    pipeline::Delivery delivery = intake_.Next();
    delivery.done(
        {{OutcomeKind::kAccepted, ""}, {OutcomeKind::kRejected, "bad"}, {OutcomeKind::kFailed, "later"}});
  });
  auto outcomes = writer_->Write(Many(3), {});
  settler.join();
  ASSERT_TRUE(outcomes.ok()) << outcomes.error().ToString();
  EXPECT_EQ(outcomes->at(0).kind, OutcomeKind::kAccepted);
  EXPECT_EQ(outcomes->at(1).kind, OutcomeKind::kRejected);
  EXPECT_EQ(outcomes->at(1).reason, "bad");
  EXPECT_EQ(outcomes->at(2).kind, OutcomeKind::kFailed);
}

TEST_F(WriterTest, RefusesAWrongTokenAtTheStart) {
  Start(", token: right");
  Open(", token: right");
  Open(", token: wrong", ErrorCode::kUnauthenticated);
  Open("", ErrorCode::kUnauthenticated);
}

TEST_F(WriterTest, WaitsForAServerThatIsNotThereYet) {
  Start();
  ASSERT_TRUE(ingestor_->Stop(std::chrono::seconds(1)).ok());
  ingestor_.reset();
  Open(", batch: 0");
  auto outcomes = writer_->Write(Many(50), {});
  ASSERT_FALSE(outcomes.ok());
  EXPECT_TRUE(IsRetryable(outcomes.error().code())) << outcomes.error().ToString();
}

// A server that is not ours.
class Foreign final : public net::HttpHandler {
 public:
  net::HttpResponse Handle(net::HttpRequest& request) override {
    if (request.method != "POST") return net::TextResponse(404, "what?");
    if (request.body.find("slow") != std::string::npos)
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
    const bool is_bad = request.body.find("\"7\"") != std::string::npos;
    return net::TextResponse(is_bad ? 400 : status.load(), is_bad ? "not this one" : "fine");
  }
  std::atomic<int> status = 200;
};

TEST_F(WriterTest, SpeaksWithOthers) {
  Foreign foreign;
  auto server = net::HttpServer::Start({{}}, foreign);
  ASSERT_TRUE(server.ok());
  url_ = (*server)->url() + "/hook";
  for (const char* options : {", batch: 1", ", batch: 0", ", batch: 64"}) {
    Open(options);
    foreign.status = 200;
    auto outcomes = writer_->Write(Many(20), {});
    ASSERT_TRUE(outcomes.ok()) << outcomes.error().ToString();
    for (size_t i = 0; i < 20; ++i)
      EXPECT_EQ(outcomes->at(i).kind, i == 7 ? OutcomeKind::kRejected : OutcomeKind::kAccepted)
          << i << options;
    EXPECT_NE(outcomes->at(7).reason.find("not this one"), std::string::npos);
    foreign.status = 502;
    outcomes = writer_->Write(Many(5), {});
    ASSERT_FALSE(outcomes.ok());
    EXPECT_EQ(outcomes.error().code(), ErrorCode::kUnavailable);
  }
  Open(", timeout: 100ms");
  foreign.status = 200;
  auto late = writer_->Write(BatchOf("{\"data\":\"slow\"}\n"), {});
  ASSERT_FALSE(late.ok());
  EXPECT_TRUE(IsRetryable(late.error().code()));
  (*server)->Stop(std::chrono::seconds(1));
}

TEST_F(WriterTest, RefusesOptionsThatMakeNoSense) {
  const auto said = [&](const std::string& yaml, const std::string& part) {
    auto made = bed_.MakeWriter(yaml);
    ASSERT_FALSE(made.ok()) << yaml;
    EXPECT_NE(made.error().ToString().find(part), std::string::npos) << made.error().ToString();
  };
  said("{type: http}", "url");
  said("{type: http, url: ftp://x}", "no URL");
  said("{type: http, url: 'http://x', batch: -1}", "batch");
  said("{type: http, url: 'http://x', connections: 0}", "1 to");
  said("{type: http, url: 'http://x', timeout: 0s}", "more than 0");
  said("{type: http, url: 'http://x', headers: {\"X\\nY\": z}}", "header");
}

}  // namespace
}  // namespace sluice::connectors::http
