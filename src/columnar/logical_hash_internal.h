#pragma once

#include <string>

#include "base/result.h"
#include "multiformats/sha3.h"

namespace arrow {
class Array;
}  // namespace arrow

namespace sluice::columnar {

// The stream of one array, as a column's hasher sees it: type bytes, then value bytes. No structs.
Result<std::string> ArrayStream(const arrow::Array& array);
// Its digest, which is what the published vectors state.
Result<multiformats::Sha3Digest> ArrayDigest(const arrow::Array& array);

}  // namespace sluice::columnar
