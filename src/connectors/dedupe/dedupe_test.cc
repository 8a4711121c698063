#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>

#include "connectors/dedupe/connector.h"
#include "connectors/dedupe/window.h"
#include "pipeline/testing/bed.h"
#include "pipeline/testing/scripted.h"

namespace sluice::connectors {
namespace {

using dedupe::Window;
using pipeline::Batch;
using pipeline::Column;
using pipeline::Outcome;
using pipeline::OutcomeKind;
using pipeline::testing::BatchOf;
using pipeline::testing::ColumnOf;
using std::chrono::milliseconds;
using Texts = std::vector<std::string>;

class DedupeTest : public ::testing::Test {
 protected:
  DedupeTest() : bed_(RegisterDedupe) {}

  void Make(const std::string& options = "") {
    auto made = bed_.MakeProcessor("{type: dedupe" + options + "}");
    ASSERT_TRUE(made.ok()) << made.error().ToString();
    processor_ = std::move(made).value();
  }
  Batch RunOn(const std::string& records) {
    std::vector<pipeline::Processor::Reject> rejected;
    auto out = processor_->Process(BatchOf(records), &rejected, {});
    EXPECT_TRUE(out.ok());
    return *out;
  }
  static void Settle(const Batch& batch, OutcomeKind kind) {
    for (const auto& watcher : batch.watchers) {
      for (int64_t row = 0; row < 10; ++row) watcher->Settled(row, {kind, "so"});
    }
  }

