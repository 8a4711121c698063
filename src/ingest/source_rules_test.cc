#include "ingest/source_rules.h"

#include "base/testing/matchers.h"
#include "ingest/testing/push_fixture.h"
#include "odf/yaml.h"

namespace sluice::ingest {
namespace {

using ::testing::AllOf;
using testing::CsvSource;
using ::testing::HasSubstr;

constexpr char kFields[] = "{name: event_time, type: Timestamp}, {name: k, type: Int64}";

Status Check(const std::vector<std::string>& texts, const odf::ChainState& state = {},
             const SourceRuleOptions& options = {}) {
  std::vector<odf::MetadataEvent> events;
  for (const auto& text : texts) {
    ASSIGN_OR_RETURN(auto event, odf::ParseEvent(text, "test"));
    events.push_back(std::move(event));
  }
  RETURN_IF_ERROR(NormalizeEvents(&events));
  return CheckNewEvents(state, events, options);
}

TEST(SourceRulesTest, AcceptsWhatFits) {
  EXPECT_OK(Check({CsvSource("{kind: Ledger, primaryKey: [k]}", kFields)}));
  EXPECT_OK(Check({CsvSource("{kind: Ledger, primaryKey: [anything]}")}));  // only data can tell
  EXPECT_OK(Check({CsvSource("{kind: Append}", kFields, "a"), CsvSource("{kind: Append}", kFields, "b")}));
}

TEST(SourceRulesTest, NamesUnknownKeyAndCompareColumns) {
  EXPECT_THAT(Check({CsvSource("{kind: Ledger, primaryKey: [kk]}", kFields)}),
              IsError(ErrorCode::kInvalidArgument, AllOf(HasSubstr("'kk'"), HasSubstr("event_time"))));
  EXPECT_THAT(Check({CsvSource("{kind: Snapshot, primaryKey: [k], compareColumns: [x]}", kFields)}),
              IsError(ErrorCode::kInvalidArgument, AllOf(HasSubstr("compareColumns"), HasSubstr("'x'"))));
  EXPECT_THAT(Check({CsvSource("{kind: ChangelogStream, primaryKey: [k]}", kFields)}),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("'op'")));
}

TEST(SourceRulesTest, RefusesKeysAndOperationsOfTypesThatCannotBeSuch) {
  EXPECT_THAT(
      Check({CsvSource("{kind: Ledger, primaryKey: [k]}", "{name: k, type: {kind: List, itemType: Int64}}")}),
      IsError(ErrorCode::kUnsupported, HasSubstr("'k'")));
  for (const char* merge :
       {"{kind: ChangelogStream, primaryKey: [k]}", "{kind: UpsertStream, primaryKey: [k]}"}) {
    EXPECT_THAT(Check({CsvSource(merge, "{name: op, type: String}, {name: k, type: Int64}")}),
                IsError(ErrorCode::kInvalidArgument, HasSubstr("'op'")));
    EXPECT_OK(Check({CsvSource(merge, "{name: op, type: Int16}, {name: k, type: Int64}")}));
  }
}

TEST(SourceRulesTest, RefusesSourcesWithOtherColumns) {
  EXPECT_THAT(Check({CsvSource("{kind: Append}", kFields, "a"),
                     CsvSource("{kind: Append}",
                               "{name: event_time, type: Timestamp}, {name: k, type: String}", "b")}),
              IsError(ErrorCode::kConflict, AllOf(HasSubstr("source 'a'"), HasSubstr("differing k"))));
}

TEST(SourceRulesTest, RefusesWhatDoesNotFitTheDatasetsSchema) {
  testing::PushFixture f;
  f.Create({CsvSource("{kind: Append}", kFields)});
  ASSERT_OK(f.PushText("event_time,k\n2020-01-01T00:00:00Z,1\n"));
  const auto& state = f.dataset->state();
  EXPECT_THAT(
      Check({CsvSource("{kind: Append}", std::string(kFields) + ", {name: extra, type: String}", "more")},
            state),
      IsError(ErrorCode::kConflict, HasSubstr("'extra'")));
  // Its columns are known by the dataset when not by itself.
  EXPECT_THAT(Check({CsvSource("{kind: Ledger, primaryKey: [nothing]}", "", "other")}, state),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("'nothing'")));
  EXPECT_OK(Check({CsvSource("{kind: Ledger, primaryKey: [k]}", "", "other")}, state));
}

