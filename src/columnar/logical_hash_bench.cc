// The logical hash against OpenSSL's SHA3-256 over the same streams, one thread. Every run checks the hash
// first.
#include "columnar/logical_hash.h"

#include <arrow/api.h>
#include <benchmark/benchmark.h>
#include <openssl/evp.h>

#include <random>

#include "columnar/logical_hash_internal.h"

namespace sluice::columnar {
namespace {

constexpr int64_t kRows = 100000;

std::shared_ptr<arrow::Array> Integers(std::mt19937_64* random, bool nulls) {
  arrow::Int64Builder builder;
  for (int64_t i = 0; i < kRows; ++i) {
    const auto value = static_cast<int64_t>((*random)());
    (void)(nulls && value % 8 == 0 ? builder.AppendNull() : builder.Append(value));
  }
  return builder.Finish().ValueOrDie();
}

std::shared_ptr<arrow::Array> Texts(std::mt19937_64* random) {
  arrow::StringBuilder builder;
  for (int64_t i = 0; i < kRows; ++i) (void)builder.Append(std::string((*random)() % 16, 'x'));
  return builder.Finish().ValueOrDie();
}

std::shared_ptr<arrow::Array> Flags(std::mt19937_64* random) {
  arrow::BooleanBuilder builder;
  for (int64_t i = 0; i < kRows; ++i) (void)builder.Append((*random)() % 2 == 0);
  return builder.Finish().ValueOrDie();
}

std::shared_ptr<arrow::RecordBatch> BatchOf(const std::vector<std::shared_ptr<arrow::Array>>& arrays) {
  arrow::FieldVector fields;
  for (const auto& array : arrays)
    fields.push_back(arrow::field("c" + std::to_string(fields.size()), array->type()));
  return arrow::RecordBatch::Make(arrow::schema(fields), kRows, arrays);
}

// `integers` columns of null-free integers: nothing to assemble.
std::shared_ptr<arrow::RecordBatch> PlainBatch(int64_t integers) {
  std::mt19937_64 random(1);
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  for (int64_t i = 0; i < integers; ++i) arrays.push_back(Integers(&random, false));
  return BatchOf(arrays);
}

// Like an ingested table: system columns, a flag, numbers with nulls, texts.
std::shared_ptr<arrow::RecordBatch> MixedBatch() {
  std::mt19937_64 random(1);
  return BatchOf({Integers(&random, false), Integers(&random, false), Integers(&random, false),
                  Flags(&random), Integers(&random, true), Integers(&random, true), Texts(&random),
                  Texts(&random), Texts(&random)});
}

int64_t BytesOf(const arrow::RecordBatch& batch) {
  int64_t bytes = 0;
  for (const auto& column : batch.columns())
    bytes += static_cast<int64_t>(ArrayStream(*column).value().size());
  return bytes;
}

multiformats::Multihash HashOf(const arrow::RecordBatch& batch) {
  LogicalHasher hasher = LogicalHasher::Make(batch.schema()).value();
  (void)hasher.Update(batch);
  return hasher.Finish().value();
}

multiformats::Sha3Digest OpenSsl(const std::string& stream) {
  multiformats::Sha3Digest digest;
  EVP_Digest(stream.data(), stream.size(), digest.data(), nullptr, EVP_sha3_256(), nullptr);
  return digest;
}

void Run(benchmark::State& state, const std::shared_ptr<arrow::RecordBatch>& batch) {
  for (const auto& column : batch->columns()) {
    if (ArrayDigest(*column).value() != OpenSsl(ArrayStream(*column).value()))
      state.SkipWithError("wrong digest");
  }
  for (auto _ : state) benchmark::DoNotOptimize(HashOf(*batch));
  state.SetBytesProcessed(state.iterations() * BytesOf(*batch));
}

// The streams are made before the clock runs.
void RunOpenSsl(benchmark::State& state, const std::shared_ptr<arrow::RecordBatch>& batch) {
  std::vector<std::string> streams;
  for (const auto& column : batch->columns()) streams.push_back(ArrayStream(*column).value());
  for (auto _ : state) {
    for (const std::string& stream : streams) benchmark::DoNotOptimize(OpenSsl(stream));
  }
  state.SetBytesProcessed(state.iterations() * BytesOf(*batch));
}

void BM_Plain(benchmark::State& state) { Run(state, PlainBatch(state.range(0))); }
void BM_PlainOpenSsl(benchmark::State& state) { RunOpenSsl(state, PlainBatch(state.range(0))); }
void BM_Mixed(benchmark::State& state) { Run(state, MixedBatch()); }
void BM_MixedOpenSsl(benchmark::State& state) { RunOpenSsl(state, MixedBatch()); }
BENCHMARK(BM_PlainOpenSsl)->ArgName("columns")->Arg(8);
BENCHMARK(BM_Plain)->ArgName("columns")->Arg(2)->Arg(4)->Arg(8)->Arg(12);
BENCHMARK(BM_MixedOpenSsl);
BENCHMARK(BM_Mixed);

}  // namespace
}  // namespace sluice::columnar
