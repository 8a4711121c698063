#include <algorithm>
#include <random>

#include "base/testing/matchers.h"
#include "merge/testing/small_rows.h"

// Merge strategies against a naive row-by-row version, over every small history and some long ones, and
// groups of batches against the same batches one by one.
namespace sluice::merge {
namespace {

using odf::MergeKind;
using testing::FromBatches;
using testing::MemoryHistory;
using testing::Row;
using testing::Rows;

struct Plan {
  MergeKind kind;
  std::vector<std::string> key;
  std::optional<std::vector<std::string>> compare;

  bool with_op() const { return kind == MergeKind::kUpsertStream || kind == MergeKind::kChangelogStream; }
};

constexpr int kFallback = 100;  // of batch i: kFallback + i

// --- the naive version: rows are compared with all rows before them ---

std::vector<std::string> KeyOf(const Plan& plan, const Row& row) {
  std::vector<std::string> key;
  for (const std::string& column : plan.key) {
    key.push_back(column == "city" ? *row.city : std::to_string(*row.year));  // years have four digits here
  }
  return key;
}

const Row* Latest(const Plan& plan, const Rows& history, const Row& row) {
  const Row* latest = nullptr;
  for (const Row& old : history) {
    if (KeyOf(plan, old) == KeyOf(plan, row)) latest = &old;
  }
  return latest == nullptr || latest->op == 1 ? nullptr : latest;
}

bool Compared(const Plan& plan, const std::string& column) {
  if (std::count(plan.key.begin(), plan.key.end(), column) != 0) return false;
  return !plan.compare || std::count(plan.compare->begin(), plan.compare->end(), column) != 0;
}

bool Different(const Plan& plan, const Row& old, const Row& fresh) {
  return (Compared(plan, "value") && old.value != fresh.value) ||
         (Compared(plan, "city") && old.city != fresh.city) ||
         (Compared(plan, "year") && old.year != fresh.year) ||
         (Compared(plan, "event_time") && fresh.event_time && old.event_time != fresh.event_time);
}

Row WithOp(Row row, int op) {
  row.op = op;
  return row;
}

// Only the last row of each key.
Rows LastPerKey(const Plan& plan, const Rows& batch) {
  Rows result;
  for (size_t i = 0; i < batch.size(); ++i) {
    const bool later = std::any_of(batch.begin() + static_cast<ptrdiff_t>(i) + 1, batch.end(),
                                   [&](const Row& row) { return KeyOf(plan, row) == KeyOf(plan, batch[i]); });
    if (!later) result.push_back(batch[i]);
  }
  return result;
}

void MergeOne(const Plan& plan, const Rows& history, const Row& row, bool remove, Rows* out) {
  const Row* old = Latest(plan, history, row);
  if (old == nullptr) {
    if (!remove) out->push_back(WithOp(row, 0));
  } else if (remove) {
    out->push_back(WithOp(*old, 1));
  } else if (Different(plan, *old, row)) {
    out->push_back(WithOp(*old, 2));
    out->push_back(WithOp(row, 3));
  }
}

Rows Naive(const Plan& plan, const Rows& history, const Rows& batch) {
  Rows out;
  switch (plan.kind) {
    case MergeKind::kAppend:
      for (const Row& row : batch) out.push_back(WithOp(row, 0));
      return out;
    case MergeKind::kLedger:
      for (const Row& row : batch) {
        const auto same = [&](const Row& other) { return KeyOf(plan, other) == KeyOf(plan, row); };
        if (std::none_of(history.begin(), history.end(), same) &&
            std::none_of(out.begin(), out.end(), same)) {
          out.push_back(WithOp(row, 0));
        }
      }
      return out;
    case MergeKind::kChangelogStream:
      out = batch;
      break;
    case MergeKind::kUpsertStream:
      for (const Row& row : LastPerKey(plan, batch)) MergeOne(plan, history, row, row.op == 1, &out);
      break;
    case MergeKind::kSnapshot: {
      const Rows rows = LastPerKey(plan, batch);
      for (const Row& row : rows) MergeOne(plan, history, row, false, &out);
      for (const Row& old : LastPerKey(plan, history)) {
        const bool stays = std::any_of(rows.begin(), rows.end(),
                                       [&](const Row& row) { return KeyOf(plan, row) == KeyOf(plan, old); });
        if (!stays && old.op != 1) out.push_back(WithOp(old, 1));
      }
      break;
    }
  }
  std::stable_sort(out.begin(), out.end(),
                   [&](const Row& a, const Row& b) { return KeyOf(plan, a) < KeyOf(plan, b); });
  return out;
}

// --- the comparison ---

MergeSpec SpecOf(const Plan& plan) {
  MergeSpec spec;
  spec.strategy = {plan.kind, plan.key, plan.compare};
  spec.input = testing::SmallSchema(plan.with_op());
  return spec;
}

Rows Filled(Rows rows, int fallback) {
  for (Row& row : rows) {
    if (!row.event_time) row.event_time = fallback;
  }
  return rows;
}

void CheckCounts(const Plan& plan, const MergeCounts& counts, const Rows& batch, const Rows& out) {
  const auto ops = [&](int op) {
    return std::count_if(out.begin(), out.end(), [&](const Row& r) { return r.op == op; });
  };
  ASSERT_EQ(counts.received, static_cast<int64_t>(batch.size()));
  ASSERT_EQ(counts.appended, ops(0));
  ASSERT_EQ(counts.retracted, ops(1));
  ASSERT_EQ(counts.corrected, ops(3));
  if (plan.kind == MergeKind::kChangelogStream) return;
  const int64_t retracting = plan.kind == MergeKind::kUpsertStream ? counts.retracted : 0;
  ASSERT_EQ(counts.received,
            counts.appended + counts.corrected + counts.unchanged + counts.duplicates + retracting);
}

// Pushes the batch in pieces of at most `piece` rows.
Result<Rows> Run(Merger* merger, const Plan& plan, const Rows& batch, int number, size_t piece) {
  merger->BeginBatch(Instant::FromMillis(kFallback + number));
  std::vector<std::shared_ptr<arrow::RecordBatch>> out;
  for (size_t start = 0; start < batch.size(); start += piece) {
    const auto end = batch.begin() + static_cast<ptrdiff_t>(std::min(batch.size(), start + piece));
    const Rows part(batch.begin() + static_cast<ptrdiff_t>(start), end);
    ASSIGN_OR_RETURN(auto rows, merger->Push(testing::ToBatch(part, plan.with_op())));
    out.push_back(std::move(rows));
  }
  ASSIGN_OR_RETURN(const auto rest, merger->EndBatch());
  out.insert(out.end(), rest.begin(), rest.end());
  return FromBatches(out);
}

std::string Describe(const std::vector<Rows>& batches) {
  std::string text;
  for (const Rows& batch : batches) text += "[" + testing::ToString(batch) + "] ";
  return text;
}

void Check(const Plan& plan, const std::vector<Rows>& batches, size_t piece) {
  const MergeSpec spec = SpecOf(plan);
  MemoryHistory nothing(KeyColumnsOf(spec.strategy));
  ASSERT_OK_AND_ASSIGN(const auto group, Merger::Make(spec, &nothing));
  MemoryHistory history(KeyColumnsOf(spec.strategy));
  Rows committed;
  for (size_t i = 0; i < batches.size(); ++i) {
    const int number = static_cast<int>(i);
    const Rows expected = Naive(plan, committed, batches[i]);
    ASSERT_OK_AND_ASSIGN(const auto single, Merger::Make(spec, &history));
    ASSERT_OK_AND_ASSIGN(const Rows alone, Run(single.get(), plan, batches[i], number, piece));
    ASSERT_EQ(testing::ToString(alone), testing::ToString(expected))
        << "batch " << i << " of " << Describe(batches);
    ASSERT_OK_AND_ASSIGN(const Rows grouped, Run(group.get(), plan, batches[i], number, piece));
    ASSERT_EQ(testing::ToString(grouped), testing::ToString(expected))
        << "batch " << i << " in one group: " << Describe(batches);
    CheckCounts(plan, single->counts(), batches[i], alone);
    CheckCounts(plan, group->counts(), batches[i], grouped);
    ASSERT_EQ(single->counts().duplicates, group->counts().duplicates) << Describe(batches);
    ASSERT_EQ(single->counts().first_duplicates, group->counts().first_duplicates) << Describe(batches);

    const Rows filled = Filled(expected, kFallback + number);
    if (!filled.empty()) {
      ASSERT_OK(history.Commit(filled));
    }
    committed.insert(committed.end(), filled.begin(), filled.end());
  }
}

// All sequences of at most `length` of the rows.
std::vector<Rows> Sequences(const Rows& alphabet, size_t length) {
  std::vector<Rows> all{{}};
  for (size_t start = 0, size = 1; size <= length; ++size) {
    const size_t end = all.size();
    for (; start < end; ++start) {
      for (const Row& row : alphabet) {
        Rows longer = all[start];
        longer.push_back(row);
        all.push_back(std::move(longer));
      }
    }
  }
  return all;
}

// Every history of two batches of up to `length` rows and a third of up to one.
void CheckAll(const Plan& plan, const std::string& alphabet, size_t length) {
  const Rows rows = testing::Parse(alphabet);
  const std::vector<Rows> batches = Sequences(rows, length);
  const std::vector<Rows> last = Sequences(rows, 1);
  for (const Rows& first : batches) {
    for (const Rows& second : batches) {
      for (const Rows& third : last) {
        Check(plan, {first, second, third}, 2);
        if (::testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

TEST(MergeOracleTest, LedgerOverAllSmallHistories) {
  const Plan plan{MergeKind::kLedger, {"city"}, {}};
  CheckAll(plan, "a1, a·, b1@5, c1", 2);
  CheckAll(plan, "a1, b2", 4);
}

TEST(MergeOracleTest, SnapshotOverAllSmallHistories) {
  const Plan plan{MergeKind::kSnapshot, {"city"}, {}};
  CheckAll(plan, "a1, a·, b1, b2", 2);
  CheckAll(plan, "a1@5, a1@6, a1, a·", 2);
  CheckAll({MergeKind::kSnapshot, {"city"}, std::vector<std::string>{"year"}}, "a1, a2, a1 #2021, b1", 2);
  CheckAll({MergeKind::kSnapshot, {"city"}, std::vector<std::string>{"event_time"}}, "a1, a2, a2@5, b1@5", 2);
}

TEST(MergeOracleTest, UpsertOverAllSmallHistories) {
  const Plan plan{MergeKind::kUpsertStream, {"city"}, {}};
  CheckAll(plan, "+A a1, +C a·, -R a1, +A b1, -R b·", 2);
  CheckAll(plan, "+A a1@5, -C a1, -R a2@6", 3);
}

TEST(MergeOracleTest, ChangelogOverAllSmallHistories) {
  const Plan plan{MergeKind::kChangelogStream, {"city"}, {}};
  CheckAll(plan, "+A a1, -R a1, -C b1, +C b2", 2);
}

TEST(MergeOracleTest, AppendOverAllSmallHistories) {
  CheckAll({MergeKind::kAppend, {}, {}}, "a1, a1@5, b·", 2);
}

TEST(MergeOracleTest, EveryStrategyOverLongHistories) {
  std::mt19937 random(11);
  const auto pick = [&](int count) { return static_cast<int>(random() % static_cast<unsigned>(count)); };
  for (int round = 0; round < 600; ++round) {
    const std::vector<std::vector<std::string>> keys = {
        {"city"}, {"city", "year"}, {"year", "city"}, {"year"}};
    Plan plan{static_cast<MergeKind>(1 + pick(5)), keys[static_cast<size_t>(pick(4))], {}};
    if (plan.kind == MergeKind::kSnapshot && pick(2) == 0) plan.compare = {"value"};
    std::vector<Rows> batches(static_cast<size_t>(1 + pick(6)));
    for (Rows& batch : batches) {
      batch.resize(static_cast<size_t>(pick(9)));
      for (Row& row : batch) {
        row.city = std::string(1, static_cast<char>('a' + pick(4)));
        row.year = 2020 + pick(3);
        if (pick(3) != 0) row.value = pick(3);
        if (pick(3) == 0) row.event_time = pick(3);
        if (plan.with_op()) row.op = pick(4);
      }
    }
    Check(plan, batches, static_cast<size_t>(1 + pick(5)));
    if (::testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace sluice::merge