constexpr char kTime[] = "{name: event_time, type: Timestamp}";
constexpr char kOptional[] =
    "{name: event_time, type: Timestamp}, {name: k, type: {kind: Option, inner: Int64}}";

TEST(SourceRulesTest, WhoWritesFirstLeavesNobodyOut) {
  testing::PushFixture f;
  f.Create({CsvSource("{kind: Append}", kOptional, "full"), CsvSource("{kind: Append}", kTime, "few")});
  IngestOptions options;
  options.source_name = "few";
  ASSERT_OK(f.PushText("event_time\n2020-01-01T00:00:00Z\n", options));
  options.source_name = "full";
  ASSERT_OK(f.PushText("event_time,k\n2020-01-01T00:00:00Z,7\n", options));
  EXPECT_EQ(f.Rows({"k"}), "-, 7");
  EXPECT_EQ(f.Violations(), "");
}

TEST(SourceRulesTest, ARequiredColumnIsOptionalWhereAnotherSourceLeavesItEmpty) {
  testing::PushFixture f;
  f.Create({CsvSource("{kind: Append}", kFields, "full"), CsvSource("{kind: Append}", kOptional, "empty")});
  IngestOptions options;
  options.source_name = "full";
  ASSERT_OK(f.PushText("event_time,k\n2020-01-01T00:00:00Z,7\n", options));
  options.source_name = "empty";
  ASSERT_OK(f.PushText("event_time,k\n2020-01-01T00:00:00Z,\n", options));
}

TEST(SourceRulesTest, DataThatOthersCouldNotFollowIsRefusedBeforeItMakesTheSchema) {
  testing::PushFixture f;
  f.Create({CsvSource("{kind: Append}", kFields, "known"), CsvSource("{kind: Append}", "", "unknown")});
  IngestOptions options;
  options.source_name = "unknown";
  EXPECT_THAT(f.PushText("event_time,other\n2020-01-01T00:00:00Z,7\n", options),
              IsError(ErrorCode::kConflict, AllOf(HasSubstr("other sources"), HasSubstr("'other'"))));
  EXPECT_FALSE(f.dataset->state().schema.has_value());
}

TEST(SourceRulesTest, ComparesWithAllOthersTogether) {
  EXPECT_OK(Check({CsvSource("{kind: Append}", kOptional, "a"), CsvSource("{kind: Append}", kTime, "b"),
                   CsvSource("{kind: Append}", kOptional, "c")}));
  // Its key is looked for among its own columns.
  EXPECT_THAT(Check({CsvSource("{kind: Append}", kOptional, "a"),
                     CsvSource("{kind: Ledger, primaryKey: [k]}", kTime, "b")}),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("'k'")));
}

TEST(SourceRulesTest, RefusesASnapshotBesideOthersUnlessMeant) {
  const std::vector<std::string> both = {CsvSource("{kind: Append}", kFields, "a"),
                                         CsvSource("{kind: Snapshot, primaryKey: [k]}", kFields, "b")};
  EXPECT_THAT(Check(both), IsErrorCode(ErrorCode::kInvalidArgument));
  SourceRuleOptions options;
  options.shared_snapshot = true;
  EXPECT_OK(Check(both, {}, options));
}

TEST(SourceRulesTest, RefusesUnknownFunctionsAndEngines) {
  const std::string source = CsvSource("{kind: Append}", kFields);
  EXPECT_FALSE(
      Check(
          {source +
           "preprocess: {kind: Sql, engine: datafusion, query: 'select event_time, no_such_function(k) as k from input'}\n"})
          .ok());
  EXPECT_FALSE(
      Check({source + "preprocess: {kind: Sql, engine: nothing, query: 'select * from input'}\n"}).ok());
  EXPECT_OK(Check(
      {source + "preprocess: {kind: Sql, engine: datafusion, query: 'select event_time, k from input'}\n"}));
}

}  // namespace
}  // namespace sluice::ingest
