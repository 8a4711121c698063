#include <arrow/api.h>
#include <benchmark/benchmark.h>

#include <algorithm>

#include "merge/merger.h"
#include "merge/testing/small_rows.h"

// Millions of rows with unique keys through Ledger into an empty dataset; the time of Append beside it is
// that of passing batches on.
namespace sluice::merge {
namespace {

constexpr int64_t kRows = 5'000'000;
constexpr int64_t kBatchRows = 64 << 10;

std::vector<std::shared_ptr<arrow::RecordBatch>> Input() {
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  const auto time = arrow::timestamp(arrow::TimeUnit::MILLI, "UTC");
  const auto schema = arrow::schema({arrow::field("event_time", time), arrow::field("id", arrow::int64())});
  for (int64_t row = 0; row < kRows;) {
    arrow::TimestampBuilder times(time, arrow::default_memory_pool());
    arrow::Int64Builder ids;
    for (const int64_t end = std::min(kRows, row + kBatchRows); row < end; ++row) {
      (void)times.Append(row);
      (void)ids.Append(static_cast<int64_t>(static_cast<uint64_t>(row) * 0x9E3779B97F4A7C15ULL));
    }
    const int64_t rows = ids.length();
    batches.push_back(
        arrow::RecordBatch::Make(schema, rows, {times.Finish().ValueOrDie(), ids.Finish().ValueOrDie()}));
  }
  return batches;
}

void Merge(benchmark::State& state, odf::MergeKind kind) {
  const auto batches = Input();
  MergeSpec spec;
  spec.strategy.kind = kind;
  if (kind != odf::MergeKind::kAppend) spec.strategy.primary_key = {"event_time", "id"};
  spec.input = batches.front()->schema();
  for (auto _ : state) {
    testing::MemoryHistory history(spec.strategy.primary_key);
    auto merger = Merger::Make(spec, &history);
    if (!merger.ok()) return state.SkipWithError(merger.error().ToString().c_str());
    for (const auto& batch : batches) {
      if (auto rows = (*merger)->Push(batch); !rows.ok())
        return state.SkipWithError(rows.error().ToString().c_str());
    }
    if (auto rest = (*merger)->EndBatch(); !rest.ok())
      return state.SkipWithError(rest.error().ToString().c_str());
    if ((*merger)->counts().appended != kRows) return state.SkipWithError("rows were lost");
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}

void Append(benchmark::State& state) { Merge(state, odf::MergeKind::kAppend); }
void Ledger(benchmark::State& state) { Merge(state, odf::MergeKind::kLedger); }
void Upsert(benchmark::State& state) { Merge(state, odf::MergeKind::kUpsertStream); }
BENCHMARK(Append)->Unit(benchmark::kMillisecond);
BENCHMARK(Ledger)->Unit(benchmark::kMillisecond);
BENCHMARK(Upsert)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sluice::merge
