// Compiled with AVX2.
#include <immintrin.h>

#include "multiformats/keccak_lanes_internal.h"

namespace sluice::multiformats {
namespace {

struct Avx2Ops {
  using Word = __m256i;
  static constexpr size_t kLanes = 4;

  static SLUICE_INLINE Word Xor(Word a, Word b) { return _mm256_xor_si256(a, b); }
  static SLUICE_INLINE Word Xor5(Word a, Word b, Word c, Word d, Word e) {
    return Xor(Xor(Xor(a, b), Xor(c, d)), e);
  }
  static SLUICE_INLINE Word Chi(Word a, Word b, Word c) { return Xor(a, _mm256_andnot_si256(b, c)); }
  static SLUICE_INLINE Word Broadcast(uint64_t value) {
    return _mm256_set1_epi64x(static_cast<long long>(value));
  }

  template <int bits>
  static SLUICE_INLINE Word Rotate(Word a) {
    if constexpr (bits == 0) {
      return a;
    } else if constexpr (bits == 8) {
      return _mm256_shuffle_epi8(a, _mm256_setr_epi8(7, 0, 1, 2, 3, 4, 5, 6, 15, 8, 9, 10, 11, 12, 13, 14,  //
                                                     7, 0, 1, 2, 3, 4, 5, 6, 15, 8, 9, 10, 11, 12, 13, 14));
    } else if constexpr (bits == 56) {
      return _mm256_shuffle_epi8(a, _mm256_setr_epi8(1, 2, 3, 4, 5, 6, 7, 0, 9, 10, 11, 12, 13, 14, 15, 8,  //
                                                     1, 2, 3, 4, 5, 6, 7, 0, 9, 10, 11, 12, 13, 14, 15, 8));
    } else {
      return _mm256_or_si256(_mm256_slli_epi64(a, bits), _mm256_srli_epi64(a, 64 - bits));
    }
  }

  static SLUICE_INLINE Word Load(const uint64_t* words) {
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(words));
  }
  static SLUICE_INLINE void Store(Word a, uint64_t* words) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(words), a);
  }
  static SLUICE_INLINE Word LoadBytes(const uint8_t* bytes) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));
  }

  static SLUICE_INLINE void Gather4(const uint8_t* const* lanes, size_t offset, Word* out) {
    const Word r0 = LoadBytes(lanes[0] + offset);
    const Word r1 = LoadBytes(lanes[1] + offset);
    const Word r2 = LoadBytes(lanes[2] + offset);
    const Word r3 = LoadBytes(lanes[3] + offset);
    const Word t0 = _mm256_unpacklo_epi64(r0, r1);
    const Word t1 = _mm256_unpackhi_epi64(r0, r1);
    const Word t2 = _mm256_unpacklo_epi64(r2, r3);
    const Word t3 = _mm256_unpackhi_epi64(r2, r3);
    out[0] = _mm256_permute2x128_si256(t0, t2, 0x20);
    out[1] = _mm256_permute2x128_si256(t1, t3, 0x20);
    out[2] = _mm256_permute2x128_si256(t0, t2, 0x31);
    out[3] = _mm256_permute2x128_si256(t1, t3, 0x31);
  }

  static SLUICE_INLINE long long LoadOne(const uint8_t* bytes) {
    long long word;
    __builtin_memcpy(&word, bytes, sizeof(word));
    return word;
  }
  static SLUICE_INLINE Word Gather1(const uint8_t* const* lanes, size_t offset) {
    return _mm256_setr_epi64x(LoadOne(lanes[0] + offset), LoadOne(lanes[1] + offset),
                              LoadOne(lanes[2] + offset), LoadOne(lanes[3] + offset));
  }
};

}  // namespace

void AbsorbAvx2(const KeccakRun* runs, size_t count, size_t blocks) {
  AbsorbLanes<Avx2Ops>(runs, count, blocks);
}

}  // namespace sluice::multiformats
