#include "multiformats/keccak_scalar_internal.h"

namespace sluice::multiformats {

void AbsorbPortable(const KeccakRun* runs, size_t count, size_t blocks) {
  for (size_t i = 0; i < count; ++i) AbsorbScalar(runs[i], blocks);
}

}  // namespace sluice::multiformats
