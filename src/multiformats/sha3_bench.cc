// SHA3-256 in lanes against OpenSSL on the same bytes, one thread. Every run checks a digest before the clock
// counts.
#include "multiformats/sha3.h"

#include <benchmark/benchmark.h>
#include <openssl/evp.h>

#include <random>
#include <string>

namespace sluice::multiformats {
namespace {

constexpr size_t kStreamBytes = 1 << 18;

std::string Input() {
  std::mt19937_64 random(7);
  std::string out(kStreamBytes, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

Sha3Digest OpenSsl(std::string_view bytes) {
  Sha3Digest digest;
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha3_256(), nullptr);
  return digest;
}

void BM_OpenSsl(benchmark::State& state) {
  const std::string input = Input();
  for (auto _ : state) benchmark::DoNotOptimize(OpenSsl(input));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * input.size()));
}
BENCHMARK(BM_OpenSsl);

void BM_Hasher(benchmark::State& state) {
  const std::string input = Input();
  if (Sha3(input) != OpenSsl(input)) state.SkipWithError("wrong digest");
  for (auto _ : state) benchmark::DoNotOptimize(Sha3(input));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * input.size()));
}
BENCHMARK(BM_Hasher);

// Arguments: engine, streams, per cent of the first stream's length that the others have.
void BM_Lanes(benchmark::State& state) {
  const auto engine = static_cast<Sha3Engine>(state.range(0));
  const auto streams = static_cast<size_t>(state.range(1));
  if (!IsAvailable(engine)) {
    state.SkipWithError("this processor lacks the engine");
    return;
  }
  const std::string input = Input();
  std::vector<std::string_view> inputs(
      streams, std::string_view(input).substr(0, input.size() * state.range(2) / 100));
  inputs[0] = input;
  size_t bytes = 0;
  for (const std::string_view part : inputs) bytes += part.size();
  {
    Sha3Lanes lanes(streams, engine);
    lanes.Update(inputs);
    if (lanes.Finish().front() != OpenSsl(input)) state.SkipWithError("wrong digest");
  }
  for (auto _ : state) {
    Sha3Lanes lanes(streams, engine);
    lanes.Update(inputs);
    benchmark::DoNotOptimize(lanes.Finish());
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes));
}

void LaneArguments(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"engine", "streams", "percent"});
  for (const Sha3Engine engine : {Sha3Engine::kPortable, Sha3Engine::kAvx2, Sha3Engine::kAvx512}) {
    for (const int streams : {1, 2, 4, 7, 8, 9, 20})
      benchmark->Args({static_cast<int>(engine), streams, 100});
    benchmark->Args({static_cast<int>(engine), 20, 30});
  }
}
BENCHMARK(BM_Lanes)->Apply(LaneArguments);

}  // namespace
}  // namespace sluice::multiformats
