#include "pipeline/runner.h"

#include <arrow/api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <latch>
#include <thread>

#include "pipeline/testing/scripted.h"

namespace sluice::pipeline {
namespace {

using testing::BatchOf;
using ::testing::Each;
using testing::Eventually;
using ::testing::HasSubstr;
using testing::Numbered;
using testing::ScriptedConnectors;

std::string TempFolder(const std::string& name) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / ("runner_" + name);
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder.string();
}

// Holds a writer until it is let go.
class Barrier {
 public:
  void Wait() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return is_open_; });
  }
  void WaitForSomebody() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_ > 0; });
  }
  void Open() {
    std::lock_guard lock(mutex_);
    is_open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0;
  bool is_open_ = false;
};

TEST(RunnerTest, AcknowledgesWhatIsWrittenAndSaysWhatWasThereBefore) {
  ScriptedConnectors fake;
  auto runner = fake.Start("");
  ASSERT_TRUE(runner.ok()) << runner.error().ToString();
  auto outcomes = fake.door.Send(Numbered("a", 0, 3));
  ASSERT_EQ(outcomes.size(), 3U);
  for (const auto& one : outcomes) EXPECT_EQ(one.kind, OutcomeKind::kAccepted);
  outcomes = fake.door.Send(Numbered("a", 2, 4));
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kDuplicate);
  EXPECT_EQ(outcomes[1].kind, OutcomeKind::kAccepted);
  EXPECT_TRUE((*runner)->Stop().ok());
  EXPECT_EQ(fake.door.Send(Numbered("b", 0, 1))[0].kind, OutcomeKind::kFailed);
}

TEST(RunnerTest, TriesFailedRowsAgainAndOnlyThose) {
  ScriptedConnectors fake;
  fake.store.on_write = [&](const Batch& batch, int call) -> Result<Outcomes> {
    if (call > 1) return fake.store.Take(batch);
    Outcomes outcomes(static_cast<size_t>(batch.rows()));
    outcomes[1] = {OutcomeKind::kFailed, "later"};
    return outcomes;
  };
  auto runner = fake.Start("");
  ASSERT_TRUE(runner.ok());
  EXPECT_THAT(fake.door.Send(Numbered("a", 0, 3)), ::testing::SizeIs(3));
  EXPECT_EQ(fake.store.order(), std::vector<std::string>{"a1"});
  EXPECT_EQ(fake.store.batch_sizes(), (std::vector<int64_t>{3, 1}));
}

TEST(RunnerTest, AFaultAtAnyCallLosesAndDoublesNothing) {
  for (int fault = 1; fault < 12; ++fault) {
    ScriptedConnectors fake;
    fake.store.concurrency = fault % 3 + 1;
    fake.store.preferred_rows = 7;
    fake.store.on_write = [&](const Batch& batch, int call) -> Result<Outcomes> {
      if (call % fault == 0 && call < 40) return Error(ErrorCode::kUnavailable, "the server is gone");
      return fake.store.Take(batch);
    };
    auto runner = fake.Start("retry: {attempts: 100, initial: 1ms, max: 2ms}\ncircuit: {failures: 1000}");
    ASSERT_TRUE(runner.ok());
    std::vector<std::jthread> senders;
    std::atomic<int> bad = 0;
    for (int sender = 0; sender < 4; ++sender) {
      senders.emplace_back([&, sender] {
        for (int i = 0; i < 5; ++i) {
          for (const auto& one :
               fake.door.Send(Numbered("s" + std::to_string(sender) + "-", i * 5, i * 5 + 5)))
            bad += one.kind == OutcomeKind::kAccepted ? 0 : 1;
        }
      });
    }
    senders.clear();
    EXPECT_EQ(bad, 0) << "fault at every call number " << fault;
    const auto counts = fake.store.counts();
    EXPECT_EQ(counts.size(), 100U);
    for (const auto& [uuid, count] : counts) EXPECT_EQ(count, 1) << uuid;
  }
}

