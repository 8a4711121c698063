#include "merge/merger.h"

#include <arrow/api.h>

#include "base/testing/matchers.h"
#include "merge/testing/small_rows.h"

namespace sluice::merge {
namespace {

using odf::MergeKind;
using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::FromBatches;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::MemoryHistory;
using testing::Parse;
using testing::Row;
using testing::Rows;

using Strings = std::vector<std::string>;

MergeSpec SpecOf(MergeKind kind, Strings key, std::shared_ptr<arrow::Schema> input = nullptr) {
  MergeSpec spec;
  spec.strategy.kind = kind;
  spec.strategy.primary_key = std::move(key);
  const bool with_op = kind == MergeKind::kUpsertStream || kind == MergeKind::kChangelogStream;
  spec.input = input == nullptr ? testing::SmallSchema(with_op) : std::move(input);
  return spec;
}

struct Merged {
  std::string rows;
  MergeCounts counts;
};

// One batch after a history, both as text (odf-ingest.md 3).
Result<Merged> Merge(const MergeSpec& spec, const std::string& prev, const std::string& fresh) {
  MemoryHistory history(KeyColumnsOf(spec.strategy));
  if (!prev.empty()) RETURN_IF_ERROR(history.Commit(Parse(prev)));
  ASSIGN_OR_RETURN(const auto merger, Merger::Make(spec, &history));
  const bool with_op = spec.input->GetFieldIndex("op") >= 0;
  std::vector<std::shared_ptr<arrow::RecordBatch>> out(1);
  ASSIGN_OR_RETURN(out[0], merger->Push(testing::ToBatch(Parse(fresh), with_op)));
  ASSIGN_OR_RETURN(const auto rest, merger->EndBatch());
  out.insert(out.end(), rest.begin(), rest.end());
  return Merged{testing::ToString(FromBatches(out)), merger->counts()};
}

struct Case {
  std::string prev;
  std::string fresh;
  std::string out;
};

void ExpectCases(const MergeSpec& spec, const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    ASSERT_OK_AND_ASSIGN(const Merged merged, Merge(spec, c.prev, c.fresh));
    EXPECT_EQ(merged.rows, c.out) << "after " << c.prev << " came " << c.fresh;
  }
}

TEST(AppendMergeTest, TakesEverythingToBeSortedByEventTime) {
  const MergeSpec spec = SpecOf(MergeKind::kAppend, {});
  ExpectCases(spec, {{"", "v1, s2, k3", "+A v1, +A s2, +A k3"},
                     {"+A v1@3", "v1, o4", "+A v1, +A o4"},
                     {"", "x1@2, y2@1", "+A x1@2, +A y2@1"}});
  ASSERT_OK_AND_ASSIGN(const auto merger, Merger::Make(spec, nullptr));
  ASSERT_EQ(merger->order().size(), 1u);
  EXPECT_EQ(merger->order()[0].column, "event_time");
  EXPECT_THAT(merger->output_schema()->field_names(),
              ElementsAre("op", "event_time", "year", "city", "value"));
  EXPECT_EQ(merger->output_schema()->field(0)->type()->id(), arrow::Type::INT32);
}

TEST(LedgerMergeTest, FollowsTheTable) {
  ExpectCases(SpecOf(MergeKind::kLedger, {"year", "city"}), {{"", "v1, s2, k3", "+A v1, +A s2, +A k3"},
                                                             {"+A v1@1, +A s2@1, +A k3@1", "o4", "+A o4"},
                                                             {"+A v1@1, +A s2@1, +A k3@1", "s2, k3", ""},
                                                             {"+A v1@1, +A s2@1, +A k3@1", "k3, s2", ""},
                                                             {"+A s2@1", "s3", ""},
                                                             {"+A s2@1", "s3 #2021", "+A s3 #2021"},
                                                             {"+A s2@1, -R s2@1", "s2", ""}});
  ExpectCases(SpecOf(MergeKind::kLedger, {"year"}), {{"+A v1@1, +A s2@1", "k3", ""}});
  ExpectCases(SpecOf(MergeKind::kLedger, {"year", "city", "value"}), {{"+A s2@1", "s3", "+A s3"}});
}

TEST(LedgerMergeTest, KeepsTheFirstRowOfAKeyWithinABatch) {
  ASSERT_OK_AND_ASSIGN(const Merged merged,
                       Merge(SpecOf(MergeKind::kLedger, {"city"}), "+A o1@1", "a1, b1, a2, o2, o3, a3"));
  EXPECT_EQ(merged.rows, "+A a1, +A b1");
  EXPECT_EQ(merged.counts.duplicates, 2);
  EXPECT_EQ(merged.counts.unchanged, 2);
  EXPECT_THAT(merged.counts.first_duplicates, ElementsAre("a", "a"));
}

TEST(LedgerMergeTest, AsksHistoryOncePerKeyAndNotAtAllWhenThereIsNone) {
  const MergeSpec spec = SpecOf(MergeKind::kLedger, {"city"});
  MemoryHistory history({"city"});
  {
    ASSERT_OK_AND_ASSIGN(const auto merger, Merger::Make(spec, &history));
    ASSERT_OK(merger->Push(testing::ToBatch(Parse("a1, b1"), false)));
    EXPECT_EQ(history.asked, 0);
  }
  ASSERT_OK(history.Commit(Parse("+A a1@1")));
  ASSERT_OK_AND_ASSIGN(const auto merger, Merger::Make(spec, &history));
  for (int i = 0; i < 3; ++i) ASSERT_OK(merger->Push(testing::ToBatch(Parse("a1, b1, a2"), false)));
  EXPECT_EQ(history.asked, 2);
}

TEST(SnapshotMergeTest, FollowsTheTable) {
  ExpectCases(SpecOf(MergeKind::kSnapshot, {"city"}),
              {{"", "v1, s2", "+A s2, +A v1"},
               {"+A v1@1, +A s2@1", "s2, v1", ""},
               {"+A v1@1, +A s2@1, +A k3@1", "s2, k4, o5", "-C k3@1, +C k4, +A o5, -R v1@1"},
               {"+A v1@1, +A s2@1, +A k3@1", "s2@1, k3@2, o5@2", "-C k3@1, +C k3@2, +A o5@2, -R v1@1"},
               {"+A k3@1", "k3@2", "-C k3@1, +C k3@2"},
               {"+A v1@1, +A s2@1", "", "-R s2@1, -R v1@1"},
               {"+A v1@1, -R v1@1", "v1", "+A v1"},
               {"+A v1@1", "v·", "-C v1@1, +C v·"},
               {"+A v1@1, +A s2@1, -C v1@1, +C v3@2, +A k4@2, -R s2@1, -C k4@2, +C k1@3", "v3, k1", ""},
               // Rows of one side with nothing but NULL are still on that side.
               {"+A v1@1", "v1, n·", "+A n·"},
               {"+A v1@1, +A n·@1", "v1", "-R n·@1"},
               {"+A A1000@1, +A B2000@1, +A C3000@1, +A D4000@1", "C3000, B4000, D5000",
                "-R A1000@1, -C B2000@1, +C B4000, -C D4000@1, +C D5000"}});
  // Nothing but the key.
  ExpectCases(SpecOf(MergeKind::kSnapshot, {"city", "year", "value"}),
              {{"+A v1@1, +A s2@1", "v1, k3", "+A k3, -R s2@1"}});
}

TEST(SnapshotMergeTest, ComparesOnlyTheNamedColumns) {
  MergeSpec spec = SpecOf(MergeKind::kSnapshot, {"city"});
  spec.strategy.compare_columns = Strings{"year"};
  ExpectCases(spec, {{"+A v1@1", "v2", ""}, {"+A v1@1", "v2 #2021", "-C v1@1, +C v2 #2021"}});
}

TEST(SnapshotMergeTest, TakesTheLastRowOfAKeyAndReportsTheOthers) {
  MergeSpec spec = SpecOf(MergeKind::kSnapshot, {"city"});
  ASSERT_OK_AND_ASSIGN(const Merged merged, Merge(spec, "+A a1@1", "b1, a2, b2, a1, b3"));
  EXPECT_EQ(merged.rows, "+A b3");
  EXPECT_EQ(merged.counts.duplicates, 3);
  EXPECT_THAT(merged.counts.first_duplicates, ElementsAre("a", "b"));
  spec.refuse_duplicates = true;
  EXPECT_THAT(Merge(spec, "", "a1, b1, a2"),
              IsError(ErrorCode::kInvalidRecords, AllOf(HasSubstr("1 rows"), HasSubstr("'a'"))));
  EXPECT_OK(Merge(spec, "", "a1, b1"));
}

TEST(SnapshotMergeTest, OrdersByThePrimaryKeyAsDeclared) {
  ExpectCases(SpecOf(MergeKind::kSnapshot, {"year", "city"}),
              {{"+A a1@1 #2022, +A b1@1 #2021", "a2 #2022, c1 #2020, b1 #2023",
                "+A c1, -R b1@1 #2021, -C a1@1 #2022, +C a2 #2022, +A b1 #2023"}});
  ExpectCases(SpecOf(MergeKind::kSnapshot, {"city", "year"}),
              {{"", "a2 #2022, c1 #2020, b1 #2023", "+A a2 #2022, +A b1 #2023, +A c1"}});
}

TEST(UpsertMergeTest, FollowsTheTable) {
  ExpectCases(SpecOf(MergeKind::kUpsertStream, {"year", "city"}),
              {{"", "+A v1, +A s2, +A k3", "+A k3, +A s2, +A v1"},
               {"", "+A v1, +A v2, +C v3, +A s2, +A k3, -R s2", "+A k3, +A v3"},
               {"+A v1@1, +A s2@1, +A k3@1", "+A o4", "+A o4"},
               {"+A v1@1, +A s2@1, +A k3@1", "+A s2, +A k3", ""},
               {"+A v1@1, +A s2@1, +A k3@1", "+A k3, +A s2", ""},
               {"+A v1@1, +A s2@1, +A k3@1", "+A v2, +C k4", "-C k3@1, +C k4, -C v1@1, +C v2"},
               {"+A v1@1, +A s2@1, +A k3@1", "+A v2, +A v3", "-C v1@1, +C v3"},
               {"+A v1@1, +A s2@1, +A k3@1", "-R s0", "-R s2@1"},
               {"+A v1@1, +A s2@1, +A k3@1", "+C s3, -R s0", "-R s2@1"},
               {"+A v1@1", "-R o9", ""},
               {"+A b4@1, -R b4@1", "+A b1", "+A b1"},
               {"+A v1@1", "", ""},
               // All NULL beside the key, and nothing beside the key.
               {"", "+A n·", "+A n·"},
               {"+A n·@1", "+A n·", ""}});
  ExpectCases(SpecOf(MergeKind::kUpsertStream, {"year", "city", "value"}),
              {{"", "+A v1", "+A v1"}, {"+A v1@1", "-R v1", "-R v1@1"}});
}

TEST(UpsertMergeTest, TakesRowsWithoutOpAsUpserts) {
  const MergeSpec spec = SpecOf(MergeKind::kUpsertStream, {"city"}, testing::SmallSchema(false));
  ExpectCases(spec, {{"+A v1@1", "v2, s1", "+A s1, -C v1@1, +C v2"}});
}

TEST(ChangelogMergeTest, KeepsTheInputsSequenceWithinAKey) {
  ExpectCases(SpecOf(MergeKind::kChangelogStream, {"city"}),
              {{"", "+A v1, +A s2, +A k3, -C v1, +C v2", "+A k3, +A s2, +A v1, -C v1, +C v2"},
               {"+A v1@1", "+A o4, -C v1, +C v2", "+A o4, -C v1, +C v2"},
               {"", "+A v1, -R v1, +A v9", "+A v1, -R v1, +A v9"}});
}

TEST(ChangelogMergeTest, KeepsTheDeclaredTypeOfOp) {
  const auto input = arrow::schema({arrow::field("ts", arrow::timestamp(arrow::TimeUnit::MILLI, "UTC")),
                                    arrow::field("city", arrow::utf8()), arrow::field("op", arrow::uint8())});
  MergeSpec spec = SpecOf(MergeKind::kChangelogStream, {"city"}, input);
  spec.vocabulary.event_time = "ts";
  ASSERT_OK_AND_ASSIGN(const auto merger, Merger::Make(spec, nullptr));
  EXPECT_THAT(merger->output_schema()->field_names(), ElementsAre("op", "ts", "city"));
  EXPECT_EQ(merger->output_schema()->field(0)->type()->id(), arrow::Type::UINT8);
}

TEST(MergerTest, NamesTheRowOfANullKey) {
  for (MergeKind kind :
       {MergeKind::kLedger, MergeKind::kSnapshot, MergeKind::kUpsertStream, MergeKind::kChangelogStream}) {
    EXPECT_THAT(
        Merge(SpecOf(kind, {"year", "city"}), "", "+A v1, +A v2 #2021, +A v3 #·"),
        IsError(ErrorCode::kInvalidRecords, HasSubstr("row 3: column 'year' of the primary key is null")));
  }
}

TEST(MergerTest, NamesTheRowOfABadOp) {
  for (MergeKind kind : {MergeKind::kUpsertStream, MergeKind::kChangelogStream}) {
    EXPECT_THAT(
        Merge(SpecOf(kind, {"city"}), "", "+A v1, v2"),
        IsError(ErrorCode::kInvalidRecords, HasSubstr("row 2: operation column 'op': null is no operation")));
    MemoryHistory history({"city"});
    ASSERT_OK_AND_ASSIGN(const auto merger, Merger::Make(SpecOf(kind, {"city"}), &history));
    ASSERT_OK(merger->Push(testing::ToBatch(Parse("+A v1"), true)));
    Row bad = Parse("+A v2")[0];
    bad.op = 4;
    EXPECT_THAT(
        merger->Push(testing::ToBatch({bad}, true)),
        IsError(ErrorCode::kInvalidRecords, HasSubstr("row 2: operation column 'op': '4' is no operation")));
  }
}

TEST(MergerTest, NamesMissingColumnsAndTheOnesThereAre) {
  MemoryHistory history({"id"});
  for (MergeKind kind :
       {MergeKind::kLedger, MergeKind::kSnapshot, MergeKind::kUpsertStream, MergeKind::kChangelogStream}) {
    EXPECT_THAT(Merger::Make(SpecOf(kind, {"id"}), &history),
                IsError(ErrorCode::kInvalidArgument, AllOf(HasSubstr("no column 'id' for the primary key"),
                                                           HasSubstr("'city', 'value'"))));
    EXPECT_THAT(Merger::Make(SpecOf(kind, {}), &history), IsErrorCode(ErrorCode::kInvalidArgument));
  }
  MergeSpec spec = SpecOf(MergeKind::kSnapshot, {"city"});
  spec.strategy.compare_columns = Strings{"mod"};
  EXPECT_THAT(Merger::Make(spec, &history),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("no column 'mod' for the comparison")));
  EXPECT_THAT(
      Merger::Make(SpecOf(MergeKind::kChangelogStream, {"city"}, testing::SmallSchema(false)), &history),
      IsError(ErrorCode::kInvalidArgument, HasSubstr("no column 'op' for the operation")));
  EXPECT_THAT(Merger::Make(SpecOf(MergeKind::kLedger, {"city"}, testing::SmallSchema(true)), &history),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("column 'op'")));
}

