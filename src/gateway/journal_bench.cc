// How long a node's start reads its log: with and without a checkpoint, for histories of different length and
// the same 50,000 keys that are remembered.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <filesystem>

#include "base/clock.h"
#include "gateway/journal.h"
#include "multiformats/multihash.h"

namespace sluice::gateway {
namespace {

constexpr int kBatchesInRecord = 1000;

JournalOptions Options() {
  JournalOptions options;
  options.keys_per_source = 50'000;
  options.checkpoint_batches = UINT64_MAX / 2;  // when it is asked for
  return options;
}

Digest DigestOf(uint64_t number) {
  const auto hash = multiformats::Sha3Multihash(std::to_string(number));
  Digest digest;
  std::copy_n(hash.digest().begin(), digest.size(), digest.begin());
  return digest;
}

Status Generate(const std::string& folder, int64_t batches) {
  ASSIGN_OR_RETURN(auto journal, Journal::Open(folder, Options()));
  uint64_t number = 0;
  for (int64_t i = 0; i < batches / kBatchesInRecord; ++i) {
    OutcomeRecord record;
    record.kind = OutcomeRecord::Kind::kCommit;
    record.dataset = multiformats::DatasetId::FromSeed("dataset");
    record.time = SystemClock().Now();
    record.old_head = multiformats::Sha3Multihash(std::to_string(i));
    record.new_head = multiformats::Sha3Multihash(std::to_string(i + 1));
    record.sequence = static_cast<uint64_t>(i + 1);
    for (int k = 0; k < kBatchesInRecord; ++k) {
      SettledBatch batch;
      batch.source = "default";
      batch.account = "somebody";
      batch.nonce = "0123456789abcdef";
      batch.key = DigestOf(++number);
      batch.payload = *batch.key;
      batch.outcome.block_hash = record.new_head;
      batch.outcome.old_head = record.old_head;
      batch.outcome.new_head = record.new_head;
      batch.outcome.sequence = record.sequence;
      record.batches.push_back(std::move(batch));
    }
    ASSIGN_OR_RETURN(const auto place, journal->Append(record));
    journal->Confirm(record, place);
  }
  RETURN_IF_ERROR(journal->WriteCheckpoint());
  return journal->Close();
}

void OpenJournal(benchmark::State& state) {
  const auto folder =
      std::filesystem::temp_directory_path() / fmt::format("sluice-journal-bench-{}", getpid());
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  if (!Generate(folder, state.range(0)).ok()) return state.SkipWithError("cannot generate");
  if (state.range(1) == 0) std::filesystem::remove(folder / "log/checkpoint");
  for (auto _ : state) {
    auto journal = Journal::Open(folder, Options());
    if (!journal.ok()) return state.SkipWithError("cannot open");
    state.counters["records_read"] = static_cast<double>((*journal)->stats().records_read);
    state.counters["keys"] = static_cast<double>((*journal)->stats().keys);
  }
  std::filesystem::remove_all(folder);
}
BENCHMARK(OpenJournal)
    ->ArgNames({"batches", "checkpoint"})
    ->ArgsProduct({{100'000, 1'000'000}, {0, 1}})
    ->Unit(benchmark::kMillisecond)
    ->Iterations(3);

}  // namespace
}  // namespace sluice::gateway
