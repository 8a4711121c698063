#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>
#include <vector>

#include "multiformats/keccak_internal.h"
#include "multiformats/sha3.h"

// The kernels one by one: an engine takes only those that suit the processor and the streams at hand.
namespace sluice::multiformats {
namespace {

using State = std::array<uint64_t, 25>;

struct NamedKernel {
  const char* name;
  size_t lanes;
  bool available;
  KeccakKernel absorb;
};

std::vector<NamedKernel> Kernels() {
  std::vector<NamedKernel> kernels = {{"portable", 3, true, AbsorbPortable}};
#if defined(__x86_64__)
  const bool bmi = __builtin_cpu_supports("bmi") != 0 && __builtin_cpu_supports("bmi2") != 0;
  const bool avx2 = IsAvailable(Sha3Engine::kAvx2);
  const bool avx512 = IsAvailable(Sha3Engine::kAvx512);
  kernels.push_back({"bmi2", 3, bmi, AbsorbBmi2});
  kernels.push_back({"avx2", 4, avx2, AbsorbAvx2});
  kernels.push_back({"avx512x1", 1, avx512, AbsorbAvx512x1});
  kernels.push_back({"avx512x4", 4, avx512, AbsorbAvx512x4});
  kernels.push_back({"avx512", 8, avx512, AbsorbAvx512});
#endif
  return kernels;
}

TEST(KeccakKernelTest, PermutesZerosAsPublished) {
  // The state after one permutation of zeros, from the Keccak team's intermediate values.
  const std::array<uint8_t, 136> zeros{};
  for (const NamedKernel& kernel : Kernels()) {
    if (!kernel.available) continue;
    State state{};
    const KeccakRun run{state.data(), nullptr, zeros.data()};
    kernel.absorb(&run, 1, 1);
    EXPECT_EQ(state[0], 0xF1258F7940E1DDE7) << kernel.name;
    EXPECT_EQ(state[1], 0x84D5CCF933C0478A) << kernel.name;
    EXPECT_EQ(state[24], 0xEAF1FF7B5CECA249) << kernel.name;
  }
}

TEST(KeccakKernelTest, AgreesWithThePortableOne) {
  std::mt19937_64 random(1);
  for (const NamedKernel& kernel : Kernels()) {
    if (!kernel.available) continue;
    for (int round = 0; round < 100; ++round) {
      const size_t count = 1 + random() % kernel.lanes;
      const size_t blocks = 1 + random() % 5;
      std::vector<std::string> inputs;
      std::vector<State> states(count);
      std::vector<KeccakRun> runs;
      for (size_t i = 0; i < count; ++i) {
        std::string& input = inputs.emplace_back(136 * (blocks + 1), '\0');
        for (char& c : input) c = static_cast<char>(random());
        for (uint64_t& word : states[i]) word = random();
      }
      std::vector<State> expected = states;
      for (size_t i = 0; i < count; ++i) {
        const auto* bytes = reinterpret_cast<const uint8_t*>(inputs[i].data());
        // The first block elsewhere than the others, or not.
        runs.push_back({states[i].data(), random() % 2 == 0 ? bytes + 136 * blocks : nullptr, bytes});
        KeccakRun one = runs.back();
        one.state = expected[i].data();
        AbsorbPortable(&one, 1, blocks);
      }
      kernel.absorb(runs.data(), count, blocks);
      ASSERT_EQ(states, expected) << kernel.name << " round " << round;
    }
  }
}

}  // namespace
}  // namespace sluice::multiformats
