#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "connectors/fan_out/connector.h"
#include "pipeline/testing/conformance.h"
#include "pipeline/testing/scripted.h"

namespace sluice::connectors {
namespace {

using pipeline::Batch;
using pipeline::Outcome;
using pipeline::OutcomeKind;
using pipeline::Outcomes;
using pipeline::testing::ConnectorMaker;
using pipeline::testing::Numbered;
using pipeline::testing::ScriptedConnectors;
using ::testing::HasSubstr;

class FanOutTest : public ::testing::Test {
 protected:
  FanOutTest() : maker_(fake_.registry, "/nonexistent") { RegisterFanOut(fake_.registry); }

  std::unique_ptr<pipeline::IngestionWriter> Opened(const std::string& yaml) {
    auto writer = maker_.MakeWriter(yaml);
    EXPECT_TRUE(writer.ok()) << writer.error().ToString();
    EXPECT_TRUE((*writer)->Open({}).ok());
    return *std::move(writer);
  }

  ScriptedConnectors fake_;
  ConnectorMaker maker_;
};

TEST_F(FanOutTest, AllBranchesGetAllRecords) {
  auto writer = Opened("{type: fan_out, writers: [{type: store}, {type: graveyard}]}");
  const auto outcomes = writer->Write(Numbered("a", 0, 10), {});
  ASSERT_TRUE(outcomes.ok());
  for (const auto& one : *outcomes) EXPECT_EQ(one.kind, OutcomeKind::kAccepted);
  EXPECT_EQ(fake_.store.counts().size(), 10U);
  EXPECT_EQ(fake_.graveyard.counts().size(), 10U);
  // A duplicate everywhere is one; new to one branch is new.
  EXPECT_EQ((*writer->Write(Numbered("a", 0, 1), {}))[0].kind, OutcomeKind::kDuplicate);
  fake_.store.Take(Numbered("b", 0, 1));
  EXPECT_EQ((*writer->Write(Numbered("b", 0, 1), {}))[0].kind, OutcomeKind::kAccepted);
}

TEST_F(FanOutTest, WhatFailedAtOneGoesAgainToThatOneAlone) {
  auto writer = Opened("{type: fan_out, writers: [{type: store}, {type: graveyard}]}");
  fake_.graveyard.on_write = [&](const Batch& batch, int call) -> Result<Outcomes> {
    auto outcomes = fake_.graveyard.Take(batch);
    if (call == 1) outcomes[1] = {OutcomeKind::kFailed, "later"};
    return outcomes;
  };
  auto outcomes = writer->Write(Numbered("a", 0, 3), {});
  ASSERT_TRUE(outcomes.ok());
  EXPECT_EQ((*outcomes)[0].kind, OutcomeKind::kAccepted);
  EXPECT_EQ((*outcomes)[1].kind, OutcomeKind::kFailed);
  EXPECT_THAT((*outcomes)[1].reason, HasSubstr("writer '1_graveyard': later"));
  outcomes = writer->Write(Numbered("a", 1, 2), {});
  ASSERT_TRUE(outcomes.ok());
  EXPECT_EQ((*outcomes)[0].kind, OutcomeKind::kAccepted);
  EXPECT_EQ(fake_.store.counts().at("a1"), 1) << "had it already";
  EXPECT_EQ(fake_.graveyard.counts().at("a1"), 2);
}

TEST_F(FanOutTest, AnotherRecordWithTheUuidOfOneThatFailedGoesToAll) {
  auto writer = Opened("{type: fan_out, writers: [{type: store}, {type: graveyard}]}");
  fake_.graveyard.on_write = [&](const Batch& batch, int call) -> Result<Outcomes> {
    auto outcomes = fake_.graveyard.Take(batch);
    if (call == 1) outcomes[0] = {OutcomeKind::kFailed, "later"};
    return outcomes;
  };
  ASSERT_TRUE(writer
                  ->Write(pipeline::testing::BatchOf(R"({"uuid":"u","data":"old"})"
                                                     "\n"),
                          {})
                  .ok());
  ASSERT_TRUE(writer
                  ->Write(pipeline::testing::BatchOf(R"({"uuid":"u","data":"new"})"
                                                     "\n"),
                          {})
                  .ok());
  EXPECT_EQ(fake_.store.counts().at("u"), 2) << "the new one is not what the store has";
}

TEST_F(FanOutTest, AnErrorOfOneIsOnlyOfThatOne) {
  auto writer = Opened("{type: fan_out, writers: [{type: store}, {type: graveyard}]}");
  fake_.store.on_write = [](const Batch&, int) -> Result<Outcomes> {
    return Error(ErrorCode::kUnavailable, "down");
  };
  const auto outcomes = writer->Write(Numbered("a", 0, 2), {});
  ASSERT_TRUE(outcomes.ok());
  for (const auto& one : *outcomes) EXPECT_EQ(one.kind, OutcomeKind::kFailed);
  EXPECT_EQ(fake_.graveyard.counts().size(), 2U);
}

TEST_F(FanOutTest, WhatOneRejectsStaysRejectedWhenAnotherFailsFirst) {
  auto writer = Opened("{type: fan_out, writers: [{type: store}, {type: graveyard}]}");
  fake_.store.on_write = [](const Batch& batch, int) -> Result<Outcomes> {
    return Outcomes(static_cast<size_t>(batch.rows()), Outcome{OutcomeKind::kRejected, "no"});
  };
  fake_.graveyard.on_write = [&](const Batch& batch, int call) -> Result<Outcomes> {
    if (call == 1) return Error(ErrorCode::kUnavailable, "down");
    return fake_.graveyard.Take(batch);
  };
  EXPECT_EQ((*writer->Write(Numbered("a", 0, 1), {}))[0].kind, OutcomeKind::kFailed);
  EXPECT_EQ((*writer->Write(Numbered("a", 0, 1), {}))[0].kind, OutcomeKind::kRejected);
}

TEST_F(FanOutTest, ABestEffortWriterThatFailsIsSparedForAWhile) {
  auto writer = Opened(
      "{type: fan_out, writers: [{type: store, policy: best_effort, attempts: 1, dead_letter: {type: graveyard}}]}");
  fake_.store.on_write = [](const Batch&, int) -> Result<Outcomes> {
    return Error(ErrorCode::kTimeout, "slow");
  };
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ((*writer->Write(Numbered("a", i, i + 1), {}))[0].kind, OutcomeKind::kAccepted);
  EXPECT_EQ(fake_.store.calls(), 1);
  EXPECT_EQ(fake_.graveyard.order(), (std::vector<std::string>{"a0", "a1", "a2", "a3", "a4"}));
}

TEST_F(FanOutTest, BestEffortHoldsUpNothing) {
  auto writer = Opened(
      "{type: fan_out, writers: [{type: store, policy: best_effort, attempts: 2, dead_letter: {type: graveyard}}]}");
  fake_.store.on_write = [&](const Batch& batch, int) -> Result<Outcomes> {
    Outcomes outcomes(static_cast<size_t>(batch.rows()), Outcome{OutcomeKind::kFailed, "slow"});
    if (batch.rows() > 1) outcomes[0] = Outcome();
    return outcomes;
  };
  const auto outcomes = writer->Write(Numbered("a", 0, 2), {});
  ASSERT_TRUE(outcomes.ok());
  for (const auto& one : *outcomes) EXPECT_EQ(one.kind, OutcomeKind::kAccepted);
  EXPECT_EQ(fake_.store.batch_sizes(), (std::vector<int64_t>{2, 1}));
  ASSERT_EQ(fake_.graveyard.order(), std::vector<std::string>{"a1"});
  EXPECT_THAT(fake_.graveyard.extras()[0], HasSubstr("slow"));
}

TEST_F(FanOutTest, RecordsThatAreGoneAreToldOfNowAndThen) {
  fake_.store.on_write = [](const Batch&, int) -> Result<Outcomes> {
    return Error(ErrorCode::kUnavailable, "down");
  };
  auto runner = fake_.Start(
      "writer: {type: fan_out, writers: [{type: graveyard}, {type: store, policy: best_effort, attempts: 1}]}");
  ASSERT_TRUE(runner.ok()) << runner.error().ToString();
  for (int i = 0; i < 5; ++i) fake_.door.Send(Numbered("a", i, i + 1));
  ASSERT_TRUE((*runner)->Stop().ok());
  std::vector<std::string> told;
  for (const auto& note : fake_.notes()) {
    if (note.find("did not reach writer '1_store'") != std::string::npos) told.push_back(note);
  }
  ASSERT_EQ(told.size(), 2U);
  EXPECT_THAT(told[0], HasSubstr("1 record(s)"));
  EXPECT_THAT(told[1], HasSubstr("4 record(s)"));
}

TEST_F(FanOutTest, WhatOneRejectsNamesThoseThatLackIt) {
  auto writer = Opened("{type: fan_out, writers: [{type: store}, {type: graveyard}]}");
  fake_.graveyard.on_write = [&](const Batch& batch, int) -> Result<Outcomes> {
    auto outcomes = fake_.graveyard.Take(batch);
    outcomes[1] = {OutcomeKind::kRejected, "no"};
    return outcomes;
  };
  const auto outcomes = writer->Write(Numbered("a", 0, 2), {});
  ASSERT_TRUE(outcomes.ok());
  EXPECT_TRUE((*outcomes)[0].parts.empty());
  EXPECT_EQ((*outcomes)[1].parts, std::vector<std::string>{"1_graveyard"});
}

TEST_F(FanOutTest, KeepsToTheBranchesThatAreMeant) {
  fake_.store.open_status = Error(ErrorCode::kUnauthenticated, "not to be asked");
  auto writer = maker_.MakeWriter(
      "{type: fan_out, writers: [{type: store}, {type: fan_out, writers: [{type: store}, {type: graveyard}]}]}");
  ASSERT_TRUE(writer.ok());
  EXPECT_EQ((*writer)->KeepOnly({"1_graveyard", "7_store"}), std::vector<std::string>{"1_graveyard"});
  ASSERT_TRUE((*writer)->Open({}).ok());
  EXPECT_EQ((*(*writer)->Write(Numbered("a", 0, 2), {}))[1].kind, OutcomeKind::kAccepted);
  EXPECT_EQ(fake_.store.calls(), 0);
  EXPECT_EQ(fake_.graveyard.counts().size(), 2U);
}

TEST_F(FanOutTest, PositionsGoToThoseWhoKeepThem) {
  fake_.store.places = pipeline::Places{{"p", {4, "c"}}};
  std::vector<size_t> seen;
  fake_.store.on_write = [&](const Batch& batch, int) -> Result<Outcomes> {
    seen.push_back(batch.next.size());
    return fake_.store.Take(batch);
  };
  fake_.graveyard.on_write = [&](const Batch& batch, int) -> Result<Outcomes> {
    EXPECT_TRUE(batch.next.empty() && batch.places.empty());
    return fake_.graveyard.Take(batch);
  };
  auto writer = Opened("{type: fan_out, writers: [{type: graveyard}, {type: store}]}");
  const auto places = (*writer).StoredPlaces();
  ASSERT_TRUE(places.ok() && *places);
  EXPECT_EQ(**places, *fake_.store.places);
  EXPECT_FALSE(writer->keeps_all_positions());
  Batch batch = Numbered("a", 0, 2);
  batch.partition = "p";
  batch.next = {5, 6};
  batch.places["p"] = {6, "c"};
  ASSERT_TRUE(writer->Write(batch, {}).ok());
  // A position without records is of no use to the other one.
  batch = Numbered("a", 0, 0);
  batch.places["p"] = {9, "c"};
  ASSERT_TRUE(writer->Write(batch, {}).ok());
  EXPECT_EQ(seen, (std::vector<size_t>{2, 0}));
  EXPECT_EQ(fake_.graveyard.calls(), 1);
}

TEST_F(FanOutTest, ABestEffortBranchCountsForNoPosition) {
  fake_.store.places = pipeline::Places{{"p", {4, "c"}}};
  auto writer = Opened("{type: fan_out, writers: [{type: graveyard}, {type: store, policy: best_effort}]}");
  const auto places = writer->StoredPlaces();
  ASSERT_TRUE(places.ok());
  EXPECT_FALSE(places->has_value());
}

TEST_F(FanOutTest, ABranchThatCannotOpenIsNamed) {
  fake_.store.open_status = Error(ErrorCode::kUnauthenticated, "wrong password");
  auto writer = maker_.MakeWriter("{type: fan_out, writers: [{type: graveyard}, {type: store}]}");
  ASSERT_TRUE(writer.ok());
  const Status status = (*writer)->Open({});
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().ToString(), HasSubstr("fan_out: writer '1_store': wrong password"));
}

TEST_F(FanOutTest, AnUnknownWriterIsExplained) {
  const auto missing = maker_.MakeWriter("{type: fan_out, writers: [{type: stroe}]}");
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(missing.error().ToString(), HasSubstr("did you mean 'store'"));
}

}  // namespace
}  // namespace sluice::connectors
