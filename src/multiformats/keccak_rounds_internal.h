#pragma once

#include <stddef.h>
#include <stdint.h>

// Keccak-f[1600] (FIPS 202, 3.2) over any word type: one 64-bit integer, or a vector with one state per
// 64-bit lane. `Ops` says how words are combined. Everything here is forced inline and in an unnamed
// namespace: files that include it are compiled for different instruction sets, so nothing may be shared
// between them, the standard library included.
namespace sluice::multiformats {
namespace {

constexpr size_t kStateWords = 25;
constexpr size_t kRateWords = 17;
constexpr size_t kRateBytes = kRateWords * 8;
constexpr size_t kRounds = 24;

constexpr uint64_t kRoundConstants[kRounds] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b,
    0x0000000080000001, 0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088,
    0x0000000080008009, 0x000000008000000a, 0x000000008000808b, 0x800000000000008b, 0x8000000000008089,
    0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008};

#define SLUICE_INLINE inline __attribute__((always_inline))

// One row of rho, pi and chi: five words, each rotated, into row `to`.
template <class Ops, int r0, int r1, int r2, int r3, int r4>
SLUICE_INLINE void ChiRow(typename Ops::Word a0, typename Ops::Word a1, typename Ops::Word a2,
                          typename Ops::Word a3, typename Ops::Word a4, typename Ops::Word* to) {
  const auto b0 = Ops::template Rotate<r0>(a0);
  const auto b1 = Ops::template Rotate<r1>(a1);
  const auto b2 = Ops::template Rotate<r2>(a2);
  const auto b3 = Ops::template Rotate<r3>(a3);
  const auto b4 = Ops::template Rotate<r4>(a4);
  to[0] = Ops::Chi(b0, b1, b2);
  to[1] = Ops::Chi(b1, b2, b3);
  to[2] = Ops::Chi(b2, b3, b4);
  to[3] = Ops::Chi(b3, b4, b0);
  to[4] = Ops::Chi(b4, b0, b1);
}

// One round from `a` into `e`.
template <class Ops>
SLUICE_INLINE void Round(const typename Ops::Word* a, typename Ops::Word* e, uint64_t constant) {
  const auto c0 = Ops::Xor5(a[0], a[5], a[10], a[15], a[20]);
  const auto c1 = Ops::Xor5(a[1], a[6], a[11], a[16], a[21]);
  const auto c2 = Ops::Xor5(a[2], a[7], a[12], a[17], a[22]);
  const auto c3 = Ops::Xor5(a[3], a[8], a[13], a[18], a[23]);
  const auto c4 = Ops::Xor5(a[4], a[9], a[14], a[19], a[24]);
  const auto d0 = Ops::Xor(c4, Ops::template Rotate<1>(c1));
  const auto d1 = Ops::Xor(c0, Ops::template Rotate<1>(c2));
  const auto d2 = Ops::Xor(c1, Ops::template Rotate<1>(c3));
  const auto d3 = Ops::Xor(c2, Ops::template Rotate<1>(c4));
  const auto d4 = Ops::Xor(c3, Ops::template Rotate<1>(c0));
  ChiRow<Ops, 0, 44, 43, 21, 14>(Ops::Xor(a[0], d0), Ops::Xor(a[6], d1), Ops::Xor(a[12], d2),
                                 Ops::Xor(a[18], d3), Ops::Xor(a[24], d4), e);
  e[0] = Ops::Xor(e[0], Ops::Broadcast(constant));
  ChiRow<Ops, 28, 20, 3, 45, 61>(Ops::Xor(a[3], d3), Ops::Xor(a[9], d4), Ops::Xor(a[10], d0),
                                 Ops::Xor(a[16], d1), Ops::Xor(a[22], d2), e + 5);
  ChiRow<Ops, 1, 6, 25, 8, 18>(Ops::Xor(a[1], d1), Ops::Xor(a[7], d2), Ops::Xor(a[13], d3),
                               Ops::Xor(a[19], d4), Ops::Xor(a[20], d0), e + 10);
  ChiRow<Ops, 27, 36, 10, 15, 56>(Ops::Xor(a[4], d4), Ops::Xor(a[5], d0), Ops::Xor(a[11], d1),
                                  Ops::Xor(a[17], d2), Ops::Xor(a[23], d3), e + 15);
  ChiRow<Ops, 62, 55, 39, 41, 2>(Ops::Xor(a[2], d2), Ops::Xor(a[8], d3), Ops::Xor(a[14], d4),
                                 Ops::Xor(a[15], d0), Ops::Xor(a[21], d1), e + 20);
}

template <class Ops>
SLUICE_INLINE void Permute(typename Ops::Word* state) {
  for (size_t round = 0; round < kRounds; round += 2) {
    typename Ops::Word other[kStateWords];
    Round<Ops>(state, other, kRoundConstants[round]);
    Round<Ops>(other, state, kRoundConstants[round + 1]);
  }
}

}  // namespace
}  // namespace sluice::multiformats
