#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "pipeline/runner.h"
#include "pipeline/testing/scripted.h"

// Runners with a durable queue before the processors.
namespace sluice::pipeline {
namespace {

using testing::BatchOf;
using testing::Eventually;
using testing::Numbered;
using testing::ScriptedConnectors;

std::string TempFolder(const std::string& name) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / ("runner_spool_" + name);
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder.string();
}

TEST(RunnerSpoolTest, WithASpoolRecordsAreAcknowledgedBeforeTheWriter) {
  const std::string folder = TempFolder("spool");
  {
    ScriptedConnectors fake;
    fake.store.on_write = [](const Batch&, int) -> Result<Outcomes> {
      return Error(ErrorCode::kUnavailable, "down");
    };
    auto runner = fake.Start("spool: {path: spool}\nshutdown: 50ms", folder);
    ASSERT_TRUE(runner.ok()) << runner.error().ToString();
    for (int i = 0; i < 10; ++i)
      EXPECT_EQ(fake.door.Send(Numbered("a", i * 10, i * 10 + 10))[0].kind, OutcomeKind::kAccepted);
    EXPECT_FALSE((*runner)->is_finished());
    EXPECT_TRUE((*runner)->Stop().ok());
    EXPECT_TRUE(fake.store.counts().empty());
  }
  ScriptedConnectors fake;
  auto runner = fake.Start("spool: {path: spool}", folder);
  ASSERT_TRUE(runner.ok()) << runner.error().ToString();
  fake.door.is_finished = true;
  ASSERT_TRUE(Eventually([&] { return (*runner)->is_finished(); }));
  EXPECT_EQ(fake.store.counts().size(), 100U);
  const auto order = fake.store.order();
  EXPECT_EQ(order.front(), "a0");
  EXPECT_EQ(order.back(), "a99");
  ASSERT_TRUE((*runner)->Stop().ok());
  runner->reset();
  // Done is done: a third run finds nothing.
  ScriptedConnectors again;
  auto third = again.Start("spool: {path: spool}", folder);
  ASSERT_TRUE(third.ok());
  again.door.is_finished = true;
  ASSERT_TRUE(Eventually([&] { return (*third)->is_finished(); }));
  EXPECT_TRUE(again.store.counts().empty());
}

TEST(RunnerSpoolTest, AFullSpoolHoldsUpAndGoesOn) {
  const std::string folder = TempFolder("full_spool");
  ScriptedConnectors fake;
  std::atomic<bool> is_down = true;
  fake.store.on_write = [&](const Batch& batch, int) -> Result<Outcomes> {
    if (is_down) return Error(ErrorCode::kUnavailable, "down");
    return fake.store.Take(batch);
  };
  auto runner = fake.Start(
      "spool: {path: spool, max_size: 1MiB}\nqueue: {max_bytes: 300KiB}\nretry: {initial: 1ms, max: 5ms, attempts: 3}",
      folder);
  ASSERT_TRUE(runner.ok()) << runner.error().ToString();
  const std::string filler(50'000, 'x');
  int sent = 0;
  std::atomic<int> told = 0;
  Status status;
  for (; sent < 200; ++sent) {
    status = fake.door.Offer(
        BatchOf(fmt::format(R"({{"uuid":"u{}","data":"{}"}})", sent, filler)),
        [&](const Outcomes&) { ++told; }, "", std::chrono::milliseconds(500));
    if (!status.ok()) break;
  }
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), ErrorCode::kResourceExhausted);
  EXPECT_FALSE((*runner)->ailments().empty());
  is_down = false;
  EXPECT_TRUE(
      Eventually([&] { return fake.store.counts().size() == static_cast<size_t>(sent) && told == sent; }));
  EXPECT_TRUE((*runner)->Stop().ok());
}

TEST(RunnerSpoolTest, AFullSpoolTellsWhoWaits) {
  ScriptedConnectors fake;
  std::atomic<bool> is_down = true;
  fake.store.on_write = [&](const Batch& batch, int) -> Result<Outcomes> {
    if (is_down) return Error(ErrorCode::kUnavailable, "down");
    return fake.store.Take(batch);
  };
  auto runner =
      fake.Start("spool: {path: spool, max_size: 1MiB}\nretry: {initial: 1ms, max: 5ms, attempts: 3}",
                 TempFolder("full_spool"));
  ASSERT_TRUE(runner.ok()) << runner.error().ToString();
  const std::string filler(50'000, 'x');
  std::atomic<size_t> accepted = 0, failed = 0;
  for (int i = 0; i < 60; ++i) {
    const Status offered = fake.door.Offer(
        BatchOf(fmt::format(R"({{"uuid":"u{}","data":"{}"}})", i, filler)),
        [&](const Outcomes& outcomes) { ++(outcomes[0].kind == OutcomeKind::kFailed ? failed : accepted); },
        "", std::chrono::milliseconds(500));
    ASSERT_TRUE(offered.ok()) << offered.error().ToString();
  }
  EXPECT_TRUE(Eventually([&] { return accepted + failed == 60; }));
  EXPECT_GT(accepted, 5U);
  EXPECT_GT(failed, 20U);
  is_down = false;
  EXPECT_TRUE(Eventually([&] { return fake.store.counts().size() == accepted; }));
  EXPECT_EQ(fake.door.Send(Numbered("a", 0, 1))[0].kind, OutcomeKind::kAccepted);
}

TEST(RunnerSpoolTest, ASpoolTakesADeliveryInPartsAndRejectsWhatNeverFits) {
  ScriptedConnectors fake;
  auto runner = fake.Start("spool: {path: spool, max_size: 1MiB}\ndead_letter: {type: graveyard}",
                           TempFolder("small_spool"));
  ASSERT_TRUE(runner.ok()) << runner.error().ToString();
  std::string text;
  for (int i = 0; i < 41; ++i)
    text += fmt::format("{{\"uuid\":\"u{}\",\"data\":\"{}\"}}\n", i,
                        std::string(i == 20 ? 600'000 : 50'000, 'x'));
  const auto outcomes = fake.door.Send(BatchOf(text));
  for (size_t i = 0; i < outcomes.size(); ++i)
    EXPECT_EQ(outcomes[i].kind, i == 20 ? OutcomeKind::kRejected : OutcomeKind::kAccepted)
        << outcomes[i].reason;
  EXPECT_EQ(fake.graveyard.order(), std::vector<std::string>{"u20"});
  EXPECT_TRUE(Eventually([&] { return fake.store.counts().size() == 40; }));
}

}  // namespace
}  // namespace sluice::pipeline
