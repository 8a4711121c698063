#include "ingest/group.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <random>

#include "base/testing/matchers.h"
#include "ingest/testing/push_fixture.h"

// Group commit against the same batches one by one (push-protocol.md 6): random small histories of several
// sources, strategies, states and bad batches.
namespace sluice::ingest {
namespace {

using testing::CsvSource;
using testing::PushFixture;

const std::vector<std::string> kColumns = {"offset", "op", "event_time", "k", "v"};
constexpr char kFields[] =
    "{name: event_time, type: {kind: Option, inner: Timestamp}}, {name: k, type: {kind: Option, inner: "
    "Int64}}, {name: v, type: {kind: Option, inner: String}}";

struct Plan {
  std::string source;
  std::string text;
  std::optional<std::string> event_time;
  std::optional<std::pair<std::string, std::string>> states;  // expected (`*`), next
};

struct Source {
  std::string name, merge;
  bool has_op() const { return merge.find("Stream") != std::string::npos; }
  std::string Yaml() const {
    return CsvSource(merge, (has_op() ? "{name: op, type: Int32}, " : "") + std::string(kFields), name);
  }
};

class History {
 public:
  explicit History(unsigned seed) : random_(seed) {
    static const char* kMerges[] = {
        "{kind: Append}", "{kind: Ledger, primaryKey: [k]}", "{kind: Snapshot, primaryKey: [k]}",
        "{kind: ChangelogStream, primaryKey: [k]}", "{kind: UpsertStream, primaryKey: [k]}"};
    const size_t count = 1 + Below(3);
    for (size_t i = 0; i < count; ++i)
      sources_.push_back({fmt::format("s{}", i), kMerges[(seed + i * (1 + seed / 5)) % 5]});
    // Every other history is deep in one strategy: all sources share it, and so keys and rows.
    if (seed % 2) {
      for (auto& source : sources_) source.merge = sources_[0].merge;
    }
    for (const auto& source : sources_) at_[source.name] = "*";
  }

  std::vector<std::string> Events() const {
    std::vector<std::string> events;
    for (const auto& source : sources_) events.push_back(source.Yaml());
    return events;
  }

  Plan Next() {
    const auto& source = sources_[Below(sources_.size())];
    Plan plan;
    plan.source = source.name;
    plan.text = source.has_op() ? "op,event_time,k,v\n" : "event_time,k,v\n";
    for (size_t rows = Below(5); rows > 0; --rows) {
      if (source.has_op()) plan.text += Below(4) == 0 ? "1," : "0,";
      plan.text += Below(4) == 0 ? "," : fmt::format("2020-01-0{}T00:00:00Z,", 1 + Below(5));
      plan.text += fmt::format("{},", Below(4));
      plan.text += Below(3) == 0 ? "\n" : fmt::format("v{}\n", Below(3));
    }
    if (Below(8) == 0) plan.text = "";
    if (Below(2) == 0) plan.event_time = fmt::format("2019-01-0{}T00:00:00Z", 1 + Below(9));
    if (Below(2) == 0) return plan;
    // Mostly the state that should hold, if all before it hold; else one that is wrong, or a repeat.
    auto& at = at_[source.name];
    if (const size_t odd = Below(8); odd == 0) {
      plan.states = {"wrong", fmt::format("n{}", ++next_)};
    } else if (odd == 1 && at != "*") {
      plan.states = {"before", at};
    } else {
      const std::string next = fmt::format("n{}", ++next_);
      plan.states = {at, next};
      at = next;
    }
    return plan;
  }

  size_t Below(size_t limit) { return random_() % limit; }
  std::string Show() const {
    std::string text;
    for (const auto& source : sources_) text += source.name + " " + source.merge + " ";
    return text;
  }