TEST(MergerTest, GoesOnWithoutAnAbandonedBatch) {
  for (MergeKind kind : {MergeKind::kLedger, MergeKind::kSnapshot, MergeKind::kUpsertStream}) {
    const bool with_op = kind == MergeKind::kUpsertStream;
    MemoryHistory history({"city"});
    ASSERT_OK_AND_ASSIGN(const auto merger, Merger::Make(SpecOf(kind, {"city"}), &history));
    const auto push = [&](const std::string& rows) {
      return merger->Push(testing::ToBatch(Parse(rows), with_op));
    };
    std::vector<std::shared_ptr<arrow::RecordBatch>> out(1);
    ASSERT_OK(push("+A a1"));
    ASSERT_OK(merger->EndBatch());
    ASSERT_OK(push("+A b1, +A a1"));
    EXPECT_THAT(push("+A ·1"), IsErrorCode(ErrorCode::kInvalidRecords));
    merger->AbandonBatch();
    ASSERT_OK_AND_ASSIGN(out[0], push("+A b2, +A a1"));
    ASSERT_OK_AND_ASSIGN(const auto rest, merger->EndBatch());
    out.insert(out.end(), rest.begin(), rest.end());
    EXPECT_EQ(testing::ToString(FromBatches(out)), "+A b2");
    EXPECT_EQ(merger->counts().received, 2);
    EXPECT_EQ(merger->counts().unchanged, 1);
  }
}

