// Compiled with AVX-512 F and VL: rotations and three-operand logic are single instructions, and the 25 words
// of state fit the 32 registers.
#include <immintrin.h>

#include "multiformats/keccak_lanes_internal.h"

namespace sluice::multiformats {
namespace {

constexpr int kXor3 = 0x96;  // a ^ b ^ c
constexpr int kChi = 0xD2;   // a ^ (~b & c)

SLUICE_INLINE __m256i LoadHalf(const uint8_t* bytes) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));
}

SLUICE_INLINE long long LoadOne(const uint8_t* bytes) {
  long long word;
  __builtin_memcpy(&word, bytes, sizeof(word));
  return word;
}

struct Avx512Ops {
  using Word = __m512i;
  static constexpr size_t kLanes = 8;

  static SLUICE_INLINE Word Xor(Word a, Word b) { return _mm512_xor_si512(a, b); }
  static SLUICE_INLINE Word Xor5(Word a, Word b, Word c, Word d, Word e) {
    return _mm512_ternarylogic_epi64(_mm512_ternarylogic_epi64(a, b, c, kXor3), d, e, kXor3);
  }
  static SLUICE_INLINE Word Chi(Word a, Word b, Word c) { return _mm512_ternarylogic_epi64(a, b, c, kChi); }
  static SLUICE_INLINE Word Broadcast(uint64_t value) {
    return _mm512_set1_epi64(static_cast<long long>(value));
  }
  template <int bits>
  static SLUICE_INLINE Word Rotate(Word a) {
    if constexpr (bits == 0) return a;
    return _mm512_rol_epi64(a, bits);
  }
  static SLUICE_INLINE Word Load(const uint64_t* words) { return _mm512_load_si512(words); }
  static SLUICE_INLINE void Store(Word a, uint64_t* words) { _mm512_store_si512(words, a); }

  static SLUICE_INLINE Word LoadPair(const uint8_t* low, const uint8_t* high) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(LoadHalf(low)), LoadHalf(high), 1);
  }
  static SLUICE_INLINE void Gather4(const uint8_t* const* lanes, size_t offset, Word* out) {
    // Paired so that the two steps of the transposition leave the lanes in order.
    const Word r0 = LoadPair(lanes[0] + offset, lanes[2] + offset);
    const Word r1 = LoadPair(lanes[1] + offset, lanes[3] + offset);
    const Word r2 = LoadPair(lanes[4] + offset, lanes[6] + offset);
    const Word r3 = LoadPair(lanes[5] + offset, lanes[7] + offset);
    const Word t0 = _mm512_unpacklo_epi64(r0, r1);
    const Word t1 = _mm512_unpackhi_epi64(r0, r1);
    const Word t2 = _mm512_unpacklo_epi64(r2, r3);
    const Word t3 = _mm512_unpackhi_epi64(r2, r3);
    out[0] = _mm512_shuffle_i64x2(t0, t2, 0x88);
    out[1] = _mm512_shuffle_i64x2(t1, t3, 0x88);
    out[2] = _mm512_shuffle_i64x2(t0, t2, 0xDD);
    out[3] = _mm512_shuffle_i64x2(t1, t3, 0xDD);
  }
  static SLUICE_INLINE Word Gather1(const uint8_t* const* lanes, size_t offset) {
    return _mm512_setr_epi64(LoadOne(lanes[0] + offset), LoadOne(lanes[1] + offset),
                             LoadOne(lanes[2] + offset), LoadOne(lanes[3] + offset),
                             LoadOne(lanes[4] + offset), LoadOne(lanes[5] + offset),
                             LoadOne(lanes[6] + offset), LoadOne(lanes[7] + offset));
  }
};

struct Avx512HalfOps {
  using Word = __m256i;
  static constexpr size_t kLanes = 4;

