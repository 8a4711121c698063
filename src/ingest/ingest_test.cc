#include "ingest/ingest.h"

#include <fmt/ranges.h>

#include <random>

#include "base/testing/matchers.h"
#include "ingest/index_sync.h"
#include "ingest/source_rules.h"
#include "ingest/testing/push_fixture.h"
#include "odf/yaml.h"

namespace sluice::ingest {
namespace {

using storage::FaultyStorage;
using ::testing::AllOf;
using testing::CsvSource;
using ::testing::HasSubstr;
using testing::PushFixture;

constexpr char kFields[] =
    "{name: event_time, type: {kind: Option, inner: Timestamp}}, {name: k, type: Int64}, "
    "{name: v, type: {kind: Option, inner: String}}";
constexpr char kLedger[] = "{kind: Ledger, primaryKey: [k]}";
constexpr char kAppend[] = "{kind: Append}";
const std::vector<std::string> kColumns = {"offset", "op", "event_time", "k", "v"};

std::string Csv(const std::string& rows) { return "event_time,k,v\n" + rows; }

std::vector<IngestInput> Inputs(const std::vector<std::string>& texts) {
  std::vector<IngestInput> inputs;
  for (const auto& text : texts) inputs.push_back(PushFixture::Text(text));
  return inputs;
}

TEST(IngestTest, CommitsSchemaAndRowsWithOneHeadMove) {
  PushFixture f;
  f.Create({CsvSource(kAppend)});
  ASSERT_OK_AND_ASSIGN(auto outcome,
                       f.PushText("event_time,k,v\n2020-01-02T00:00:00Z,1,a\n2020-01-01T00:00:00Z,2,\n"));
  EXPECT_EQ(outcome.status, IngestStatus::kCommitted);
  EXPECT_EQ(outcome.events.size(), 2u);
  EXPECT_EQ(outcome.records_read, 2);
  EXPECT_EQ(outcome.records_added, 2);
  EXPECT_EQ(outcome.sequence, 3u);
  EXPECT_EQ(outcome.new_head, f.dataset->head());
  EXPECT_EQ(FormatInstant(*outcome.watermark), "2020-01-02T00:00:00Z");
  EXPECT_EQ(f.Violations(), "");
}

TEST(IngestTest, FillsEventTimesFromTheInputOrTheClock) {
  PushFixture f;
  f.Create({CsvSource(kAppend, kFields)});
  ASSERT_OK(f.PushText(Csv(",1,a\n")));
  auto input = PushFixture::Text(Csv(",2,b\n2020-01-01T00:00:00Z,3,c\n"));
  input.event_time = ParseInstant("2021-01-01T00:00:00Z").value();
  std::vector<IngestInput> inputs;
  inputs.push_back(std::move(input));
  ASSERT_OK(f.Push(std::move(inputs)));
  EXPECT_EQ(f.Rows({"event_time", "k"}),
            "2024-01-01 00:00:00.000Z 1, 2020-01-01 00:00:00.000Z 3, 2021-01-01 00:00:00.000Z 2");
  // Older events do not turn the watermark back.
  EXPECT_EQ(FormatInstant(*f.dataset->state().watermark()), "2024-01-01T00:00:00Z");
  EXPECT_EQ(f.Violations(), "");
}

TEST(IngestTest, KeepsADateAsEventTime) {
  PushFixture f;
  f.Create({"kind: SetVocab\neventTimeColumn: day\n",
            CsvSource(kAppend, "{name: day, type: {kind: Option, inner: Date}}, {name: k, type: Int64}")});
  ASSERT_OK(f.PushText("day,k\n2020-05-01,1\n,2\n"));
  EXPECT_EQ(f.Rows({"offset", "day", "k"}), "0 2020-05-01 1, 1 2024-01-01 2");
  EXPECT_EQ(FormatInstant(*f.dataset->state().watermark()), "2024-01-01T00:00:00Z");
  EXPECT_EQ(f.Violations(), "");
}

TEST(IngestTest, SaysUpToDateWhenNothingIsNew) {
  PushFixture f;
  f.Create({CsvSource(kLedger, kFields)});
  ASSERT_OK(f.PushText(Csv("2020-01-01T00:00:00Z,1,a\n")));
  const auto head = f.dataset->head();
  ASSERT_OK_AND_ASSIGN(auto outcome, f.PushText(Csv("2020-01-05T00:00:00Z,1,other\n")));
  EXPECT_EQ(outcome.status, IngestStatus::kUpToDate);
  EXPECT_EQ(outcome.records_read, 1);
  EXPECT_EQ(f.dataset->head(), head);
  // A header alone is a frame of no rows; nothing at all is no frame.
  ASSERT_OK_AND_ASSIGN(auto header, f.PushText("event_time,k,v\n"));
  EXPECT_EQ(header.status, IngestStatus::kUpToDate);
  ASSERT_OK_AND_ASSIGN(auto nothing, f.PushText(""));
  EXPECT_EQ(nothing.status, IngestStatus::kUpToDate);
}

TEST(IngestTest, StoresAStateWithoutRows) {
  PushFixture f;
  f.Create({CsvSource(kLedger, kFields)});
  ASSERT_OK(f.PushText(Csv("2020-01-01T00:00:00Z,1,a\n")));
  auto input = PushFixture::Text(Csv("2020-01-01T00:00:00Z,1,a\n"));
  input.next_state = "s1";
  input.if_state = "*";
  std::vector<IngestInput> inputs;
  inputs.push_back(input);
  ASSERT_OK_AND_ASSIGN(auto outcomes, f.Push(inputs));
  EXPECT_EQ(outcomes[0].status, IngestStatus::kCommitted);
  EXPECT_EQ(outcomes[0].records_added, 0);
  EXPECT_EQ(f.dataset->state().push_sources.at("default").state->value, "s1");
  ASSERT_OK_AND_ASSIGN(auto again, f.Push(inputs));
  EXPECT_EQ(again[0].status, IngestStatus::kDuplicate);
  inputs[0].next_state = "s3";
  inputs[0].if_state = "s2";
  EXPECT_THAT(f.Push(inputs), IsError(ErrorCode::kPrecondition, HasSubstr("'s1'")));
}

TEST(IngestTest, RefusesStatesThatCannotBe) {
  PushFixture f;
  f.Create({CsvSource(kLedger, kFields)});
  for (const char* state : {"", "*x", "a b", "\xc3\xa4", "tab\t"}) {
    auto input = PushFixture::Text(Csv(""));
    input.next_state = state;
    std::vector<IngestInput> inputs = {input};
    EXPECT_THAT(f.Push(inputs), IsErrorCode(ErrorCode::kInvalidArgument)) << state;
  }
  auto input = PushFixture::Text(Csv(""));
  input.next_state = "a";
  input.state_kind = kFileStateKind;
  std::vector<IngestInput> inputs = {input};
  EXPECT_THAT(f.Push(inputs), IsErrorCode(ErrorCode::kInvalidArgument));
}

TEST(IngestTest, FollowsStatesThroughAGroup) {
  PushFixture f;
  f.Create({CsvSource(kAppend, kFields)});
  auto make = [](const std::string& row, const char* before, const char* after) {
    auto input = PushFixture::Text(Csv(row));
    input.if_state = before;
    input.next_state = after;
    return input;
  };
  const std::string row = "2020-01-01T00:00:00Z,1,a\n";
  ASSERT_OK(f.Push({make(row, "*", "1"), make(row, "1", "2")}));
  EXPECT_EQ(f.dataset->state().push_sources.at("default").state->value, "2");
  EXPECT_EQ(f.dataset->state().data_records, 2u);
  // One that is there already, then a new one.
  ASSERT_OK_AND_ASSIGN(auto outcomes, f.Push({make(row, "1", "2"), make(row, "2", "3")}));
  EXPECT_EQ(outcomes[0].status, IngestStatus::kDuplicate);
  EXPECT_EQ(outcomes[1].status, IngestStatus::kCommitted);
  EXPECT_EQ(f.dataset->state().data_records, 3u);
  // One that does not follow spoils the group.
  EXPECT_THAT(f.Push({make(row, "3", "4"), make(row, "9", "10")}), IsErrorCode(ErrorCode::kPrecondition));
  EXPECT_EQ(f.dataset->state().data_records, 3u);
}

TEST(IngestTest, DryRunLeavesNoTrace) {
  for (const char* merge : {kAppend, kLedger}) {
    PushFixture f;
    f.Create({CsvSource(merge, kFields)});
    const auto head = f.dataset->head();
    ASSERT_OK_AND_ASSIGN(auto before, f.inner->List(""));
    IngestOptions options;
    options.dry_run = true;
    ASSERT_OK_AND_ASSIGN(auto outcome, f.PushText(Csv("2020-01-01T00:00:00Z,1,a\n"), options));
    EXPECT_EQ(outcome.events.size(), 2u);
    EXPECT_EQ(f.dataset->head(), head);
    ASSERT_OK_AND_ASSIGN(auto after, f.inner->List(""));
    EXPECT_EQ(before.size(), after.size());
    ASSERT_OK_AND_ASSIGN(auto real, f.PushText(Csv("2020-01-01T00:00:00Z,1,a\n")));
    EXPECT_EQ(real.records_added, 1);
  }
}

TEST(IngestTest, GivesOffsetsAnewWhenTheHeadMovedDuringAppend) {
  PushFixture f;
  f.Create({CsvSource(kAppend, kFields)});
  ASSERT_OK(f.PushText(Csv("2020-01-01T00:00:00Z,1,a\n")));
  // Somebody else commits while the input is being read.
  auto other = [&f] {
    auto mine = std::move(f.dataset);
    f.dataset = f.OpenAnother();
    f.clock.Set(ParseInstant("2024-01-02T00:00:00Z").value());
    ASSERT_OK(f.PushText(Csv("2020-01-01T00:00:00Z,2,b\n")));
    f.dataset = std::move(mine);
  };
  std::vector<IngestInput> inputs = {
      PushFixture::TextThen(Csv("2020-01-03T00:00:00Z,3,c\n2020-01-02T00:00:00Z,4,d\n"), other)};
  ASSERT_OK_AND_ASSIGN(auto outcomes, f.Push(inputs));
  EXPECT_EQ(outcomes[0].offsets->start, 2u);
  EXPECT_EQ(f.Rows({"offset", "k"}), "0 1, 1 2, 2 4, 3 3");
  EXPECT_EQ(f.Violations(), "");
}

TEST(IngestTest, ReadsAgainWhenTheSourceChanged) {
  for (const bool replayable : {true, false}) {
    PushFixture f;
    f.Create({CsvSource(kAppend, kFields)});
    bool changed = false;
    auto other = [&] {
      if (std::exchange(changed, true)) return;
      auto another = f.OpenAnother();
      dataset::CommitRequest request;
      ASSERT_OK_AND_ASSIGN(auto event, odf::ParseEvent(CsvSource(kLedger, kFields), "test"));
      request.events.push_back(event);
      request.system_time = f.clock.Now();
      ASSERT_OK(another->Commit(std::move(request)));
    };
    auto input = PushFixture::TextThen(Csv("2020-01-01T00:00:00Z,1,a\n2020-01-02T00:00:00Z,1,b\n"), other);
    input.replayable = replayable;
    std::vector<IngestInput> inputs = {input};
    auto outcomes = f.Push(inputs);
    if (!replayable) {
      EXPECT_THAT(outcomes, IsErrorCode(ErrorCode::kUnavailable));
      continue;
    }
    ASSERT_OK(outcomes);
    EXPECT_EQ(outcomes->front().records_added, 1);  // by the new strategy
    EXPECT_EQ(f.Violations(), "");
  }
}

constexpr char kWiderSchema[] = R"(
kind: SetDataSchema
schema:
  fields:
    - {name: offset, type: Int64}
    - {name: op, type: Int32}
    - {name: system_time, type: {kind: Timestamp, unit: Millisecond, timezone: UTC}}
    - {name: event_time, type: {kind: Timestamp, unit: Millisecond, timezone: UTC}}
    - {name: note, type: {kind: Option, inner: String}}
    - {name: v, type: {kind: Option, inner: String}}
    - {name: k, type: {kind: Option, inner: Int64}}
)";

TEST(IngestTest, TakesAStreamThatRacedWithTheFirstSchema) {
  const std::string append = kAppend;
  for (const std::string& merge :
       {append, std::string(kLedger), std::string("{kind: Snapshot, primaryKey: [k]}"),
        std::string("{kind: UpsertStream, primaryKey: [k]}")}) {
    for (const bool with_rows : {true, false}) {
      PushFixture f;
      f.Create({CsvSource(merge, kFields)});
      bool changed = false;
      auto other = [&] {
        if (std::exchange(changed, true)) return;
        auto mine = std::move(f.dataset);
        f.dataset = f.OpenAnother();
        if (with_rows) {
          EXPECT_OK(f.PushText(Csv("2020-01-01T00:00:00Z,1,a\n")));
        } else {
          dataset::CommitRequest request;
          ASSERT_OK_AND_ASSIGN(auto event, odf::ParseEvent(kWiderSchema, "test"));
          request.events.push_back(event);
          request.system_time = f.clock.Now();
          EXPECT_OK(f.dataset->Commit(std::move(request)));
        }
        f.dataset = std::move(mine);
      };
      auto input = PushFixture::TextThen(Csv("2020-01-01T00:00:00Z,1,a\n2020-01-02T00:00:00Z,2,b\n"), other);
      std::vector<IngestInput> inputs = {input};
      ASSERT_OK_AND_ASSIGN(const auto outcomes, f.Push(inputs));
      EXPECT_EQ(outcomes.front().records_added, with_rows && merge != append ? 1 : 2) << merge;
      EXPECT_EQ(f.dataset->state().schema->fields.size(), with_rows ? 6u : 7u);
      EXPECT_EQ(f.Violations(), "") << merge;
    }
  }
}

TEST(IngestTest, SkipsAFileThatAnotherProcessTookMeanwhile) {
  for (const char* merge : {kAppend, kLedger}) {
    PushFixture f;
    f.Create({CsvSource(merge, kFields)});
    auto make = [](std::function<void()> before_end) {
      auto input = PushFixture::TextThen(Csv("2020-01-01T00:00:00Z,1,a\n"), std::move(before_end));
      input.file_state = [] { return std::string("1:9:abc"); };
      input.is_taken = [](const std::optional<odf::SourceState>& newest) -> Result<bool> {
        return newest->value == "1:9:abc";
      };
      return input;
    };
    auto other = [&] {
      auto mine = std::move(f.dataset);
      f.dataset = f.OpenAnother();
      std::vector<IngestInput> same = {make(nullptr)};
      ASSERT_OK(f.Push(same));
      f.dataset = std::move(mine);
    };
    std::vector<IngestInput> inputs = {make(other)};
    ASSERT_OK_AND_ASSIGN(auto outcomes, f.Push(inputs));
    EXPECT_EQ(outcomes[0].status, IngestStatus::kDuplicate);
    EXPECT_EQ(f.dataset->state().data_records, 1u);
  }
}

TEST(IngestTest, RefusesAKeyTwiceOnRequest) {
  PushFixture f;
  f.Create({CsvSource("{kind: Snapshot, primaryKey: [k]}", kFields)});
  const std::string twice = Csv("2020-01-01T00:00:00Z,1,a\n2020-01-01T00:00:00Z,1,b\n");
  IngestOptions options;
  options.refuse_duplicates = true;
  EXPECT_THAT(f.PushText(twice, options), IsErrorCode(ErrorCode::kInvalidRecords));
  ASSERT_OK_AND_ASSIGN(auto outcome, f.PushText(twice));
  EXPECT_EQ(outcome.counts.duplicates, 1);
  EXPECT_EQ(f.Rows({"k", "v"}), "1 b");
}

TEST(IngestTest, NamesDatasetAndDataWhereSchemasDiffer) {
  PushFixture f;
  f.Create({CsvSource(kAppend)});
  ASSERT_OK(f.PushText("event_time,k\n2020-01-01T00:00:00Z,1\n"));
  EXPECT_THAT(f.PushText("event_time,k,extra\n2020-01-01T00:00:00Z,1,2\n"),
              IsError(ErrorCode::kConflict, AllOf(HasSubstr("IncompatibleSchema"), HasSubstr("'extra'"),
                                                  HasSubstr("dataset schema"))));
  // Another order is fine, and a missing optional column is NULL.
  ASSERT_OK(f.PushText("k,event_time\n7,2020-01-01T00:00:00Z\n"));
  ASSERT_OK(f.PushText("event_time\n2020-01-02T00:00:00Z\n"));
  EXPECT_EQ(f.Rows({"offset", "k"}), "0 1, 1 7, 2 -");
  EXPECT_EQ(f.Violations(), "");
}

TEST(IngestTest, TakesBackBadRecordsOfWhatWasNotCommitted) {
  PushFixture f;
  f.Create({CsvSource(kLedger, kFields)});
  const std::string path = f.folder.path() + "/rejects";
  ASSERT_OK_AND_ASSIGN(f.rejects, RejectLog::Open(OnError::kSkip, path));
  const std::string bad = Csv("2020-01-01T00:00:00Z,one,a\n2020-01-01T00:00:00Z,2,b\n");
  auto input = PushFixture::Text(bad);
  input.next_state = "1";
  std::vector<IngestInput> inputs = {input};
  ASSERT_OK(f.Push(inputs));
  EXPECT_EQ(f.rejects->count(), 1);
  f.files->SetPlan({.at_call = 1, .fault = FaultyStorage::Fault::kHalt, .before = {}});
  input.next_state = "2";
  inputs = {input};
  EXPECT_FALSE(f.Push(inputs).ok());
  EXPECT_EQ(f.rejects->count(), 1);
}

// Every strategy: a group is what its batches are one by one.
class GroupTest : public ::testing::TestWithParam<std::string> {};

TEST_P(GroupTest, EqualsItsBatchesOneByOne) {
  const bool has_op = GetParam().find("Stream") != std::string::npos;
  const std::string fields = has_op ? "{name: op, type: Int32}, " + std::string(kFields) : kFields;
  std::mt19937 random(7);
  for (int round = 0; round < 6; ++round) {
    std::vector<std::string> texts;
    for (int batch = 0; batch < 4; ++batch) {
      std::string text = has_op ? "op,event_time,k,v\n" : "event_time,k,v\n";
      const int rows = static_cast<int>(random() % 5);
      for (int i = 0; i < rows; ++i) {
        if (has_op) text += fmt::format("{},", random() % 4 == 0 ? 1 : 0);
        const bool timed = random() % 4 != 0;
        text += fmt::format("{},{},{}\n", timed ? fmt::format("2020-01-0{}T00:00:00Z", 1 + random() % 5) : "",
                            random() % 4, random() % 3 == 0 ? "" : fmt::format("v{}", random() % 3));
      }
      texts.push_back(random() % 8 == 0 ? "" : text);
    }
    PushFixture group, single;
    for (auto* f : {&group, &single}) f->Create({CsvSource(GetParam(), round % 2 ? "" : fields)});
    if (round % 2)
      texts[0] = (has_op ? "op,event_time,k,v\n0," : "event_time,k,v\n") +
                 std::string("2020-01-01T00:00:00Z,9,first\n");
    auto grouped = group.Push(Inputs(texts));
    std::optional<Error> failed;
    for (const auto& text : texts) {
      auto one = single.PushText(text);
      if (!one.ok()) {
        failed = one.error();
        break;
      }
    }
    SCOPED_TRACE(fmt::format("round {}: {}", round, fmt::join(texts, "|")));
    EXPECT_EQ(group.Violations(), "");
    EXPECT_EQ(single.Violations(), "");
    ASSERT_EQ(grouped.ok(), !failed.has_value()) << (failed         ? failed->ToString()
                                                     : grouped.ok() ? ""
                                                                    : grouped.error().ToString());
    if (failed) continue;
    EXPECT_EQ(group.Rows(kColumns), single.Rows(kColumns));
    EXPECT_EQ(group.dataset->state().sequence, single.dataset->state().sequence);
    EXPECT_EQ(group.dataset->head(), single.dataset->head());
  }
}

INSTANTIATE_TEST_SUITE_P(Strategies, GroupTest,
                         ::testing::Values(kAppend, kLedger, "{kind: Snapshot, primaryKey: [k]}",
                                           "{kind: ChangelogStream, primaryKey: [k]}",
                                           "{kind: UpsertStream, primaryKey: [k]}"));

// The whole way under a fault at every call of the storage, then the same push again.
class IngestFaultTest : public ::testing::TestWithParam<const char*> {};

TEST_P(IngestFaultTest, LeavesTheDatasetWholeAndTheIndexRight) {
  for (const auto fault : {FaultyStorage::Fault::kFail, FaultyStorage::Fault::kLate}) {
    uint64_t n = 1;
    for (; n < 200; ++n) {
      SCOPED_TRACE(fmt::format("fault {} at call {}", static_cast<int>(fault), n));
      PushFixture f;
      f.Create({CsvSource(GetParam(), kFields)});
      ASSERT_OK(f.PushText(Csv("2020-01-01T00:00:00Z,1,a\n")));
      f.files->SetPlan({.at_call = n, .fault = fault, .before = {}});
      auto input = PushFixture::Text(Csv("2020-01-02T00:00:00Z,1,x\n2020-01-02T00:00:00Z,2,b\n"));
      input.next_state = "s";
      std::vector<IngestInput> inputs = {input};
      auto outcome = f.Push(inputs);
      const bool fired = f.files->fired();
      ASSERT_OK(f.files->Crash(FaultyStorage::Keep::kNothing));
      f.derived = storage::MakeMemoryStorage();
      f.Reopen();
      EXPECT_EQ(f.Violations(), "");
      const bool there = f.dataset->state().push_sources.at("default").state.has_value();
      EXPECT_TRUE(there || !outcome.ok()) << "an acknowledged batch is gone";
      ASSERT_OK_AND_ASSIGN(auto again, f.Push(inputs));
      EXPECT_EQ(again[0].status, there ? IngestStatus::kDuplicate : IngestStatus::kCommitted);
      EXPECT_EQ(f.dataset->state().data_records, std::string(GetParam()) == kAppend ? 3u : 2u);
      EXPECT_EQ(f.Violations(), "");
      if (HasFailure()) return;
      if (!fired) break;
    }
    EXPECT_GT(n, 5u);
    EXPECT_LT(n, 200u);
  }
}

INSTANTIATE_TEST_SUITE_P(Strategies, IngestFaultTest, ::testing::Values(kAppend, kLedger));

TEST(IndexTest, IsNeverAheadAfterAReset) {
  PushFixture f;
  f.Create({CsvSource(kLedger, kFields)});
  ASSERT_OK(f.PushText(Csv("2020-01-01T00:00:00Z,1,a\n")));
  const auto earlier = f.dataset->head();
  ASSERT_OK(f.PushText(Csv("2020-01-02T00:00:00Z,2,b\n")));
  ASSERT_OK(f.dataset->Reset(earlier));
  ASSERT_OK_AND_ASSIGN(auto outcome, f.PushText(Csv("2020-01-02T00:00:00Z,1,a\n2020-01-02T00:00:00Z,2,b\n")));
  EXPECT_EQ(outcome.records_added, 1);
}

TEST(IndexTest, InterruptedCatchUpIsNotSeen) {
  PushFixture f;
  f.Create({CsvSource(kLedger, kFields)});
  ASSERT_OK(f.PushText(Csv("2020-01-01T00:00:00Z,1,a\n")));
  const auto earlier = f.dataset->head();
  // Two blocks that the index does not know, as another program writes them.
  ASSERT_OK_AND_ASSIGN(auto ledger, odf::ParseEvent(CsvSource(kAppend, kFields), "test"));
  dataset::CommitRequest request;
  request.events.push_back(ledger);
  request.system_time = f.clock.Now();
  ASSERT_OK(f.dataset->Commit(std::move(request)));
  ASSERT_OK(f.PushText(Csv("2020-01-02T00:00:00Z,2,b\n")));
  ASSERT_OK(f.PushText(Csv("2020-01-02T00:00:00Z,3,c\n")));
  const index::KeySet set{f.dataset->state().dataset_id, {"k"}, false};
  std::stop_source stop;
  stop.request_stop();
  {
    ASSERT_OK_AND_ASSIGN(auto index, index::KeyIndex::Open(f.folder.path() + "/index"));
    EXPECT_THAT(SyncIndex(*index, set, *f.dataset, nullptr, stop.get_token()),
                IsErrorCode(ErrorCode::kCancelled));
    ASSERT_OK(index->Close());
  }
  ASSERT_OK(f.dataset->Reset(earlier));
  ASSERT_OK_AND_ASSIGN(auto outcome, f.PushText(Csv("2020-01-02T00:00:00Z,2,b\n2020-01-02T00:00:00Z,3,c\n")));
  EXPECT_EQ(outcome.records_added, 2);
}

TEST(IndexTest, FollowsWhatOthersWrote) {
  PushFixture f;
  f.Create({CsvSource(kLedger, kFields, "one"), CsvSource(kAppend, kFields, "two")});
  IngestOptions one, two;
  one.source_name = "one";
  two.source_name = "two";
  ASSERT_OK(f.PushText(Csv("2020-01-01T00:00:00Z,1,a\n"), one));
  ASSERT_OK(f.PushText(Csv("2020-01-01T00:00:00Z,2,b\n"), two));
  ASSERT_OK_AND_ASSIGN(auto outcome,
                       f.PushText(Csv("2020-01-01T00:00:00Z,2,b\n2020-01-01T00:00:00Z,3,c\n"), one));
  EXPECT_EQ(outcome.records_added, 1);
  EXPECT_THAT(f.PushText(Csv("")), IsError(ErrorCode::kConflict, AllOf(HasSubstr("one"), HasSubstr("two"))));
}

}  // namespace
}  // namespace sluice::ingest