TEST(MergerTest, ReadsOldRowsWithoutANewColumnAsNull) {
  const auto wider = [](bool with_op) {
    arrow::FieldVector fields = testing::SmallSchema(with_op)->fields();
    fields.push_back(arrow::field("url", arrow::utf8(), false));
    return arrow::schema(fields);
  };
  for (MergeKind kind : {MergeKind::kSnapshot, MergeKind::kUpsertStream}) {
    const bool with_op = kind == MergeKind::kUpsertStream;
    MemoryHistory history({"city"});
    ASSERT_OK(history.Commit(Parse("+A b7@1")));
    ASSERT_OK_AND_ASSIGN(const auto merger, Merger::Make(SpecOf(kind, {"city"}, wider(with_op)), &history));
    EXPECT_TRUE(merger->output_schema()->GetFieldByName("url")->nullable());
    const auto small = testing::ToBatch(Parse("+A b7"), with_op);
    auto columns = small->columns();
    arrow::StringBuilder urls;
    ASSERT_TRUE(urls.Append("u").ok());
    columns.push_back(urls.Finish().ValueOrDie());
    ASSERT_OK(merger->Push(arrow::RecordBatch::Make(wider(with_op), 1, columns)));
    ASSERT_OK_AND_ASSIGN(const auto out, merger->EndBatch());
    EXPECT_EQ(testing::ToString(FromBatches(out)), "-C b7@1, +C b7");
    const auto url = out[0]->GetColumnByName("url");
    EXPECT_TRUE(url->IsNull(0));
    EXPECT_EQ(url->GetScalar(1).ValueOrDie()->ToString(), "u");
  }
}

