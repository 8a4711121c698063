#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "dataset/dataset.h"
#include "multiformats/multihash.h"

namespace sluice::gateway {

struct SourceBlock {
  multiformats::Multihash hash;
  uint64_t sequence = 0;
  bool operator==(const SourceBlock&) const = default;
};

// The newest block of each push source of a dataset, with a state or without. A chain names the source of
// rows in their state only; of others it is known here who pushed them, or there was but one who could have.
// A value.
class LastCommits {
 public:
  // What is known of a source's newest block: `block` (nothing: it has none), unless it is not known.
  struct Last {
    std::optional<SourceBlock> block;
    bool is_known = true;
    bool operator==(const Last&) const = default;
  };

  // The source has got a block, newer than all of its others.
  void Note(const std::string& source, const SourceBlock& block);
  // Blocks have become others by a compaction; as workspace::Replacement.
  void Replace(const std::vector<std::pair<uint64_t, uint64_t>>& successors,
               const std::vector<multiformats::Multihash>& blocks);
  // Whom a block is known to be of: several, when a compaction has joined theirs.
  std::vector<std::string> OwnersOf(const multiformats::Multihash& block) const;
  Last Of(const std::string& source) const;

  struct News {
    // The block up to which all is known; nothing: it is not in the history any more.
    std::optional<uint64_t> seen;
    // Whose the new blocks without a state are, where somebody has said so.
    std::optional<std::string> adds_to;
    // Blocks up to this one were made by a compaction, which joins the rows of several sources.
    uint64_t joined_until = 0;
  };
  // Takes up what the dataset has got. Blocks without a state are of the one source that there was, or else
  // of nobody knows whom. Reads those blocks, but no more than a hundred; behind one that cannot be read
  // nothing is known.
  void Follow(const dataset::Dataset& dataset, News news);

 private:
  uint64_t oldest_noted() const;

  struct Source {
    Last last;
    std::deque<SourceBlock> noted;  // some of the newest, in order: a reset may go back to them
  };
  std::map<std::string, Source> sources_;
  std::optional<SourceBlock> replaced_by_;  // the head of the history that Replace was told of last
};

}  // namespace sluice::gateway