TEST(RunnerTest, GivesUpAfterTheAttemptsAndTellsTheUpstream) {
  ScriptedConnectors fake;
  fake.store.on_write = [](const Batch&, int) -> Result<Outcomes> {
    return Error(ErrorCode::kTimeout, "no answer");
  };
  auto runner = fake.Start("retry: {attempts: 3, initial: 1ms}");
  ASSERT_TRUE(runner.ok());
  const auto outcomes = fake.door.Send(Numbered("a", 0, 2));
  ASSERT_EQ(outcomes.size(), 2U);
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kFailed);
  EXPECT_THAT(outcomes[0].reason, HasSubstr("no answer"));
  EXPECT_EQ(fake.store.calls(), 3);
}

TEST(RunnerTest, AWriterThatIsOverEndsIt) {
  for (const std::string type : {"ingestor", "ordered_ingestor"}) {
    ScriptedConnectors fake;
    fake.store.on_write = [&](const Batch& batch, int call) -> Result<Outcomes> {
      if (call == 1) return fake.store.Take(batch);
      fake.store.is_over = true;
      return NotFound("nobody reads it");
    };
    auto runner =
        fake.Start("ingestors: [{type: " + type + "}]\nretry: {initial: 1h, max: 1h}\nshutdown: 1h");
    ASSERT_TRUE(runner.ok()) << runner.error().ToString();
    EXPECT_EQ(fake.door.Send(Numbered("a", 0, 2))[0].kind, OutcomeKind::kAccepted);
    EXPECT_TRUE((*runner)->fatal().ok());
    const auto outcomes = fake.door.Send(Numbered("a", 2, 4));
    EXPECT_EQ(outcomes[1].kind, OutcomeKind::kFailed);
    EXPECT_THAT(outcomes[1].reason, HasSubstr("nobody reads it"));
    EXPECT_THAT((*runner)->fatal().error().ToString(), HasSubstr("writer 'store': nobody reads it"));
    EXPECT_EQ((*runner)->ailments().back().stage, "pipeline");
    EXPECT_EQ(fake.door.Offer(Numbered("a", 4, 5)).error().code(), ErrorCode::kCancelled);
    EXPECT_TRUE((*runner)->Stop().ok());
    EXPECT_EQ(fake.store.calls(), 2);
  }
}

TEST(RunnerTest, TheCircuitOpensAndClosesAgain) {
  ScriptedConnectors fake;
  std::atomic<bool> is_down = true;
  fake.store.on_write = [&](const Batch& batch, int) -> Result<Outcomes> {
    if (is_down) return Error(ErrorCode::kUnavailable, "down");
    return fake.store.Take(batch);
  };
  auto runner = fake.Start("retry: {attempts: 2, initial: 1ms}\ncircuit: {failures: 2, pause: 50ms}");
  ASSERT_TRUE(runner.ok());
  EXPECT_EQ(fake.door.Send(Numbered("a", 0, 1))[0].kind, OutcomeKind::kFailed);
  const Status refused = fake.door.Offer(Numbered("a", 1, 2));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(refused.error().message(), HasSubstr("down"));
  EXPECT_FALSE((*runner)->ailments().empty());
  is_down = false;
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  EXPECT_EQ(fake.door.Send(Numbered("a", 1, 2))[0].kind, OutcomeKind::kAccepted);
  EXPECT_TRUE((*runner)->ailments().empty());
}

TEST(RunnerTest, RejectedRecordsGoToTheDeadLettersAsTheyCame) {
  ScriptedConnectors fake;
  fake.store.on_write = [&](const Batch& batch, int) -> Result<Outcomes> {
    Outcomes outcomes(static_cast<size_t>(batch.rows()));
    outcomes[0] = {OutcomeKind::kRejected, "it has a \"NUL\""};
    return outcomes;
  };
  auto runner = fake.Start("name: feedback\ndead_letter: {type: graveyard}");
  ASSERT_TRUE(runner.ok());
  const auto outcomes = fake.door.Send(BatchOf("{\"uuid\":\"x\",\"votes\":3}\n{\"uuid\":\"y\"}"));
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kRejected);
  EXPECT_EQ(outcomes[1].kind, OutcomeKind::kAccepted);
  ASSERT_EQ(fake.graveyard.order(), std::vector<std::string>{"x"});
  const std::string extra = fake.graveyard.extras()[0];
  EXPECT_THAT(extra, HasSubstr(R"("reason":"it has a \"NUL\"")"));
  EXPECT_THAT(extra, HasSubstr(R"("pipeline":"feedback")"));
  EXPECT_THAT(extra, HasSubstr(R"("votes":3)"));
  EXPECT_THAT(extra, HasSubstr("\"time\":\""));
}