  pipeline::testing::Bed bed_;
  std::unique_ptr<pipeline::Processor> processor_;
};

TEST_F(DedupeTest, LeavesOutWhatWasStored) {
  Make();
  Settle(RunOn("{\"uuid\":\"1\"}\n{\"uuid\":\"2\"}\n"), OutcomeKind::kAccepted);
  const Batch out = RunOn("{\"uuid\":\"3\"}\n{\"uuid\":\"2\"}\n{\"uuid\":\"4\"}\n");
  EXPECT_EQ(ColumnOf(out, Column::kUuid), (Texts{"3", "4"}));
  EXPECT_EQ(out.origins, (std::vector<int32_t>{0, 2}));
  ASSERT_EQ(out.followers.size(), 1U);
  EXPECT_EQ(out.followers[0].input_row, 1);
  EXPECT_EQ(out.followers[0].fates, nullptr);
}

TEST_F(DedupeTest, LetsThroughWhatWasNotStored) {
  Make();
  Settle(RunOn("{\"uuid\":\"1\"}\n"), OutcomeKind::kFailed);
  Settle(RunOn("{\"uuid\":\"1\"}\n"), OutcomeKind::kRejected);
  EXPECT_EQ(RunOn("{\"uuid\":\"1\"}\n").rows(), 1);  // and this batch is given up without an outcome
  EXPECT_EQ(RunOn("{\"uuid\":\"1\"}\n").rows(), 1);
}

TEST_F(DedupeTest, RepeatsInABatchFollowTheFirst) {
  Make();
  const Batch out = RunOn(R"({"uuid":"1","data_id":"7","tenant_id":"a"})"
                          "\n"
                          R"({"uuid":"2","data_id":"7","tenant_id":"a"})"
                          "\n"
                          R"({"uuid":"3","data_id":"7","tenant_id":"b"})"
                          "\n"
                          R"({"uuid":"3","tenant_id":"b"})"
                          "\n"
                          R"({"uuid":"3","tenant_id":"c"})"
                          "\n");
  EXPECT_EQ(ColumnOf(out, Column::kUuid), (Texts{"1", "3", "3"}));
  ASSERT_EQ(out.followers.size(), 2U);
  EXPECT_EQ(out.followers[0].input_row, 1);
  EXPECT_EQ(out.followers[0].other, 0);
  EXPECT_EQ(out.followers[1].input_row, 3);
  EXPECT_EQ(out.followers[1].other, 2);
}

TEST_F(DedupeTest, ARepeatOfWhatIsUnderWayFollowsIt) {
  Make();
  Batch first = RunOn("{\"uuid\":\"1\"}\n{\"uuid\":\"2\"}\n");
  const Batch out = RunOn("{\"uuid\":\"2\"}\n");
  EXPECT_EQ(out.rows(), 0);
  ASSERT_EQ(out.followers.size(), 1U);
  const auto& follower = out.followers[0];
  EXPECT_EQ(follower.fates->Find(follower.other), std::nullopt);
  first.watchers[0]->Settled(1, {OutcomeKind::kRejected, "too long"});
  EXPECT_EQ(follower.fates->Find(follower.other)->reason, "too long");
  EXPECT_EQ(RunOn("{\"uuid\":\"2\"}\n").rows(), 1);
  // And what is given up has failed.
  const auto given_up = RunOn("{\"uuid\":\"1\"}\n").followers;
  first = Batch();
  EXPECT_EQ(given_up.at(0).fates->Find(given_up[0].other)->kind, OutcomeKind::kFailed);
}

TEST_F(DedupeTest, NoTwoPartsOfSplitRecordsWaitForEachOther) {
  Make();
  Batch split =
      BatchOf("{\"uuid\":\"a\"}\n{\"uuid\":\"b\"}\n{\"uuid\":\"b\"}\n{\"uuid\":\"a\"}\n{\"uuid\":\"a\"}\n");
  split.origins = {0, 1, 0, 1, 0};
  std::vector<pipeline::Processor::Reject> rejected;
  const auto out = processor_->Process(split, &rejected, {});
  ASSERT_TRUE(out.ok());
  EXPECT_EQ(ColumnOf(*out, Column::kUuid), (Texts{"a", "b", "b"}));
  ASSERT_EQ(out->followers.size(), 1U);
  EXPECT_EQ(out->followers[0].input_row, 1);
  EXPECT_EQ(out->followers[0].other, 0);
}

TEST_F(DedupeTest, WhatCameFromAllRowsIsStoredWithThem) {
  Make();
  const auto make = [&] {
    Batch all = BatchOf("{\"uuid\":\"sum\"}\n{\"uuid\":\"sum\"}\n");
    all.origins = {-1, -1};
    std::vector<pipeline::Processor::Reject> rejected;
    return *processor_->Process(all, &rejected, {});
  };
  Batch first = make();
  EXPECT_EQ(first.rows(), 1);
  EXPECT_EQ(make().rows(), 2);  // under way: the writer has to know it
  first.watchers[0]->Settled(3, {OutcomeKind::kAccepted, ""});
  EXPECT_EQ(make().rows(), 0);
}

TEST_F(DedupeTest, ComparesTheFieldsGiven) {
  Make(", fields: [data, metadata.id]");
  const Batch out = RunOn(
      "{\"uuid\":\"1\",\"data\":\"x\",\"metadata\":{\"id\":1}}\n{\"uuid\":\"2\",\"data\":\"x\",\"metadata\":{\"id\":2}}\n"
      "{\"uuid\":\"3\",\"data\":\"x\",\"metadata\":{\"id\":1}}\n{\"uuid\":\"4\"}\n{\"uuid\":\"5\"}\n");
  EXPECT_EQ(ColumnOf(out, Column::kUuid), (Texts{"1", "2", "4", "5"}));
}

TEST_F(DedupeTest, RefusesOptionsThatMakeNoSense) {
  for (const char* options : {", by: [id]", ", fields: [dta]", ", window: 0s", ", max_records: 0"})
    EXPECT_FALSE(bed_.MakeProcessor(std::string("{type: dedupe") + options + "}").ok()) << options;
}

// In a running pipeline.
class DedupeRunTest : public ::testing::Test {
 protected:
  void Start(const std::string& more = "") {
    RegisterDedupe(fake_.registry);
    fake_.store.concurrency = 2;
    auto runner = fake_.Start("processors: [{type: dedupe}]\ndead_letter: {type: graveyard}\n" + more);
    ASSERT_TRUE(runner.ok()) << runner.error().ToString();
    runner_ = *std::move(runner);
  }
  // What the writer answers on its first call, once it is let go.
  void HoldFirst(Outcome outcome) {
    fake_.store.on_write = [this, outcome](const Batch& batch, int call) -> Result<pipeline::Outcomes> {
      if (call > 1) return fake_.store.Take(batch);
      entered_.count_down();
      let_go_.wait();
      if (outcome.kind == OutcomeKind::kAccepted) return fake_.store.Take(batch);
      return pipeline::Outcomes(static_cast<size_t>(batch.rows()), outcome);
    };
  }
  // Two senders of the same record: the second begins while the first one's is being written.
  std::pair<Outcome, Outcome> SendTwice() {
    std::pair<Outcome, Outcome> told;
    std::jthread first([&] { told.first = fake_.door.Send(BatchOf("{\"uuid\":\"a\"}")).at(0); });
    entered_.wait();
    std::atomic<bool> is_told = false;
    std::jthread second([&] {
      told.second = fake_.door.Send(BatchOf("{\"uuid\":\"a\",\"data\":\"again\"}")).at(0);
      is_told = true;
    });
    std::this_thread::sleep_for(milliseconds(50));
    EXPECT_FALSE(is_told) << "it was acknowledged before the first one is stored";
    let_go_.count_down();
    first.join();
    second.join();
    return told;
  }

