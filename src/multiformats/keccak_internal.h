#pragma once

#include <stddef.h>
#include <stdint.h>

// The kernels under sha3.h: each absorbs whole blocks of 136 bytes into Keccak states.
namespace sluice::multiformats {

// One stream's part in a run. The first block comes from `head` when there is one; `body` holds the others,
// one after another.
struct KeccakRun {
  uint64_t* state = nullptr;  // 25 words
  const uint8_t* head = nullptr;
  const uint8_t* body = nullptr;
};

// Absorbs `blocks` > 0 blocks into each of runs[0, count), count <= the kernel's lanes.
using KeccakKernel = void (*)(const KeccakRun* runs, size_t count, size_t blocks);

void AbsorbPortable(const KeccakRun* runs, size_t count, size_t blocks);
#if defined(__x86_64__)
void AbsorbBmi2(const KeccakRun* runs, size_t count, size_t blocks);      // 1 lane
void AbsorbAvx2(const KeccakRun* runs, size_t count, size_t blocks);      // 4 lanes
void AbsorbAvx512x1(const KeccakRun* runs, size_t count, size_t blocks);  // 1 lane
void AbsorbAvx512x4(const KeccakRun* runs, size_t count, size_t blocks);  // 4 lanes in half registers
void AbsorbAvx512(const KeccakRun* runs, size_t count, size_t blocks);    // 8 lanes
#endif

}  // namespace sluice::multiformats