TEST(MergerTest, LeavesOutOldColumnsThatTheInputLacks) {
  const auto narrow =
      arrow::schema({testing::SmallSchema(false)->field(0), testing::SmallSchema(false)->field(2)});
  MemoryHistory history({"city"});
  ASSERT_OK(history.Commit(Parse("+A a1@1, +A b2@1")));
  ASSERT_OK_AND_ASSIGN(const auto merger,
                       Merger::Make(SpecOf(MergeKind::kSnapshot, {"city"}, narrow), &history));
  const auto rows = testing::ToBatch(Parse("a1"), false);
  ASSERT_OK(merger->Push(arrow::RecordBatch::Make(narrow, 1, {rows->column(0), rows->column(2)})));
  ASSERT_OK_AND_ASSIGN(const auto out, merger->EndBatch());
  ASSERT_EQ(out.size(), 1u);
  EXPECT_THAT(out[0]->schema()->field_names(), ElementsAre("op", "event_time", "city"));
  EXPECT_EQ(testing::ToString(FromBatches(out)), "-R b·@1");
}

TEST(MergerTest, TreatsNanAndZeroAsOneValue) {
  const auto schema =
      arrow::schema({arrow::field("event_time", arrow::timestamp(arrow::TimeUnit::MILLI, "UTC")),
                     arrow::field("city", arrow::utf8()), arrow::field("x", arrow::float64())});
  const auto batch = [&](double a, double b) {
    arrow::StringBuilder cities;
    arrow::DoubleBuilder values;
    EXPECT_TRUE(cities.AppendValues({"a", "b"}).ok() && values.AppendValues({a, b}).ok());
    return arrow::RecordBatch::Make(schema, 2,
                                    {arrow::MakeArrayOfNull(schema->field(0)->type(), 2).ValueOrDie(),
                                     cities.Finish().ValueOrDie(), values.Finish().ValueOrDie()});
  };
  MemoryHistory history({"city"});
  ASSERT_OK_AND_ASSIGN(const auto merger,
                       Merger::Make(SpecOf(MergeKind::kSnapshot, {"city"}, schema), &history));
  ASSERT_OK(merger->Push(batch(std::numeric_limits<double>::quiet_NaN(), 0.0)));
  ASSERT_OK(merger->EndBatch());
  ASSERT_OK(merger->Push(batch(-std::numeric_limits<double>::quiet_NaN(), -0.0)));
  ASSERT_OK_AND_ASSIGN(const auto out, merger->EndBatch());
  EXPECT_THAT(out, IsEmpty());
  EXPECT_EQ(merger->counts().unchanged, 2);
}

TEST(NeedOfTest, SaysWhatEachStrategyAsks) {
  EXPECT_EQ(NeedOf(MergeKind::kAppend), HistoryNeed::kNone);
  EXPECT_EQ(NeedOf(MergeKind::kChangelogStream), HistoryNeed::kNone);
  EXPECT_EQ(NeedOf(MergeKind::kLedger), HistoryNeed::kKeys);
  EXPECT_EQ(NeedOf(MergeKind::kSnapshot), HistoryNeed::kRows);
  EXPECT_EQ(NeedOf(MergeKind::kUpsertStream), HistoryNeed::kRows);
}

}  // namespace
}  // namespace sluice::merge
