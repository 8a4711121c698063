#pragma once

#include "base/result.h"
#include "index/key_index.h"

namespace sluice::index {

// The locks of one commit, held while it lives, with the index that they guard (decisions.md 11). Confined to
// its owner.
class GuardedIndex {
 public:
  virtual ~GuardedIndex() = default;
  // Opened on first use. Errors: kUnavailable.
  virtual Result<KeyIndex*> Index() = 0;
};

}  // namespace sluice::index