  static SLUICE_INLINE Word Xor(Word a, Word b) { return _mm256_xor_si256(a, b); }
  static SLUICE_INLINE Word Xor5(Word a, Word b, Word c, Word d, Word e) {
    return _mm256_ternarylogic_epi64(_mm256_ternarylogic_epi64(a, b, c, kXor3), d, e, kXor3);
  }
  static SLUICE_INLINE Word Chi(Word a, Word b, Word c) { return _mm256_ternarylogic_epi64(a, b, c, kChi); }
  static SLUICE_INLINE Word Broadcast(uint64_t value) {
    return _mm256_set1_epi64x(static_cast<long long>(value));
  }
  template <int bits>
  static SLUICE_INLINE Word Rotate(Word a) {
    if constexpr (bits == 0) return a;
    return _mm256_rol_epi64(a, bits);
  }
  static SLUICE_INLINE Word Load(const uint64_t* words) {
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(words));
  }
  static SLUICE_INLINE void Store(Word a, uint64_t* words) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(words), a);
  }

  static SLUICE_INLINE void Gather4(const uint8_t* const* lanes, size_t offset, Word* out) {
    const Word r0 = LoadHalf(lanes[0] + offset);
    const Word r1 = LoadHalf(lanes[1] + offset);
    const Word r2 = LoadHalf(lanes[2] + offset);
    const Word r3 = LoadHalf(lanes[3] + offset);
    const Word t0 = _mm256_unpacklo_epi64(r0, r1);
    const Word t1 = _mm256_unpackhi_epi64(r0, r1);
    const Word t2 = _mm256_unpacklo_epi64(r2, r3);
    const Word t3 = _mm256_unpackhi_epi64(r2, r3);
    out[0] = _mm256_permute2x128_si256(t0, t2, 0x20);
    out[1] = _mm256_permute2x128_si256(t1, t3, 0x20);
    out[2] = _mm256_permute2x128_si256(t0, t2, 0x31);
    out[3] = _mm256_permute2x128_si256(t1, t3, 0x31);
  }
  static SLUICE_INLINE Word Gather1(const uint8_t* const* lanes, size_t offset) {
    return _mm256_setr_epi64x(LoadOne(lanes[0] + offset), LoadOne(lanes[1] + offset),
                              LoadOne(lanes[2] + offset), LoadOne(lanes[3] + offset));
  }
};

// One stream alone: its words are the low halves of 128-bit registers, which beats the general registers by
// the rotations and the lack of spills.
struct Avx512SingleOps {
  using Word = __m128i;
  static constexpr size_t kLanes = 1;

  static SLUICE_INLINE Word Xor(Word a, Word b) { return _mm_xor_si128(a, b); }
  static SLUICE_INLINE Word Xor5(Word a, Word b, Word c, Word d, Word e) {
    return _mm_ternarylogic_epi64(_mm_ternarylogic_epi64(a, b, c, kXor3), d, e, kXor3);
  }
  static SLUICE_INLINE Word Chi(Word a, Word b, Word c) { return _mm_ternarylogic_epi64(a, b, c, kChi); }
  static SLUICE_INLINE Word Broadcast(uint64_t value) {
    return _mm_set1_epi64x(static_cast<long long>(value));
  }
  template <int bits>
  static SLUICE_INLINE Word Rotate(Word a) {
    if constexpr (bits == 0) return a;
    return _mm_rol_epi64(a, bits);
  }
  static SLUICE_INLINE Word Load(const uint64_t* words) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(words));
  }
  static SLUICE_INLINE void Store(Word a, uint64_t* words) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(words), a);
  }

  static SLUICE_INLINE Word Gather1(const uint8_t* const* lanes, size_t offset) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(lanes[0] + offset));
  }
  static SLUICE_INLINE void Gather4(const uint8_t* const* lanes, size_t offset, Word* out) {
    out[0] = Gather1(lanes, offset);
    out[1] = Gather1(lanes, offset + 8);
    out[2] = Gather1(lanes, offset + 16);
    out[3] = Gather1(lanes, offset + 24);
  }
};

}  // namespace

void AbsorbAvx512(const KeccakRun* runs, size_t count, size_t blocks) {
  AbsorbLanes<Avx512Ops>(runs, count, blocks);
}

void AbsorbAvx512x4(const KeccakRun* runs, size_t count, size_t blocks) {
  AbsorbLanes<Avx512HalfOps>(runs, count, blocks);
}

void AbsorbAvx512x1(const KeccakRun* runs, size_t count, size_t blocks) {
  AbsorbLanes<Avx512SingleOps>(runs, count, blocks);
}

}  // namespace sluice::multiformats