TEST(RunnerTest, ARecordIsNotDoneBeforeItsDeadLetterIsWritten) {
  ScriptedConnectors fake;
  fake.store.on_write = [&](const Batch& batch, int) -> Result<Outcomes> {
    return Outcomes(static_cast<size_t>(batch.rows()), {OutcomeKind::kRejected, "no"});
  };
  fake.graveyard.on_write = [&](const Batch& batch, int call) -> Result<Outcomes> {
    if (call < 3) return Error(ErrorCode::kResourceExhausted, "disk full");
    return fake.graveyard.Take(batch);
  };
  auto runner = fake.Start("dead_letter: {type: graveyard}");
  ASSERT_TRUE(runner.ok());
  EXPECT_EQ(fake.door.Send(Numbered("a", 0, 1))[0].kind, OutcomeKind::kRejected);
  EXPECT_EQ(fake.graveyard.counts().at("a0"), 1);
}

TEST(RunnerTest, TheRowThatSpoilsABatchIsFound) {
  ScriptedConnectors fake;
  fake.store.on_write = [&](const Batch& batch, int) -> Result<Outcomes> {
    for (int64_t row = 0; row < batch.rows(); ++row) {
      if (batch.records->column(0)->GetScalar(row).ValueOrDie()->ToString() == "a5")
        return Error(ErrorCode::kInvalidRecords, "a5 does not fit");
    }
    return fake.store.Take(batch);
  };
  auto runner = fake.Start("dead_letter: {type: graveyard}");
  ASSERT_TRUE(runner.ok());
  const auto outcomes = fake.door.Send(Numbered("a", 0, 9));
  for (size_t i = 0; i < outcomes.size(); ++i)
    EXPECT_EQ(outcomes[i].kind, i == 5 ? OutcomeKind::kRejected : OutcomeKind::kAccepted) << i;
  EXPECT_EQ(fake.graveyard.order(), std::vector<std::string>{"a5"});
  EXPECT_EQ(fake.store.counts().size(), 8U);
}

TEST(RunnerTest, ATargetThatIsGoneBuriesNothing) {
  for (const ErrorCode code : {ErrorCode::kNotFound, ErrorCode::kInternal, ErrorCode::kUnsupported}) {
    ScriptedConnectors fake;
    fake.store.on_write = [&](const Batch& batch, int call) -> Result<Outcomes> {
      if (call < 4) return Error(code, "the table is gone");
      return fake.store.Take(batch);
    };
    auto runner = fake.Start("dead_letter: {type: graveyard}\nretry: {initial: 1ms, max: 1ms}");
    ASSERT_TRUE(runner.ok());
    const auto outcomes = fake.door.Send(Numbered("a", 0, 3));
    for (const auto& one : outcomes) EXPECT_EQ(one.kind, OutcomeKind::kAccepted);
    EXPECT_TRUE(fake.graveyard.order().empty());
  }
}

TEST(RunnerTest, AWriterThatGetsOnIsNotGivenUp) {
  ScriptedConnectors fake;
  // One row at a time, as a writer does that must not pass a rejected record.
  fake.store.on_write = [&](const Batch& batch, int) -> Result<Outcomes> {
    Outcomes outcomes(static_cast<size_t>(batch.rows()), Outcome{OutcomeKind::kFailed, "behind"});
    outcomes[0] = {OutcomeKind::kRejected, "no"};
    return outcomes;
  };
  auto runner = fake.Start("dead_letter: {type: graveyard}\nretry: {attempts: 2, initial: 10s, max: 10s}");
  ASSERT_TRUE(runner.ok());
  for (const auto& one : fake.door.Send(Numbered("a", 0, 50))) EXPECT_EQ(one.kind, OutcomeKind::kRejected);
  EXPECT_EQ(fake.graveyard.order().size(), 50U);
}

