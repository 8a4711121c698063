#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "base/result.h"
#include "dataset/dataset.h"

namespace sluice::server {

// Which blocks, slices and checkpoints the chains of datasets hold, so that files which no head reaches are
// never handed out. A chain is read from its head back only as far as a question needs: who pulls a dataset
// asks in that order. What came since is read from the new head back; a chain that was reset or replaced is
// begun anew. Bounded: the dataset that was asked for longest ago is forgotten first. Thread-safe.
class ChainIndexes {
 public:
  enum class Kind : uint8_t { kBlock = 1, kData = 2, kCheckpoint = 4 };

  // Whether the chain at the dataset's present head holds it. Reads the whole chain, once, for what it does
  // not hold. Errors: those of reading blocks.
  // `dataset` is brought to the present head first: of several that ask, none goes back before another.
  Result<bool> Holds(dataset::Dataset& dataset, Kind kind, const multiformats::Multihash& hash);
  void Forget(const multiformats::DatasetId& id);

 private:
  struct Index {
    std::mutex mutex;
    // Under mutex: what is in the chain from `head` back to the block before which `next` is still to be
    // read, with one bit a kind.
    std::optional<multiformats::Multihash> head, next;
    uint64_t sequence = 0;  // of head
    std::unordered_map<multiformats::Multihash, uint8_t> kinds;
    // The owner's, under its mutex.
    uint64_t used = 0;
    size_t size = 0;
  };
  static Status CatchUp(const dataset::Dataset& dataset, Index* index);
  static bool Has(const Index& index, Kind kind, const multiformats::Multihash& hash);
  static void Note(const dataset::StoredBlock& block,
                   std::unordered_map<multiformats::Multihash, uint8_t>* kinds);
  void Shrink(const multiformats::DatasetId& keep);

  std::mutex mutex_;
  std::map<multiformats::DatasetId, std::shared_ptr<Index>> indexes_;  // under mutex_
  uint64_t turns_ = 0;                                                 // under mutex_
};

}  // namespace sluice::server
