#include <gtest/gtest.h>

#include <cstdlib>

#include "connectors/sqs/connector.h"
#include "connectors/sqs/queue.h"
#include "pipeline/registry.h"
#include "pipeline/testing/conformance.h"

// Against the queues that SLUICE_TEST_QUEUES names, two URLs, the second of a FIFO queue;
// tests/e2e/pipeline_sqs_test.py starts the servers and this program.
namespace sluice::connectors {
namespace {

class SqsServerTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    const char* queues = std::getenv("SLUICE_TEST_QUEUES");
    ASSERT_NE(queues, nullptr) << "run tests/e2e/pipeline_sqs_test.py";
    const std::string urls(queues);
    url_ = GetParam() == 0 ? urls.substr(0, urls.find(' ')) : urls.substr(urls.find(' ') + 1);
    RegisterSqs(registry_);
    maker_ = std::make_unique<pipeline::testing::ConnectorMaker>(registry_, "/nonexistent");
    sqs::QueueOptions options;
    options.queue_url = url_;
    options.signing = {.region = "us-east-1",
                       .service = "sqs",
                       .access_key_id = "a",
                       .secret_access_key = "b",
                       .session_token = {}};
    auto queue = sqs::Queue::Make(options);
    ASSERT_TRUE(queue.ok());
    queue_ = std::move(queue).value();
  }
  std::string Yaml(const std::string& more) const {
    return "{type: sqs, queue_url: '" + url_ +
           "', region: us-east-1, access_key_id: a, secret_access_key: b" + more + "}";
  }
  // What is in the queue, and all that was in it before: bodies are taken and remembered.
  std::vector<std::string> Stored() {
    while (true) {
      auto messages = queue_->Receive(std::chrono::seconds(0), std::chrono::seconds(60), {});
      EXPECT_TRUE(messages.ok()) << (messages.ok() ? "" : messages.error().ToString());
      if (!messages.ok() || messages->empty()) return stored_;
      std::vector<std::string> receipts;
      for (const auto& message : *messages) {
        stored_.push_back(message.body);
        receipts.push_back(message.receipt);
      }
      EXPECT_TRUE(queue_->Delete(receipts, {}).ok());
    }
  }
  void Send(const std::string& ndjson) {
    for (size_t at = 0; at < ndjson.size();) {
      std::vector<sqs::Outgoing> entries;
      while (entries.size() < sqs::kMaxEntries && at < ndjson.size()) {
        const size_t end = ndjson.find('\n', at);
        std::string body = ndjson.substr(at, end - at);
        at = end + 1;
        const std::string id = "id-" + std::to_string(std::hash<std::string>()(body));
        entries.push_back({.body = std::move(body), .group = id, .deduplication_id = id});
      }
      const auto sent = queue_->Send(entries, {});
      ASSERT_TRUE(sent.ok()) << sent.error().ToString();
      for (const auto& one : *sent) ASSERT_TRUE(one.is_done) << one.reason;
    }
  }

  std::string url_;
  pipeline::Registry registry_;
  std::unique_ptr<pipeline::testing::ConnectorMaker> maker_;
  std::unique_ptr<sqs::Queue> queue_;
  std::vector<std::string> stored_;
};

TEST_P(SqsServerTest, TheWriterConforms) {
  pipeline::testing::CheckWriter({[&] { return maker_->MakeWriter(Yaml("")); }, [&] { return Stored(); }},
                                 {.is_idempotent = false, .knows_identifiers = false, .is_ordered = false});
}

TEST_P(SqsServerTest, TheIngestorConforms) {
  Stored();
  const char* receivers = std::getenv("SLUICE_TEST_RECEIVERS");
  // A call that a stop cut off may have taken messages: they come back soon.
  pipeline::testing::CheckIngestor(
      {[&] {
         return maker_->MakeIngestor(Yaml(", wait: 1s, visibility: 3s, retry_after: 1s, receivers: " +
                                          std::string(receivers == nullptr ? "2" : receivers)));
       },
       [&](const std::string& text) { Send(text); }},
      {.has_positions = false, .is_finite = false});
}

INSTANTIATE_TEST_SUITE_P(Kinds, SqsServerTest, ::testing::Values(0, 1),
                         [](const auto& info) { return info.param == 0 ? "Standard" : "Fifo"; });

}  // namespace
}  // namespace sluice::connectors
