// Compiled with BMI2: `andn` for chi, `rorx` for rotations without a copy.
#include "multiformats/keccak_scalar_internal.h"

namespace sluice::multiformats {

void AbsorbBmi2(const KeccakRun* runs, size_t count, size_t blocks) {
  for (size_t i = 0; i < count; ++i) AbsorbScalar(runs[i], blocks);
}

}  // namespace sluice::multiformats