TEST(RunnerTest, WhatWasNotTakenIsNotSpent) {
  ScriptedConnectors fake;
  Barrier barrier;
  fake.store.on_write = [&](const Batch& batch, int) -> Result<Outcomes> {
    barrier.Wait();
    return fake.store.Take(batch);
  };
  auto runner = fake.Start("queue: {max_records: 10}\ntenants: {limits: {a: {records_per_second: 30}}}");
  ASSERT_TRUE(runner.ok());
  ASSERT_TRUE(fake.door.Offer(Numbered("b", 0, 10, "b")).ok());
  barrier.WaitForSomebody();
  for (int i = 0; i < 20; ++i) {
    const Status full = fake.door.Offer(Numbered("a", 0, 10, "a"));
    ASSERT_FALSE(full.ok());
    EXPECT_THAT(full.error().message(), HasSubstr("the pipeline is full"));
  }
  barrier.Open();
  EXPECT_EQ(fake.door.Send(Numbered("a", 0, 10, "a"))[0].kind, OutcomeKind::kAccepted);
}

TEST(RunnerTest, NothingPassesARecordWhoseDeadLetterIsNotThereYet) {
  ScriptedConnectors fake;
  Barrier barrier;
  fake.graveyard.on_write = [&](const Batch& batch, int) -> Result<Outcomes> {
    barrier.Wait();
    return fake.graveyard.Take(batch);
  };
  auto runner = fake.Start("dead_letter: {type: graveyard}\ntenants: {known: [a]}");
  ASSERT_TRUE(runner.ok());
  std::jthread sender([&] {
    fake.door.Send(BatchOf("{\"uuid\":\"x\",\"tenant_id\":\"b\"}\n{\"uuid\":\"y\",\"tenant_id\":\"a\"}"));
  });
  barrier.WaitForSomebody();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(fake.store.calls(), 0);
  barrier.Open();
  sender.join();
  EXPECT_EQ(fake.store.counts().size(), 1U);
}

TEST(RunnerTest, TheCredentialsTenantIsFixed) {
  ScriptedConnectors fake;
  auto runner = fake.Start("dead_letter: {type: graveyard}");
  ASSERT_TRUE(runner.ok());
  const auto outcomes = fake.door.Send(
      BatchOf(
          "{\"uuid\":\"a\"}\n{\"uuid\":\"b\",\"tenant_id\":\"other\"}\n{\"uuid\":\"c\",\"tenant_id\":\"t1\"}"),
      "t1");
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kAccepted);
  EXPECT_EQ(outcomes[1].kind, OutcomeKind::kRejected);
  EXPECT_THAT(outcomes[1].reason, HasSubstr("'other' is not the tenant of the credential, 't1'"));
  EXPECT_EQ(outcomes[2].kind, OutcomeKind::kAccepted);
  EXPECT_EQ(fake.store.counts().size(), 2U);
  EXPECT_EQ(fake.graveyard.order(), std::vector<std::string>{"b"});
}

TEST(RunnerTest, UnknownTenantsAndTooMuchOfOneAreRefused) {
  ScriptedConnectors fake;
  auto runner = fake.Start("tenants: {known: [a, b], limits: {a: {records_per_second: 10}}}");
  ASSERT_TRUE(runner.ok());
  EXPECT_EQ(fake.door.Send(Numbered("x", 0, 1, "nobody"))[0].kind, OutcomeKind::kRejected);
  EXPECT_EQ(fake.door.Send(Numbered("y", 0, 20, "a"))[0].kind, OutcomeKind::kAccepted);
  const Status over = fake.door.Offer(Numbered("z", 0, 1, "a"));
  ASSERT_FALSE(over.ok());
  EXPECT_EQ(over.error().code(), ErrorCode::kResourceExhausted);
  EXPECT_THAT(over.error().message(), HasSubstr("tenant 'a' is over its limit"));
  EXPECT_EQ(fake.door.Send(Numbered("w", 0, 100, "b"))[0].kind, OutcomeKind::kAccepted);
}

