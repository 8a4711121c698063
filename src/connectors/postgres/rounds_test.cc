#include "connectors/postgres/rounds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::connectors::postgres {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

Records Parse(const std::string& text) {
  auto parsed = pipeline::ParseRecords(text);
  EXPECT_TRUE(parsed.ok() && parsed->bad.empty());
  return Records(parsed->records);
}

TEST(PlanRoundTest, LastOfAKeyCountsAndTheFirstGivesUuidAndTimeOfCreation) {
  const Records records = Parse(R"({"uuid":"a","data_id":"1"}
{"uuid":"b","data_id":"2"}
{"uuid":"c","data_id":"1"})");
  const Round round = PlanRound(records, {0, 1, 2}, {});
  EXPECT_THAT(round.rows, ElementsAre(2, 1));
  EXPECT_THAT(round.first_rows, ElementsAre(0, 1));
  EXPECT_THAT(round.replaced, ElementsAre(Pair(0, 0)));
  EXPECT_THAT(round.later, IsEmpty());
}

TEST(PlanRoundTest, RecordsWithoutDataIdAreOneByTheirUuid) {
  const Records records = Parse(R"({"uuid":"a","data":"x"}
{"uuid":"a","data":"y"}
{"uuid":"b","data":"z"})");
  const Round round = PlanRound(records, {0, 1, 2}, {});
  EXPECT_THAT(round.rows, ElementsAre(1, 2));
  EXPECT_THAT(round.replaced, ElementsAre(Pair(0, 0)));
}

TEST(PlanRoundTest, OneUuidWithTwoKeysTakesTwoRoundsInOrder) {
  const Records records = Parse(R"({"uuid":"a","data_id":"1"}
{"uuid":"a","data_id":"2"}
{"uuid":"b","data_id":"2"})");
  const Round first = PlanRound(records, {0, 1, 2}, {});
  EXPECT_THAT(first.rows, ElementsAre(0));
  // The third has the key of one that waits: it must not overtake it.
  EXPECT_THAT(first.later, ElementsAre(1, 2));
  EXPECT_THAT(PlanRound(records, first.later, {}).rows, ElementsAre(2));
}

TEST(PlanRoundTest, AUuidThatIsStoredIsNoRecordOfAnothersKey) {
  const Records records = Parse(R"({"uuid":"a","data_id":"1"}
{"uuid":"b","data_id":"1"}
{"uuid":"b","data_id":"2"}
{"uuid":"c","data_id":"1"})");
  EXPECT_THAT(FindOtherUuids(records, {0, 1, 2, 3}), ElementsAre(1, 3));
  const Round round = PlanRound(records, {0, 1, 2, 3}, {{1, ""}});
  EXPECT_THAT(round.rows, ElementsAre(0));
  // Nothing overtakes one that waits, by its key or by its uuid.
  EXPECT_THAT(round.later, ElementsAre(1, 2, 3));
}

TEST(PlanRoundTest, AGroupThatSomethingWaitsForGrowsNoMore) {
  const Records records = Parse(R"({"uuid":"a","data_id":"1"}
{"uuid":"a","data_id":"2"}
{"uuid":"b","data_id":"1"})");
  EXPECT_THAT(PlanRound(records, {0, 1, 2}, {}).later, ElementsAre(1, 2));
}

TEST(PlanRoundTest, WhoGivesAStoredRecordAnotherKeyMeetsWhoComesWithItsOldOne) {
  const Records records = Parse(R"({"uuid":"a","data_id":"2"}
{"uuid":"b","data_id":"1"}
{"uuid":"c","data_id":"3"})");
  const StoredKeys stored = {{0, KeyText({"", "", "", "1"})}};
  EXPECT_THAT(PlanRound(records, {0, 1, 2}, stored).rows, ElementsAre(0, 2));
  EXPECT_THAT(PlanRound(records, {0, 1, 2}, stored).later, ElementsAre(1));
  // The other way round; and nobody overtakes the one that waits.
  const Records turned = Parse(R"({"uuid":"b","data_id":"1"}
{"uuid":"a"}
{"uuid":"d","data_id":"1"}
{"uuid":"a","data_id":"3"})");
  const Round round =
      PlanRound(turned, {0, 1, 2, 3}, {{1, KeyText({"", "", "", "1"})}, {3, KeyText({"", "", "", "1"})}});
  EXPECT_THAT(round.rows, ElementsAre(0));
  EXPECT_THAT(round.later, ElementsAre(1, 2, 3));
}

TEST(TakeRepeatsTest, WhatComesAgainByUuidOrKeyIsARepeat) {
  const Records records = Parse(R"({"uuid":"z","data_id":"1"}
{"uuid":"a","data_id":"1"}
{"uuid":"z"}
{"uuid":"b"}
{"uuid":"c"})");
  std::vector<int64_t> rows = {0, 1, 2, 3, 4};
  EXPECT_THAT(TakeRepeats(records, &rows), ElementsAre(1, 2));
  EXPECT_THAT(rows, ElementsAre(0, 3, 4));
}

TEST(SortByKeyTest, TenantSourceAndIdBeforeUuid) {
  const Records records = Parse(R"({"uuid":"1","tenant_id":"b"}
{"uuid":"2","tenant_id":"a","data_id":"9"}
{"uuid":"4","tenant_id":"a","data_id":"1"}
{"uuid":"3","tenant_id":"a","data_id":"1"})");
  std::vector<int64_t> rows = {0, 1, 2, 3};
  SortByKey(records, &rows);
  EXPECT_THAT(rows, ElementsAre(2, 3, 1, 0));
}

}  // namespace
}  // namespace sluice::connectors::postgres
