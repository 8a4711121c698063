#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <thread>

#include "connectors/http/connector.h"
#include "connectors/http/ingestor.h"
#include "net/http_client.h"
#include "pipeline/testing/bed.h"
#include "pipeline/testing/conformance.h"

// Both directions against the suites: the ingestor with a client that sends until it is acknowledged, the
// writer with our own ingestor in front of a repository.
namespace sluice::connectors::http {
namespace {

using pipeline::Outcome;
using pipeline::OutcomeKind;
using pipeline::Outcomes;

// Sends each line in a request of its own, again and again until it is answered 200. Ends with the object.
class Client {
 public:
  explicit Client(std::string url) : url_(std::move(url)) {}

  void Send(const std::string& ndjson) {
    threads_.emplace_back([this, ndjson](const std::stop_token& stop) {
      auto client = net::HttpClient::Make({.proxy = ""});
      size_t begin = 0;
      while (begin < ndjson.size() && !stop.stop_requested()) {
        const size_t end = ndjson.find('\n', begin);
        net::HttpCall call;
        call.method = "POST";
        call.url = url_;
        call.body = ndjson.substr(begin, end - begin);
        call.timeout = std::chrono::seconds(10);
        const auto answer = (*client)->Send(call, stop);
        if (answer.ok() && answer->status == 200) {
          begin = end + 1;
        } else {
          std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
      }
    });
  }

 private:
  const std::string url_;
  std::vector<std::jthread> threads_;
};

TEST(HttpConformanceTest, Ingestor) {
  pipeline::testing::Bed bed(RegisterHttp);
  // A port that is free and stays the same for every ingestor of the suite.
  std::string port;
  {
    pipeline::testing::FakeIntake intake;
    auto first = bed.MakeIngestor("{type: http, listen: '127.0.0.1:0'}");
    ASSERT_TRUE(first.ok());
    ASSERT_TRUE((*first)->Start(intake, {}).ok());
    const std::string note = bed.notes().at(0);
    const size_t colon = note.rfind(':');
    port = note.substr(colon + 1, note.find('/', colon) - colon - 1);
    ASSERT_TRUE((*first)->Stop(std::chrono::seconds(1)).ok());
  }
  Client client("http://127.0.0.1:" + port + "/ingest");
  pipeline::testing::IngestorBench bench;
  bench.make = [&] {
    return bed.MakeIngestor("{type: http, listen: '127.0.0.1:" + port + "', patience: 10ms}");
  };
  bench.send = [&](const std::string& ndjson) { client.Send(ndjson); };
  pipeline::testing::IngestorQuirks quirks;
  quirks.delivers_again = false;  // it is the sender who does
  quirks.has_positions = false;
  quirks.is_finite = false;
  pipeline::testing::CheckIngestor(bench, quirks);
}

// Keeps records by uuid.
class Repository final : public pipeline::Intake {
 public:
  Status Offer(pipeline::Delivery delivery, std::chrono::milliseconds) override {
    Outcomes outcomes;
    const auto shown = pipeline::testing::Shown(delivery.batch);
    const auto uuids = pipeline::testing::ColumnOf(delivery.batch, pipeline::Column::kUuid);
    {
      std::lock_guard lock(mutex_);
      for (size_t row = 0; row < shown.size(); ++row) {
        const bool is_new = records_.emplace(uuids[row], shown[row]).second;
        outcomes.push_back({is_new ? OutcomeKind::kAccepted : OutcomeKind::kDuplicate, ""});
      }
    }
    delivery.done(outcomes);
    return {};
  }
  std::vector<std::string> stored() const {
    std::lock_guard lock(mutex_);
    std::vector<std::string> all;
    for (const auto& [uuid, record] : records_) all.push_back(record);
    return all;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> records_;
};

TEST(HttpConformanceTest, Writer) {
  for (const char* options : {"batch: 1", "batch: 0", "batch: 30"}) {
    SCOPED_TRACE(options);
    pipeline::testing::Bed bed(RegisterHttp);
    Repository repository;
    auto ingestor = bed.MakeIngestor("{type: http, listen: '127.0.0.1:0'}");
    ASSERT_TRUE(ingestor.ok());
    ASSERT_TRUE((*ingestor)->Start(repository, {}).ok());
    const std::string note = bed.notes().at(0);
    const std::string url = note.substr(note.find("http://"));
    pipeline::testing::WriterBench bench;
    bench.make = [&] { return bed.MakeWriter("{type: http, url: '" + url + "', " + options + "}"); };
    bench.stored = [&] { return repository.stored(); };
    pipeline::testing::WriterQuirks quirks;
    quirks.knows_identifiers = false;  // what the other side knows
    quirks.is_ordered = false;
    pipeline::testing::CheckWriter(bench, quirks);
    ASSERT_TRUE((*ingestor)->Stop(std::chrono::seconds(5)).ok());
  }
}

}  // namespace
}  // namespace sluice::connectors::http