TEST(RunnerTest, AStoppedWriterHoldsUpWhatComesIn) {
  ScriptedConnectors fake;
  Barrier barrier;
  fake.store.on_write = [&](const Batch& batch, int) -> Result<Outcomes> {
    barrier.Wait();
    return fake.store.Take(batch);
  };
  auto runner = fake.Start("queue: {max_records: 100}");
  ASSERT_TRUE(runner.ok());
  int taken = 0;
  std::atomic<int> done = 0;
  for (int i = 0; i < 100; ++i) {
    const Status status =
        fake.door.Offer(Numbered("a", i * 10, i * 10 + 10), [&](const Outcomes&) { ++done; });
    if (status.ok()) {
      ++taken;
    } else {
      EXPECT_EQ(status.error().code(), ErrorCode::kResourceExhausted);
    }
  }
  EXPECT_GE(taken, 8);
  EXPECT_LE(taken, 10);
  // One tenant does not take the last place from another.
  EXPECT_TRUE(fake.door.Offer(Numbered("b", 0, 10, "other"), [&](const Outcomes&) { ++done; }).ok());
  EXPECT_LE((*runner)->metrics().in_flight_records, 100);
  barrier.Open();
  EXPECT_TRUE(Eventually([&] { return done == taken + 1; }));
}

TEST(RunnerTest, WhatWaitsForABusyWriterBecomesOneBatch) {
  ScriptedConnectors fake;
  Barrier barrier;
  fake.store.on_write = [&](const Batch& batch, int call) -> Result<Outcomes> {
    if (call == 1) barrier.Wait();
    return fake.store.Take(batch);
  };
  auto runner = fake.Start("");
  ASSERT_TRUE(runner.ok());
  ASSERT_TRUE(fake.door.Offer(Numbered("first", 0, 1)).ok());
  barrier.WaitForSomebody();
  std::atomic<int> done = 0;
  for (int i = 0; i < 50; ++i)
    ASSERT_TRUE(fake.door.Offer(Numbered("a", i, i + 1), [&](const Outcomes&) { ++done; }).ok());
  barrier.Open();
  EXPECT_TRUE(Eventually([&] { return done == 50; }));
  EXPECT_EQ(fake.store.batch_sizes(), (std::vector<int64_t>{1, 50}));
}

TEST(RunnerTest, AFloodOfOneTenantDoesNotStarveAnother) {
  ScriptedConnectors fake;
  Barrier barrier;
  fake.store.preferred_rows = 10;
  fake.store.on_write = [&](const Batch& batch, int call) -> Result<Outcomes> {
    if (call == 1) barrier.Wait();
    return fake.store.Take(batch);
  };
  auto runner = fake.Start("");
  ASSERT_TRUE(runner.ok());
  std::string filler(8000, 'x');
  for (int i = 0; i < 500; ++i)
    ASSERT_TRUE(fake.door.Offer(BatchOf(R"({"tenant_id":"loud","data":")" + filler + "\"}")).ok());
  ASSERT_TRUE(fake.door.Offer(Numbered("quiet", 0, 1, "quiet")).ok());
  barrier.Open();
  EXPECT_TRUE(Eventually([&] { return fake.store.counts().contains("quiet0"); }));
  const auto order = fake.store.order();
  const auto place = std::find(order.begin(), order.end(), "quiet0") - order.begin();
  EXPECT_LT(place, 60);
}

TEST(RunnerTest, ProcessorsDropAddAndRefuse) {
  ScriptedConnectors fake;
  // Of four rows: the first passes, the second is dropped, the third refused, the fourth twice.
  fake.on_process = [](Batch batch, std::vector<Processor::Reject>* rejected) -> Result<Batch> {
    rejected->push_back({2, "not liked"});
    Batch out = batch;
    auto last = batch.records->Slice(3, 1);
    out.records = arrow::ConcatenateRecordBatches({batch.records->Slice(0, 1), last, last}).ValueOrDie();
    out.origins = {0, 3, 3};
    return out;
  };
  fake.store.on_write = [&](const Batch& batch, int call) -> Result<Outcomes> {
    auto outcomes = fake.store.Take(batch);
    if (call == 1) outcomes[2] = {OutcomeKind::kFailed, "later"};
    return outcomes;
  };
  auto runner = fake.Start("processors: [{type: script}]\ndead_letter: {type: graveyard}");
  ASSERT_TRUE(runner.ok()) << runner.error().ToString();
  const auto outcomes = fake.door.Send(Numbered("a", 0, 4));
  ASSERT_EQ(outcomes.size(), 4U);
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kAccepted);
  EXPECT_EQ(outcomes[1].kind, OutcomeKind::kAccepted);
  EXPECT_EQ(outcomes[2].kind, OutcomeKind::kRejected);
  EXPECT_THAT(outcomes[2].reason, HasSubstr("processor '0_script': not liked"));
  EXPECT_EQ(outcomes[3].kind, OutcomeKind::kAccepted);
  EXPECT_EQ(fake.store.calls(), 2);
  EXPECT_EQ(fake.graveyard.order(), std::vector<std::string>{"a2"});
}