 private:
  std::mt19937 random_;
  std::vector<Source> sources_;
  std::map<std::string, std::string> at_;
  int next_ = 0;
};

Result<GroupBatch> Ready(PushFixture& f, const Plan& plan) {
  auto chain = std::make_shared<const odf::ChainState>(f.dataset->state());
  ASSIGN_OR_RETURN(auto source, SelectPushSource(*chain, plan.source));
  ASSIGN_OR_RETURN(auto rejects, RejectLog::Open(OnError::kFail, ""));
  FrameOptions options;
  options.read.spill_folder = options.sql.spill_folder = f.folder.path();
  GroupBatch batch;
  ASSIGN_OR_RETURN(batch.ready, MakeReady(chain, source, read::MakeMemorySource(plan.text, "batch"),
                                          std::nullopt, *rejects, options));
  batch.activation = chain->push_sources.at(plan.source).activated_at;
  ASSIGN_OR_RETURN(batch.fallback_event_time, ParseInstant(plan.event_time.value_or("2021-01-01T00:00:00Z")));
  if (plan.states) {
    batch.state = GroupBatch::StateChange{kDefaultStateKind, plan.states->second, std::nullopt};
    if (plan.states->first != "*")
      batch.state->expected = odf::SourceState{plan.source, kDefaultStateKind, plan.states->first};
  }
  return batch;
}

Result<GroupResult> Commit(PushFixture& f, const std::vector<Plan>& plans, const BeforeHead& before = {}) {
  std::vector<GroupBatch> batches;
  for (const auto& plan : plans) {
    ASSIGN_OR_RETURN(auto batch, Ready(f, plan));
    batches.push_back(std::move(batch));
  }
  ASSIGN_OR_RETURN(auto session, f.Context().begin_commit());
  GroupContext context;
  context.dataset = f.dataset.get();
  context.session = session.get();
  context.clock = &f.clock;
  context.temp_folder = f.folder.path();
  return CommitGroup(context, std::move(batches), before);
}

// Source by source, by each one's first batch: the order that is meant.
std::vector<size_t> OrderOf(const std::vector<Plan>& plans) {
  std::vector<std::string> sources;
  for (const auto& plan : plans) {
    if (std::find(sources.begin(), sources.end(), plan.source) == sources.end())
      sources.push_back(plan.source);
  }
  std::vector<size_t> order;
  for (const auto& source : sources) {
    for (size_t i = 0; i < plans.size(); ++i) {
      if (plans[i].source == source) order.push_back(i);
    }
  }
  return order;
}

std::string Show(const Result<IngestOutcome>& outcome) {
  if (!outcome.ok()) return std::string(InfoOf(outcome.error().code()).name);
  static const char* kNames[] = {"committed", "up-to-date", "duplicate"};
  std::string text = kNames[static_cast<int>(outcome->status)];
  if (outcome->status == IngestStatus::kDuplicate) return text;  // what it brought is not looked at again
  text += fmt::format(" read {} added {} appended {} retracted {} corrected {}", outcome->records_read,
                      outcome->records_added, outcome->counts.appended, outcome->counts.retracted,
                      outcome->counts.corrected);
  if (outcome->offsets) text += fmt::format(" at {}-{}", outcome->offsets->start, outcome->offsets->end);
  // Not the watermark: it is that of the block, which the batches of a source share.
  return text;
}

std::string States(const PushFixture& f) {
  std::string text;
  for (const auto& [name, source] : f.dataset->state().push_sources)
    text += name + "=" + (source.state ? source.state->value : "none") + " ";
  return text;
}

void CompareWithOneByOne(unsigned seed) {
  History history(seed);
  PushFixture group, single;
  for (auto* f : {&group, &single}) f->Create(history.Events());
  // The first batch with rows brings the schema, and does so alone.
  Plan first = history.Next();
  first.states.reset();
  for (auto* f : {&group, &single}) {
    ASSERT_OK_AND_ASSIGN(auto done, Commit(*f, {first}));
    ASSERT_TRUE(f->dataset->state().schema) << Show(done.outcomes[0]);
  }
  for (int round = 0; round < 4; ++round) {
    std::vector<Plan> plans(1 + history.Below(7));
    std::string shown = history.Show();
    for (auto& plan : plans) {
      plan = history.Next();
      shown += fmt::format("\n{} [{}] {} {}", plan.source,
                           plan.states ? plan.states->first + ">" + plan.states->second : "",
                           plan.event_time.value_or(""), plan.text);
    }
    SCOPED_TRACE(fmt::format("seed {} round {}: {}", seed, round, shown));
    std::vector<std::string> foretold;
    ASSERT_OK_AND_ASSIGN(auto grouped, Commit(group, plans, [&](const GroupResult& result) -> Status {
                           for (const auto& outcome : result.outcomes) foretold.push_back(Show(outcome));
                           return {};
                         }));
    ASSERT_EQ(grouped.outcomes.size(), plans.size());
    for (const size_t i : OrderOf(plans)) {
      ASSERT_OK_AND_ASSIGN(auto one, Commit(single, {plans[i]}));
      EXPECT_EQ(Show(grouped.outcomes[i]), Show(one.outcomes[0])) << "batch " << i;
      if (grouped.commit) {
        EXPECT_EQ(foretold[i], Show(grouped.outcomes[i])) << "journalled otherwise";
      }
      const auto& outcome = grouped.outcomes[i];
      if (outcome.ok() && outcome->status == IngestStatus::kCommitted) {
        ASSERT_OK_AND_ASSIGN(const bool there, group.dataset->IsAncestor(outcome->block_hash));
        EXPECT_TRUE(there);
        EXPECT_TRUE(grouped.commit);
      }
    }
    EXPECT_EQ(group.Rows(kColumns), single.Rows(kColumns));
    EXPECT_EQ(States(group), States(single));
    EXPECT_EQ(group.dataset->state().watermark(), single.dataset->state().watermark());
    EXPECT_LE(group.dataset->state().sequence, single.dataset->state().sequence);
    if (grouped.commit) {
      EXPECT_EQ(group.dataset->head(), grouped.commit->new_head);
    }
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_EQ(group.Violations(), "") << "seed " << seed;
  EXPECT_EQ(single.Violations(), "");
}

TEST(GroupCommitTest, EqualsItsBatchesOneByOne) {
  for (unsigned seed = 0; seed < 120; ++seed) {
    CompareWithOneByOne(seed);
    if (HasFailure()) return;
  }
}

// --- records that are read together ---

std::string JsonSource(const std::string& merge, const std::string& query = "") {
  std::string fields(kFields);
  return "kind: AddPushSource\nsourceName: s\nread: {kind: NdJson, schema: {fields: [" + fields + "]}}\n" +
         (query.empty() ? "" : "preprocess: {kind: Sql, engine: datafusion, query: \"" + query + "\"}\n") +
         "merge: " + merge + "\n";
}

// The batches of `records`, those that hold a state or an event time of their own by themselves, the others
// together.
std::vector<GroupBatch> ReadTogether(PushFixture& f, const std::vector<std::string>& records, bool together) {
  auto chain = std::make_shared<const odf::ChainState>(f.dataset->state());
  auto plan = *FramePlan::Make(*SelectPushSource(*chain, "s"), *chain, std::nullopt);
  EXPECT_EQ(plan->IsRecordByRecord(), chain->schema.has_value());
  FrameOptions options;
  options.read.spill_folder = options.sql.spill_folder = f.folder.path();
  std::vector<ReadyBatch> ready;
  if (together) {
    const std::vector<std::string_view> bodies(records.begin(), records.end());
    auto all = MakeReadyTogether(plan, bodies, options);
    EXPECT_OK(all);
    EXPECT_TRUE(*all);
    if (all.ok() && *all) ready = std::move(**all);
  } else {
    for (const auto& record : records) {
      auto rejects = *RejectLog::Open(OnError::kFail, "");
      ready.push_back(*MakeReady(plan, read::MakeMemorySource(record, "batch"), *rejects, options));
    }
  }
  std::vector<GroupBatch> batches(ready.size());
  for (size_t i = 0; i < ready.size(); ++i) {
    batches[i].ready = std::move(ready[i]);
    batches[i].activation = chain->push_sources.at("s").activated_at;
    batches[i].fallback_event_time =
        *ParseInstant(i % 5 == 4 ? "2022-02-02T00:00:00Z" : "2021-01-01T00:00:00Z");
    if (i % 7 == 6) {
      batches[i].state = GroupBatch::StateChange{kDefaultStateKind, fmt::format("n{}", i), std::nullopt};
      if (i > 7)
        batches[i].state->expected = odf::SourceState{"s", kDefaultStateKind, fmt::format("n{}", i - 7)};
    }
  }
  return batches;
}

Result<GroupResult> CommitBatches(PushFixture& f, std::vector<GroupBatch> batches) {
  ASSIGN_OR_RETURN(auto session, f.Context().begin_commit());
  GroupContext context{f.dataset.get(), session.get(), &f.clock, f.folder.path(), {}};
  return CommitGroup(context, std::move(batches), nullptr);
}

TEST(GroupCommitTest, RecordsReadTogetherAreAsOneByOne) {
  std::mt19937 random(7);
  const std::string ledger = "{kind: Ledger, primaryKey: [k]}",
                    query = "select event_time, k, upper(v) as v from input";
  for (const auto& source : {JsonSource("{kind: Append}"), JsonSource(ledger), JsonSource(ledger, query),
                             JsonSource("{kind: UpsertStream, primaryKey: [k]}")}) {
    SCOPED_TRACE(source);
    PushFixture together, alone;
    for (auto* f : {&together, &alone}) {
      f->Create({source});
      ASSERT_OK(CommitBatches(*f, ReadTogether(*f, {R"({"k": 0, "v": "first"})"}, false)));
      ASSERT_TRUE(f->dataset->state().schema);
    }
    for (int round = 0; round < 6; ++round) {
      std::vector<std::string> records;
      for (size_t count = 2 + random() % 20; count > 0; --count) {
        const auto time =
            random() % 3 == 0 ? "null" : fmt::format("\"2020-01-0{}T00:00:00Z\"", 1 + random() % 9);
        records.push_back(fmt::format("{{\"event_time\": {}, \"k\": {}, \"v\": \"v{}\"}}{}", time,
                                      random() % 40, random() % 3, random() % 2 ? "\n" : ""));
        ASSERT_TRUE(LooksLikeOneRecord(records.back()));
      }
      SCOPED_TRACE(fmt::format("round {}: {}", round, fmt::join(records, " ")));
      ASSERT_OK_AND_ASSIGN(auto a, CommitBatches(together, ReadTogether(together, records, true)));
      ASSERT_OK_AND_ASSIGN(auto b, CommitBatches(alone, ReadTogether(alone, records, false)));
      for (size_t i = 0; i < records.size(); ++i) {
        EXPECT_EQ(Show(a.outcomes[i]), Show(b.outcomes[i])) << i;
        EXPECT_EQ(a.outcomes[i].ok() ? a.outcomes[i]->counts.unchanged : -1,
                  b.outcomes[i].ok() ? b.outcomes[i]->counts.unchanged : -1);
      }
      EXPECT_EQ(together.Rows(kColumns), alone.Rows(kColumns));
      EXPECT_EQ(States(together), States(alone));
      EXPECT_EQ(together.dataset->state().watermark(), alone.dataset->state().watermark());
      EXPECT_EQ(together.dataset->state().sequence, alone.dataset->state().sequence);
    }
    EXPECT_EQ(together.Violations(), "");
  }
}

TEST(GroupCommitTest, RecordsAreReadTogetherOnlyWhenAllAreGood) {
  PushFixture f;
  f.Create({JsonSource("{kind: Ledger, primaryKey: [k]}")});
  ASSERT_OK(CommitBatches(f, ReadTogether(f, {R"({"k": 0, "v": "first"})"}, false)));
  auto chain = std::make_shared<const odf::ChainState>(f.dataset->state());
  auto plan = *FramePlan::Make(*SelectPushSource(*chain, "s"), *chain, std::nullopt);
  const auto is_read = [&](const std::vector<std::string_view>& bodies) {
    for (const auto& body : bodies) EXPECT_TRUE(LooksLikeOneRecord(body)) << body;
    auto ready = MakeReadyTogether(plan, bodies, FrameOptions{});
    EXPECT_OK(ready);
    return ready.ok() && ready->has_value();
  };
  EXPECT_TRUE(is_read({R"({"k": 1})", R"({"k": 1})"}));
  EXPECT_FALSE(is_read({R"({"k": 1})", R"({"k": "x"})"})) << "a bad value";
  EXPECT_FALSE(is_read({R"({"k": 1})", R"({"v": "no key"})"}));
  EXPECT_FALSE(is_read({R"({"k": 1}{"k": 2})", R"({"k": 3})"})) << "two in a line";
  EXPECT_FALSE(is_read({R"({"k": 1, "v": {"a": 1})", R"({"k": 3}})"})) << "one over two bodies";
  EXPECT_FALSE(is_read({R"({"k": 1, "v": "})", R"({"k": 3, "v": "b"})"})) << "a text over two bodies";
  EXPECT_FALSE(LooksLikeOneRecord("{\"k\": 1}\n{\"k\": 2}"));
  EXPECT_FALSE(LooksLikeOneRecord(" {\"k\": 1}"));
  EXPECT_FALSE(LooksLikeOneRecord("[{\"k\": 1}]"));
  EXPECT_FALSE(LooksLikeOneRecord(""));
}

TEST(GroupCommitTest, RecordsAreReadTogetherWhenTheQueryMakesARowOfEach) {
  const auto is_read = [](const std::string& query, const std::vector<std::string_view>& bodies) {
    PushFixture f;
    f.Create({JsonSource("{kind: Append}", query)});
    EXPECT_OK(CommitBatches(f, ReadTogether(f, {R"({"k": 9, "v": "9"})"}, false)));
    auto chain = std::make_shared<const odf::ChainState>(f.dataset->state());
    auto plan = *FramePlan::Make(*SelectPushSource(*chain, "s"), *chain, std::nullopt);
    if (!plan->IsRecordByRecord()) return std::string("never");
    FrameOptions options;
    options.sql.spill_folder = f.folder.path();
    auto ready = MakeReadyTogether(plan, bodies, options);
    EXPECT_OK(ready);
    return std::string(ready.ok() && ready->has_value() ? "yes" : "no");
  };
  const char* kFilter = "select event_time, k, v from input where k > 1";
  EXPECT_EQ(is_read(kFilter, {R"({"k": 2})", R"({"k": 3})"}), "yes");
  EXPECT_EQ(is_read(kFilter, {R"({"k": 2})", R"({"k": 1})"}), "no");
  const char* kCast = "select event_time, cast(v as bigint) as k, v from input";
  EXPECT_EQ(is_read(kCast, {R"({"v": "1"})", R"({"v": "2"})"}), "yes");
  EXPECT_EQ(is_read(kCast, {R"({"v": "1"})", R"({"v": "x"})"}), "no");
  EXPECT_EQ(is_read("select max(event_time) as event_time, max(k) as k, max(v) as v from input", {}),
            "never");
  EXPECT_EQ(is_read("select event_time, unnest([k, k]) as k, v from input", {}), "never");
}

Plan Of(const std::string& rows, const char* before = nullptr, const char* after = nullptr) {
  Plan plan;
  plan.source = "s";
  plan.text = "event_time,k,v\n" + rows;
  if (after) plan.states = {before, after};
  return plan;
}

TEST(GroupCommitTest, OneSourceSharesASlice) {
  PushFixture f;
  f.Create({CsvSource("{kind: Append}", kFields, "s")});
  ASSERT_OK(Commit(f, {Of(",0,first\n")}));
  const auto before = f.dataset->state().sequence;
  ASSERT_OK_AND_ASSIGN(
      auto result, Commit(f, {Of(",1,a\n,2,b\n", "*", "1"), Of(""), Of(",3,c\n", "1", "2"), Of(",4,d\n")}));
  EXPECT_EQ(f.dataset->state().sequence, before + 1);
  EXPECT_EQ(f.Rows({"offset", "k"}), "0 0, 1 1, 2 2, 3 3, 4 4");
  EXPECT_EQ(result.outcomes[0]->offsets->end, 2u);
  EXPECT_FALSE(result.outcomes[1]->offsets);
  EXPECT_EQ(result.outcomes[3]->offsets->start, 4u);
  EXPECT_EQ(States(f), "s=2 ");
}

TEST(GroupCommitTest, WhatBuildsOnABadBatchLeavesTheGroup) {
  PushFixture f;
  f.Create({CsvSource("{kind: Ledger, primaryKey: [k]}", kFields, "s")});
  ASSERT_OK(Commit(f, {Of("2020-01-01T00:00:00Z,0,first\n")}));
  ASSERT_OK_AND_ASSIGN(
      auto result, Commit(f, {Of(",1,a\n", "*", "1"), Of(",2,b\n", "elsewhere", "2"), Of(",3,c\n", "2", "3"),
                              Of(",4,d\n"), Of(",5,e\n", "1", "2b")}));
  ASSERT_OK(result.outcomes[0]);
  EXPECT_THAT(result.outcomes[1], IsErrorCode(ErrorCode::kPrecondition));
  EXPECT_THAT(result.outcomes[2], IsErrorCode(ErrorCode::kPrecondition));
  ASSERT_OK(result.outcomes[3]);
  ASSERT_OK(result.outcomes[4]);
  EXPECT_EQ(f.Rows({"offset", "k"}), "0 0, 1 1, 2 4, 3 5");
  EXPECT_EQ(States(f), "s=2b ");
  EXPECT_EQ(f.Violations(), "");
}

TEST(GroupCommitTest, AnErrorBeforeTheHeadChangesNothing) {
  PushFixture f;
  f.Create({CsvSource("{kind: Append}", kFields, "s")});
  ASSERT_OK(Commit(f, {Of(",0,first\n")}));
  const auto head = f.dataset->head();
  EXPECT_THAT(Commit(f, {Of(",1,a\n", "*", "1")},
                     [](const GroupResult&) { return MakeError(ErrorCode::kUnavailable, "no journal"); }),
              IsErrorCode(ErrorCode::kUnavailable));
  ASSERT_OK(f.dataset->Refresh());
  EXPECT_EQ(f.dataset->head(), head);
  EXPECT_EQ(States(f), "s=none ");
  ASSERT_OK(Commit(f, {Of(",1,a\n", "*", "1")}));
  EXPECT_EQ(f.Rows({"offset", "k"}), "0 0, 1 1");
  EXPECT_EQ(f.Violations(), "");
}

TEST(GroupCommitTest, ASourceThatWasAddedAgainTakesNothingOld) {
  PushFixture f;
  f.Create({CsvSource("{kind: Append}", kFields, "s")});
  ASSERT_OK(Commit(f, {Of(",0,first\n")}));
  ASSERT_OK_AND_ASSIGN(auto batch, Ready(f, Of(",1,a\n", "*", "1")));
  batch.activation += 7;  // another one
  ASSERT_OK_AND_ASSIGN(auto session, f.Context().begin_commit());
  GroupContext context{f.dataset.get(), session.get(), &f.clock, f.folder.path(), {}};
  std::vector<GroupBatch> batches;
  batches.push_back(std::move(batch));
  ASSERT_OK_AND_ASSIGN(auto result, CommitGroup(context, std::move(batches), nullptr));
  EXPECT_THAT(result.outcomes[0], IsErrorCode(ErrorCode::kNotFound));
  EXPECT_FALSE(result.commit);
  EXPECT_EQ(f.Rows({"offset", "k"}), "0 0");
}

}  // namespace
}  // namespace sluice::ingest
