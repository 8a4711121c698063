#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "connectors/postgres/testing/writer_fixture.h"

// What the table's owner added to it: triggers, constraints, policies.
namespace sluice::connectors::postgres {
namespace {

using pipeline::OutcomeKind;
using ::testing::HasSubstr;

class TableRulesTest : public WriterTest {};

// What the table's owner added is no reason to lose a record, nor to hold up its neighbours.
TEST_F(TableRulesTest, WhatTheTableKeepsOutIsRejected) {
  const std::string function =
      "CREATE OR REPLACE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF NEW.data = 'd1' THEN {}; "
      "END IF; RETURN NEW; END$$; CREATE TRIGGER a BEFORE INSERT ON feedback FOR EACH ROW EXECUTE FUNCTION "
      "judge()";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"ALTER TABLE feedback ADD UNIQUE (data)", ""},
      {fmt::format(fmt::runtime(function), "RETURN NULL"), "the table kept it out"},
      {fmt::format(fmt::runtime(function), "RAISE EXCEPTION 'no d1 please'"), "no d1 please"},
      {fmt::format(fmt::runtime(function), "RAISE EXCEPTION 'not so' USING ERRCODE = 'MY001'"), "not so"},
      {"ALTER TABLE feedback ENABLE ROW LEVEL SECURITY; ALTER TABLE feedback FORCE ROW LEVEL SECURITY; "
       "CREATE POLICY a ON feedback USING (true) WITH CHECK (data <> 'd1')",
       "row-level security"}};
  for (const auto& [statement, reason] : cases) {
    for (const WriterOptions& options : {Options(), Updating()}) {
      for (const int good : {3, 1200}) {
        Sql("DROP TABLE IF EXISTS feedback");
        Opened(options);
        Sql(statement);
        auto writer = Opened(options);
        std::string text;
        for (int i = 0; i < good; ++i)
          text += fmt::format(R"({{"uuid":"u{0}","data_id":"{0}","data":"d{0}"}})"
                              "\n",
                              i);
        text += R"({"uuid":"v","data_id":"v","data":"d1"})";
        const auto outcomes = Write(*writer, text);
        ASSERT_EQ(outcomes.size(), static_cast<size_t>(good) + 1);
        for (size_t i = 0; i <= static_cast<size_t>(good); ++i) {
          // Where all of 'd1' is refused, so is the first.
          const bool is_bad = i == static_cast<size_t>(good) || (i == 1 && !reason.empty());
          EXPECT_EQ(outcomes[i].kind, is_bad ? OutcomeKind::kRejected : OutcomeKind::kAccepted)
              << statement << i << outcomes[i].reason;
        }
        EXPECT_THAT(outcomes.back().reason, HasSubstr(reason));
        EXPECT_EQ(Ask("SELECT count(*) FROM feedback"), std::to_string(reason.empty() ? good : good - 1));
      }
    }
  }
}

TEST_F(TableRulesTest, WhatATriggerLeavesAsItIsWasThereBefore) {
  auto writer = Opened(Updating());
  Write(*writer, Numbered(0, 3));
  Sql("CREATE TRIGGER a BEFORE UPDATE ON feedback FOR EACH ROW EXECUTE FUNCTION "
      "suppress_redundant_updates_trigger()");
  EXPECT_EQ(
      KindsOf(Write(*writer, Numbered(1, 3))),
      (std::vector<OutcomeKind>{OutcomeKind::kDuplicate, OutcomeKind::kDuplicate, OutcomeKind::kAccepted}));
}

}  // namespace
}  // namespace sluice::connectors::postgres