  std::latch entered_{1}, let_go_{1};
  pipeline::testing::ScriptedConnectors fake_;
  std::unique_ptr<pipeline::Runner> runner_;
};

TEST_F(DedupeRunTest, ARepeatIsNotAcknowledgedBeforeTheFirstIsStored) {
  HoldFirst({OutcomeKind::kAccepted, ""});
  Start();
  const auto [first, second] = SendTwice();
  EXPECT_EQ(first.kind, OutcomeKind::kAccepted);
  EXPECT_EQ(second.kind, OutcomeKind::kDuplicate);
  EXPECT_EQ(fake_.store.counts().at("a"), 1);
  EXPECT_EQ(fake_.door.Send(BatchOf("{\"uuid\":\"a\"}")).at(0).kind, OutcomeKind::kDuplicate);
  EXPECT_EQ(fake_.store.counts().at("a"), 1);
}

TEST_F(DedupeRunTest, ARepeatOfARejectedRecordIsInTheDeadLettersToo) {
  HoldFirst({OutcomeKind::kRejected, "too long"});
  Start();
  const auto [first, second] = SendTwice();
  EXPECT_EQ(first.kind, OutcomeKind::kRejected);
  EXPECT_EQ(second.kind, OutcomeKind::kRejected);
  EXPECT_NE(second.reason.find("too long"), std::string::npos) << second.reason;
  EXPECT_EQ(fake_.graveyard.counts().at("a"), 2);
  EXPECT_EQ(fake_.door.Send(BatchOf("{\"uuid\":\"a\"}")).at(0).kind, OutcomeKind::kAccepted);
}

TEST_F(DedupeRunTest, ARepeatOfAFailedRecordHasToComeAgain) {
  HoldFirst({OutcomeKind::kFailed, "away"});
  Start("retry: {attempts: 1, initial: 1ms}");
  const auto [first, second] = SendTwice();
  EXPECT_EQ(first.kind, OutcomeKind::kFailed);
  EXPECT_EQ(second.kind, OutcomeKind::kFailed);
  EXPECT_EQ(fake_.door.Send(BatchOf("{\"uuid\":\"a\"}")).at(0).kind, OutcomeKind::kAccepted);
}

TEST_F(DedupeRunTest, RepeatsInABatchAreAnsweredLikeTheFirst) {
  fake_.store.on_write = [this](const Batch& batch, int) -> Result<pipeline::Outcomes> {
    auto outcomes = fake_.store.Take(batch);
    outcomes[0] = {OutcomeKind::kRejected, "bad"};
    return outcomes;
  };
  Start();
  const auto outcomes = fake_.door.Send(
      BatchOf("{\"uuid\":\"a\"}\n{\"uuid\":\"b\"}\n{\"uuid\":\"a\"}\n{\"uuid\":\"b\"}\n{\"uuid\":\"a\"}\n"));
  std::vector<OutcomeKind> kinds;
  for (const auto& outcome : outcomes) kinds.push_back(outcome.kind);
  using enum OutcomeKind;
  EXPECT_EQ(kinds, (std::vector<OutcomeKind>{kRejected, kAccepted, kRejected, kDuplicate, kRejected}));
  EXPECT_EQ(fake_.graveyard.counts().at("a"), 3);
}

TEST_F(DedupeRunTest, ManySendersOfTheSameRecordsStoreEachOnce) {
  // The writer refuses for now, for good, and takes, in turns.
  fake_.store.on_write = [this](const Batch& batch, int call) -> Result<pipeline::Outcomes> {
    if (call % 3 == 0) return MakeError(ErrorCode::kUnavailable, "away");
    std::this_thread::sleep_for(milliseconds(1));
    return fake_.store.Take(batch);
  };
  Start("circuit: {failures: 1000}\nretry: {attempts: 3, initial: 1ms, max: 2ms}\nbatch: {max_records: 7}");
  std::vector<std::jthread> senders;
  for (int sender = 0; sender < 6; ++sender) {
    senders.emplace_back([this] {
      for (int i = 0; i < 40; ++i) {
        const auto batch = pipeline::testing::Numbered("x", i, i + 5);
        for (bool is_done = false; !is_done;) {
          is_done = true;
          for (const auto& outcome : fake_.door.Send(batch)) is_done = is_done && outcome.is_final();
        }
      }
    });
  }
  senders.clear();
  EXPECT_EQ(fake_.store.counts().size(), 44U);
  for (const auto& [uuid, count] : fake_.store.counts()) EXPECT_EQ(count, 1) << uuid;
  EXPECT_TRUE(runner_->Stop().ok());
}

TEST(WindowTest, ForgetsWithTime) {
  Window window(milliseconds(100), 1000);
  const Window::Clock::time_point start{};
  const std::vector<dedupe::Key> keys = {window.KeyOf('u', {"1"})};
  EXPECT_EQ(window.Find(keys, start).state, Window::State::kNew);
  window.Enter(keys, std::make_shared<pipeline::Fates>(), 0);
  EXPECT_EQ(window.Find(keys, start + milliseconds(500)).state, Window::State::kUnderWay);
  window.Store(keys, start);
  EXPECT_EQ(window.Find(keys, start + milliseconds(99)).state, Window::State::kStored);
  EXPECT_EQ(window.Find(keys, start + milliseconds(100)).state, Window::State::kNew);
  EXPECT_NE(window.KeyOf('u', {"ab", "c"}), window.KeyOf('u', {"a", "bc"}));
  EXPECT_NE(window.KeyOf('u', {"a"}), window.KeyOf('k', {"a"}));
}

TEST(WindowTest, KeepsNoMoreThanItMay) {
  Window window(std::chrono::hours(1), 100);
  const Window::Clock::time_point now{};
  for (int i = 0; i < 10'000; ++i) window.Store({window.KeyOf('u', {std::to_string(i)})}, now);
  EXPECT_LE(window.size(), 101U);
  EXPECT_EQ(window.Find({window.KeyOf('u', {"9999"})}, now).state, Window::State::kStored);
  EXPECT_EQ(window.Find({window.KeyOf('u', {"1"})}, now).state, Window::State::kNew);
}

}  // namespace
}  // namespace sluice::connectors
