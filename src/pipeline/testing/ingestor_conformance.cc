#include <arrow/api.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "pipeline/record.h"
#include "pipeline/testing/conformance.h"
#include "pipeline/testing/scripted.h"

namespace sluice::pipeline::testing {
namespace {

// A pipeline that answers as it is told, on a thread of its own. Knows what came and where the upstream
// stands after what was done.
class ScriptedIntake final : public Intake {
 public:
  // For each row: its uuid, and how often it came before.
  std::function<OutcomeKind(const std::string& uuid, int times)> decide = [](const std::string&, int) {
    return OutcomeKind::kAccepted;
  };
  std::atomic<int> refuse_offers = 0;  // so many offers find no room
  std::atomic<bool> holds_back = false;

  ScriptedIntake() {
    thread_ = std::jthread([this](const std::stop_token& stop) { Answer(stop); });
  }

  Status Offer(Delivery delivery, std::chrono::milliseconds) override {
    if (refuse_offers > 0) {
      --refuse_offers;
      return Error(ErrorCode::kResourceExhausted, "full");
    }
    std::lock_guard lock(mutex_);
    EXPECT_TRUE(delivery.batch.next.empty() ||
                delivery.batch.next.size() == static_cast<size_t>(delivery.batch.rows()));
    EXPECT_TRUE(std::is_sorted(delivery.batch.next.begin(), delivery.batch.next.end()));
    EXPECT_TRUE(delivery.batch.records->schema()->Equals(*RecordSchema()));
    waiting_.push_back(std::move(delivery));
    changed_.notify_all();
    return {};
  }

  std::map<std::string, int> came() {
    std::lock_guard lock(mutex_);
    return came_;
  }
  size_t done() {
    std::lock_guard lock(mutex_);
    return done_.size();
  }
  Places places() {
    std::lock_guard lock(mutex_);
    return places_;
  }
  void Close() {
    thread_.request_stop();
    thread_.join();
  }

 private:
  void Answer(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait_for(lock, stop, std::chrono::milliseconds(20),
                        [&] { return !waiting_.empty() && !holds_back; });
      if (stop.stop_requested()) return;
      if (waiting_.empty() || holds_back) continue;
      Delivery delivery = std::move(waiting_.front());
      waiting_.pop_front();
      const auto& uuids = static_cast<const arrow::StringArray&>(*delivery.batch.records->column(0));
      Outcomes outcomes;
      bool is_done = true;
      for (int64_t row = 0; row < uuids.length(); ++row) {
        const std::string uuid = uuids.GetString(row);
        const OutcomeKind kind = decide(uuid, came_[uuid]++);
        outcomes.push_back({kind, kind == OutcomeKind::kFailed ? "later" : ""});
        if (kind == OutcomeKind::kFailed) {
          is_done = false;
        } else {
          done_.insert(uuid);
        }
      }
      if (is_done) {
        for (const auto& [partition, place] : delivery.batch.places) places_[partition] = place;
      }
      lock.unlock();
      if (delivery.done) delivery.done(outcomes);
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Delivery> waiting_;
  std::map<std::string, int> came_;
  std::set<std::string> done_;
  Places places_;
  std::jthread thread_;
};

std::string Lines(const std::string& prefix, int from, int to) {
  std::string text;
  for (int i = from; i < to; ++i)
    text += fmt::format("{{\"uuid\":\"{}{}\",\"data\":\"text {}\"}}\n", prefix, i, i);
  return text;
}

std::unique_ptr<Ingestor> Started(const IngestorBench& bench, ScriptedIntake& intake,
                                  const Places& from = {}) {
  auto ingestor = bench.make();
  if (!ingestor.ok()) {
    ADD_FAILURE() << "cannot be made: " << ingestor.error().ToString();
    return nullptr;
  }
  const Status status = (*ingestor)->Start(intake, from);
  if (!status.ok()) {
    ADD_FAILURE() << "cannot be started: " << status.error().ToString();
    return nullptr;
  }
  return *std::move(ingestor);
}

constexpr std::chrono::milliseconds kDeadline(5000);

}  // namespace

void CheckIngestor(const IngestorBench& bench, const IngestorQuirks& quirks) {
  Places places;
  {
    SCOPED_TRACE("all of it comes, also when there is no room at first");
    ScriptedIntake intake;
    intake.refuse_offers = 3;
    bench.send(Lines("a", 0, 250));
    auto ingestor = Started(bench, intake);
    if (!ingestor) return;
    EXPECT_TRUE(Eventually([&] { return intake.done() == 250; })) << intake.done();
    for (const auto& [uuid, times] : intake.came()) EXPECT_EQ(times, 1) << uuid;
    if (quirks.is_finite) {
      EXPECT_TRUE(Eventually([&] { return ingestor->is_finished(); }));
    }
    EXPECT_TRUE(ingestor->health().ok());
    EXPECT_TRUE(ingestor->Stop(kDeadline).ok());
    EXPECT_TRUE(ingestor->Stop(kDeadline).ok()) << "stopping may be repeated";
    places = intake.places();
    EXPECT_EQ(places.empty(), !quirks.has_positions);
  }
  if (quirks.has_positions) {
    SCOPED_TRACE("it goes on where it ended");
    ScriptedIntake intake;
    bench.send(Lines("b", 0, 10));
    auto ingestor = Started(bench, intake, places);
    if (!ingestor) return;
    EXPECT_TRUE(Eventually([&] { return intake.done() == 10; }));
    EXPECT_TRUE(ingestor->Stop(kDeadline).ok());
    for (const auto& [uuid, times] : intake.came()) EXPECT_EQ(uuid[0], 'b') << uuid << " came again";
    places = intake.places();
  }
  if (quirks.delivers_again) {
    SCOPED_TRACE("what failed comes again, what was rejected does not");
    ScriptedIntake intake;
    intake.decide = [](const std::string& uuid, int times) {
      if (uuid.ends_with('7')) return OutcomeKind::kRejected;
      return uuid.ends_with('3') && times < 2 ? OutcomeKind::kFailed : OutcomeKind::kAccepted;
    };
    bench.send(Lines("c", 0, 40));
    auto ingestor = Started(bench, intake, places);
    if (!ingestor) return;
    EXPECT_TRUE(Eventually([&] { return intake.done() >= 40; }));
    EXPECT_TRUE(ingestor->Stop(kDeadline).ok());
    for (const auto& [uuid, times] : intake.came()) {
      if (uuid[0] != 'c') continue;
      EXPECT_EQ(times, uuid.ends_with('3') ? 3 : 1) << uuid;
    }
  }
  {
    SCOPED_TRACE("stopping waits for outcomes, and not longer than told");
    ScriptedIntake intake;
    intake.holds_back = true;
    bench.send(Lines("d", 0, 5));
    auto ingestor = Started(bench, intake, places);
    if (!ingestor) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    const auto start = std::chrono::steady_clock::now();
    static_cast<void>(ingestor->Stop(std::chrono::milliseconds(300)));
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(4));
    intake.Close();
  }
}

}  // namespace sluice::pipeline::testing
