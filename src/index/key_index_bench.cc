#include <arrow/api.h>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "index/key_index.h"

// A batch of 1,000 keys, half of them known, looked up and applied after some millions of keys.
// SLUICE_BENCH_MILLIONS bounds the largest history (default 10).
namespace sluice::index {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBatch = 1000;

// Keys such as those of an INT64 column: uniform over the key space, distinct for distinct `i`.
std::string KeyOf(uint64_t i) {
  uint64_t mixed = i * 0x9E3779B97F4A7C15ULL;
  std::string key("\x01", 1);
  for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<char>(mixed >> shift & 0xff));
  return key;
}

uint64_t MaxMillions() {
  const char* text = std::getenv("SLUICE_BENCH_MILLIONS");
  return text == nullptr ? 10 : std::strtoull(text, nullptr, 10);
}

multiformats::Multihash Head(uint64_t number) {
  multiformats::Multihash::Digest digest{};
  for (int i = 0; i < 8; ++i) digest[i] = static_cast<uint8_t>(number >> (8 * i));
  return multiformats::Multihash(multiformats::HashCode::kSha3_256, digest);
}

struct TemporaryFolder {
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "sluice-bench-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() { fs::remove_all(path); }
  std::string path;
};

void Fail(benchmark::State& state, const Error& error) { state.SkipWithError(error.ToString().c_str()); }

Status Fill(KeyIndex& index, const KeySet& set, const std::shared_ptr<arrow::Schema>& schema, uint64_t count,
            std::string_view row) {
  ASSIGN_OR_RETURN(auto loader,
                   set.rows ? index.StartApply(set, schema) : index.StartLoad(set, schema, Head(0)));
  std::vector<std::string> keys;
  std::vector<IndexRow> rows;
  for (uint64_t i = 0; i < count;) {
    keys.clear();
    rows.clear();
    for (const uint64_t end = std::min(count, i + 65536); i < end; ++i) keys.push_back(KeyOf(i));
    for (const std::string& key : keys) rows.push_back({.key = key, .row = row});
    RETURN_IF_ERROR(loader->Add(rows));
  }
  return loader->Finish(Head(0));
}

void FindAndApply(benchmark::State& state, bool with_rows) {
  const uint64_t history = static_cast<uint64_t>(state.range(0)) * 1'000'000;
  if (static_cast<uint64_t>(state.range(0)) > MaxMillions()) {
    state.SkipWithError("above SLUICE_BENCH_MILLIONS");
    return;
  }
  const TemporaryFolder folder;
  auto index = KeyIndex::Open(folder.path).value();
  const KeySet set{{}, {"id"}, with_rows};
  std::shared_ptr<arrow::Schema> schema;
  const std::string row(with_rows ? 60 : 0, 'r');
  if (with_rows) schema = arrow::schema({arrow::field("v", arrow::utf8())});
  if (Status filled = Fill(*index, set, schema, history, row); !filled.ok())
    return Fail(state, filled.error());

  std::mt19937_64 random(1);
  uint64_t next = history;
  uint64_t batch = 0;
  double find_seconds = 0;
  const auto one = [&](double* seconds) -> Status {
    std::vector<std::string> keys;
    for (size_t i = 0; i < kBatch; ++i) keys.push_back(KeyOf(i % 2 == 0 ? random() % history : next++));
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::string_view> views(keys.begin(), keys.end());
    ASSIGN_OR_RETURN(const auto found, index->Find(set, schema, views));
    find_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::vector<IndexRow> rows;
    for (size_t i = 0; i < kBatch; ++i) {
      if (found[i].seen != (i % 2 == 0)) return Internal("a key is not what it should be");
      if (with_rows || !found[i].seen) rows.push_back({.key = views[i], .row = row});
    }
    RETURN_IF_ERROR(index->Apply(set, schema, rows, Head(++batch)));
    *seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return OkStatus();
  };
  double cold = 0;
  for (int warm = 0; warm < 50; ++warm) {
    double seconds = 0;
    if (Status done = one(&seconds); !done.ok()) return Fail(state, done.error());
    if (warm == 0) cold = seconds;
  }
  find_seconds = 0;
  std::vector<double> times;
  for (auto _ : state) {
    double seconds = 0;
    if (Status done = one(&seconds); !done.ok()) return Fail(state, done.error());
    state.SetIterationTime(seconds);
    times.push_back(seconds);
  }
  std::sort(times.begin(), times.end());
  state.counters["find_ms"] = find_seconds * 1e3 / static_cast<double>(times.size());
  state.counters["first_ms"] = cold * 1e3;
  state.counters["median_ms"] = times[times.size() / 2] * 1e3;
  state.counters["p95_ms"] = times[times.size() * 95 / 100] * 1e3;
}

void FindAndApplyKeys(benchmark::State& state) { FindAndApply(state, false); }
void FindAndApplyRows(benchmark::State& state) { FindAndApply(state, true); }
BENCHMARK(FindAndApplyKeys)
    ->Arg(1)
    ->Arg(10)
    ->Arg(40)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond)
    ->Iterations(300);
BENCHMARK(FindAndApplyRows)
    ->Arg(1)
    ->Arg(10)
    ->Arg(40)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond)
    ->Iterations(300);

// Five million new keys into an empty set: the whole of StartApply to Finish.
void BulkApply(benchmark::State& state) {
  const uint64_t count = static_cast<uint64_t>(state.range(0)) * 1'000'000;
  std::vector<std::string> keys;
  for (uint64_t i = 0; i < count; ++i) keys.push_back(KeyOf(i));
  for (auto _ : state) {
    state.PauseTiming();
    const TemporaryFolder folder;
    auto index = KeyIndex::Open(folder.path).value();
    const KeySet set{{}, {"id"}, false};
    std::vector<IndexRow> rows;
    rows.reserve(count);
    for (const std::string& key : keys) rows.push_back({.key = key});
    state.ResumeTiming();
    if (Status done = index->Apply(set, nullptr, rows, Head(1)); !done.ok()) return Fail(state, done.error());
    state.PauseTiming();
    index.reset();
    rows = {};
    state.ResumeTiming();
  }
}
BENCHMARK(BulkApply)->Arg(5)->Unit(benchmark::kMillisecond)->Iterations(1)->UseRealTime();

// What a command pays before its first look-up.
void OpenAndFindOne(benchmark::State& state) {
  const TemporaryFolder folder;
  const KeySet set{{}, {"id"}, false};
  {
    auto index = KeyIndex::Open(folder.path).value();
    if (Status filled = Fill(*index, set, nullptr, 1'000'000, ""); !filled.ok())
      return Fail(state, filled.error());
  }
  for (auto _ : state) {
    auto index = KeyIndex::Open(folder.path).value();
    const std::string key = KeyOf(1);
    auto found = index->Find(set, nullptr, {key});
    if (!found.ok()) return Fail(state, found.error());
  }
}
BENCHMARK(OpenAndFindOne)->Unit(benchmark::kMillisecond)->Iterations(20)->UseRealTime();

}  // namespace
}  // namespace sluice::index
