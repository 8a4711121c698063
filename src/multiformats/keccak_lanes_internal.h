#pragma once

#include "multiformats/keccak_internal.h"
#include "multiformats/keccak_rounds_internal.h"

// Several states, one per 64-bit lane of a vector. `Ops` adds to what the rounds need:
//   kLanes, Load(const uint64_t*), Store(Word, uint64_t*), and
//   Gather4(const uint8_t* const* lanes, size_t offset, Word* out): four consecutive words of every lane,
//   transposed, Gather1(const uint8_t* const* lanes, size_t offset): one word of every lane.
namespace sluice::multiformats {
namespace {

template <class Ops>
SLUICE_INLINE void AbsorbBlock(const uint8_t* const* lanes, typename Ops::Word* state) {
#pragma GCC unroll 4
  for (size_t i = 0; i < kRateWords - 1; i += 4) {
    typename Ops::Word words[4];
    Ops::Gather4(lanes, 8 * i, words);
    state[i] = Ops::Xor(state[i], words[0]);
    state[i + 1] = Ops::Xor(state[i + 1], words[1]);
    state[i + 2] = Ops::Xor(state[i + 2], words[2]);
    state[i + 3] = Ops::Xor(state[i + 3], words[3]);
  }
  state[kRateWords - 1] = Ops::Xor(state[kRateWords - 1], Ops::Gather1(lanes, 8 * (kRateWords - 1)));
}

// Lanes without a stream repeat the first stream's input, on a state that is thrown away.
template <class Ops>
SLUICE_INLINE void AbsorbLanes(const KeccakRun* runs, size_t count, size_t blocks) {
  constexpr size_t kLanes = Ops::kLanes;
  alignas(64) uint64_t words[kStateWords][kLanes] = {};
  const uint8_t* lanes[kLanes];
  const uint8_t* next[kLanes];
  for (size_t lane = 0; lane < kLanes; ++lane) {
    const KeccakRun& run = runs[lane < count ? lane : 0];
    lanes[lane] = run.head != nullptr ? run.head : run.body;
    next[lane] = run.head != nullptr ? run.body : run.body + kRateBytes;
    for (size_t i = 0; i < kStateWords; ++i) words[i][lane] = run.state[i];
  }
  typename Ops::Word state[kStateWords];
#pragma GCC unroll 25
  for (size_t i = 0; i < kStateWords; ++i) state[i] = Ops::Load(words[i]);
  AbsorbBlock<Ops>(lanes, state);
  Permute<Ops>(state);
  for (size_t block = 1; block < blocks; ++block) {
    AbsorbBlock<Ops>(next, state);
    for (size_t lane = 0; lane < kLanes; ++lane) next[lane] += kRateBytes;
    Permute<Ops>(state);
  }
#pragma GCC unroll 25
  for (size_t i = 0; i < kStateWords; ++i) Ops::Store(state[i], words[i]);
  for (size_t lane = 0; lane < count; ++lane) {
    for (size_t i = 0; i < kStateWords; ++i) runs[lane].state[i] = words[i][lane];
  }
}

}  // namespace
}  // namespace sluice::multiformats