TEST(RunnerTest, RowsMadeOfAllDecideOverAll) {
  ScriptedConnectors fake;
  fake.on_process = [](Batch batch, std::vector<Processor::Reject>*) -> Result<Batch> {
    batch.records = batch.records->Slice(0, 1);
    batch.origins = {-1};
    return batch;
  };
  fake.store.on_write = [&](const Batch& batch, int call) -> Result<Outcomes> {
    if (call == 1) return Error(ErrorCode::kUnavailable, "later");
    return fake.store.Take(batch);
  };
  auto runner = fake.Start("processors: [{type: script}]");
  ASSERT_TRUE(runner.ok());
  const auto outcomes = fake.door.Send(Numbered("a", 0, 3));
  ASSERT_EQ(outcomes.size(), 3U);
  for (const auto& one : outcomes) EXPECT_EQ(one.kind, OutcomeKind::kAccepted);
}

TEST(RunnerTest, StoppingLeavesWhatIsNotWrittenUnacknowledged) {
  ScriptedConnectors fake;
  fake.store.on_write = [](const Batch&, int) -> Result<Outcomes> {
    return Error(ErrorCode::kUnavailable, "down");
  };
  auto runner = fake.Start("retry: {attempts: 1000000, initial: 10ms, max: 10ms}\nshutdown: 100ms");
  ASSERT_TRUE(runner.ok());
  std::atomic<int> told = 0;
  ASSERT_TRUE(fake.door.Offer(Numbered("a", 0, 1), [&](const Outcomes&) { ++told; }).ok());
  EXPECT_TRUE((*runner)->Stop().ok());
  EXPECT_EQ(told, 0);
}

TEST(RunnerTest, StoppingDrains) {
  ScriptedConnectors fake;
  fake.store.on_write = [&](const Batch& batch, int) -> Result<Outcomes> {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    return fake.store.Take(batch);
  };
  fake.store.preferred_rows = 1;
  auto runner = fake.Start("");
  ASSERT_TRUE(runner.ok());
  std::atomic<int> told = 0;
  for (int i = 0; i < 5; ++i)
    ASSERT_TRUE(fake.door.Offer(Numbered("a", i, i + 1), [&](const Outcomes&) { ++told; }).ok());
  fake.door.on_stop = [&](std::chrono::milliseconds) {
    Eventually([&] { return told == 5; });
    return OkStatus();
  };
  EXPECT_TRUE((*runner)->Stop().ok());
  EXPECT_EQ(told, 5);
  EXPECT_EQ(fake.store.counts().size(), 5U);
}

TEST(RunnerTest, PositionsMoveOnInOrderAndOutliveTheProcess) {
  const std::string folder = TempFolder("positions");
  const std::string yaml = "ingestors: [{type: ordered_ingestor}]";
  {
    ScriptedConnectors fake;
    auto runner = fake.Start(yaml, folder);
    ASSERT_TRUE(runner.ok()) << runner.error().ToString();
    EXPECT_TRUE(fake.door.from.empty());
    for (int i = 0; i < 3; ++i) {
      Batch batch = Numbered("a", i * 2, i * 2 + 2);
      batch.partition = "p";
      batch.next = {i * 2 + 1, i * 2 + 2};
      batch.places["p"] = {i * 2 + 2, "cursor"};
      EXPECT_EQ(fake.door.Send(std::move(batch))[0].kind, OutcomeKind::kAccepted);
    }
    // A second process must not read the same upstream with the same positions.
    ScriptedConnectors second;
    auto refused = second.Start(yaml, folder);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
    ASSERT_TRUE((*runner)->Stop().ok());
  }
  ScriptedConnectors fake;
  auto runner = fake.Start(yaml, folder);
  ASSERT_TRUE(runner.ok());
  EXPECT_EQ(fake.door.from, (Places{{"p", {6, "cursor"}}}));
}

