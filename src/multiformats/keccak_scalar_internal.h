#pragma once

#include "multiformats/keccak_internal.h"
#include "multiformats/keccak_rounds_internal.h"

// One state in general registers, for whatever instruction set the including file is compiled for.
namespace sluice::multiformats {
namespace {

struct ScalarOps {
  using Word = uint64_t;
  static SLUICE_INLINE Word Xor(Word a, Word b) { return a ^ b; }
  static SLUICE_INLINE Word Xor5(Word a, Word b, Word c, Word d, Word e) { return a ^ b ^ c ^ d ^ e; }
  static SLUICE_INLINE Word Chi(Word a, Word b, Word c) { return a ^ (~b & c); }
  static SLUICE_INLINE Word Broadcast(uint64_t value) { return value; }
  template <int bits>
  static SLUICE_INLINE Word Rotate(Word a) {
    return bits == 0 ? a : a << (bits & 63) | a >> (-bits & 63);
  }
};

SLUICE_INLINE uint64_t LoadWord(const uint8_t* bytes) {
  uint64_t word;
  __builtin_memcpy(&word, bytes, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  word = __builtin_bswap64(word);
#endif
  return word;
}

SLUICE_INLINE void AbsorbScalar(const KeccakRun& run, size_t blocks) {
  uint64_t state[kStateWords];
  for (size_t i = 0; i < kStateWords; ++i) state[i] = run.state[i];
  const uint8_t* next = run.body;
  for (size_t block = 0; block < blocks; ++block) {
    const uint8_t* data = next;
    if (block == 0 && run.head != nullptr) {
      data = run.head;
    } else {
      next += kRateBytes;
    }
    for (size_t i = 0; i < kRateWords; ++i) state[i] ^= LoadWord(data + 8 * i);
    Permute<ScalarOps>(state);
  }
  for (size_t i = 0; i < kStateWords; ++i) run.state[i] = state[i];
}

}  // namespace
}  // namespace sluice::multiformats