TEST(RunnerTest, AWriterThatKeepsPositionsGetsThemAndSaysWhereToStart) {
  ScriptedConnectors fake;
  fake.store.places = Places{{"p", {4, "c"}}};
  std::vector<Places> seen;
  fake.store.on_write = [&](const Batch& batch, int) -> Result<Outcomes> {
    seen.push_back(batch.places);
    EXPECT_EQ(batch.next.size(), static_cast<size_t>(batch.rows()));
    return fake.store.Take(batch);
  };
  auto runner = fake.Start("ingestors: [{type: ordered_ingestor}]", TempFolder("writer_places"));
  ASSERT_TRUE(runner.ok());
  EXPECT_EQ(fake.door.from, *fake.store.places);
  Batch batch = Numbered("a", 0, 2);
  batch.partition = "p";
  batch.next = {5, 6};
  batch.places["p"] = {6, "c"};
  fake.door.Send(std::move(batch));
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0], (Places{{"p", {6, "c"}}}));
}

// Without it the next start would read the last record again, and reject it again.
TEST(RunnerTest, AWriterThatKeepsPositionsHearsOfThoseBehindARejectedRecord) {
  ScriptedConnectors fake;
  fake.store.places = Places{};
  bool has_letter = false;
  fake.graveyard.on_write = [&](const Batch& batch, int) -> Result<Outcomes> {
    has_letter = true;
    return fake.graveyard.Take(batch);
  };
  std::vector<std::pair<int64_t, Places>> seen;
  fake.store.on_write = [&](const Batch& batch, int) -> Result<Outcomes> {
    if (batch.rows() == 0) {
      EXPECT_TRUE(has_letter);
    }
    seen.emplace_back(batch.rows(), batch.places);
    auto outcomes = fake.store.Take(batch);
    if (!outcomes.empty()) outcomes.back().kind = OutcomeKind::kRejected;
    return outcomes;
  };
  auto runner = fake.Start("ingestors: [{type: ordered_ingestor}]\ndead_letter: {type: graveyard}",
                           TempFolder("places_behind"));
  ASSERT_TRUE(runner.ok());
  Batch batch = Numbered("a", 0, 2);
  batch.partition = "p";
  batch.next = {5, 6};
  batch.places["p"] = {6, "c"};
  fake.door.Send(std::move(batch));
  ASSERT_TRUE((*runner)->Stop().ok());
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[1], (std::pair<int64_t, Places>(0, {{"p", {6, "c"}}})));
}

TEST(RunnerTest, AWriterThatDoesNotOpenIsAnErrorOfTheStart) {
  ScriptedConnectors fake;
  fake.store.open_status = Error(ErrorCode::kUnauthenticated, "server 'db:5432' refuses the password");
  const auto runner = fake.Start("name: p1");
  ASSERT_FALSE(runner.ok());
  EXPECT_EQ(runner.error().code(), ErrorCode::kUnauthenticated);
  EXPECT_THAT(runner.error().ToString(), HasSubstr("pipeline 'p1': writer 'store': server 'db:5432'"));
}

TEST(RunnerTest, MetricsSayWhatHappened) {
  ScriptedConnectors fake;
  auto runner = fake.Start("name: feedback");
  ASSERT_TRUE(runner.ok());
  fake.door.Send(Numbered("a", 0, 5, "t\\\"1"));
  const std::string text = RenderMetrics({&(*runner)->metrics()});
  EXPECT_THAT(
      text,
      HasSubstr(
          "sluice_pipeline_records_total{pipeline=\"feedback\",stage=\"writer\",connector=\"store\"} 5\n"));
  EXPECT_THAT(text,
              HasSubstr("sluice_pipeline_tenant_records_total{pipeline=\"feedback\",tenant=\"t\\\"1\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE sluice_pipeline_in_flight_records gauge\n"));
  EXPECT_THAT(text, HasSubstr("sluice_pipeline_ready{pipeline=\"feedback\"} 1\n"));
}

}  // namespace
}  // namespace sluice::pipeline
