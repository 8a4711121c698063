#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "dataset/dataset.h"

namespace sluice::dataset {

struct VerifyOptions {
  bool data = true;  // false: metadata only (`--integrity` of blocks, no slice is read)
  int threads = 2;
  std::stop_token stop;
  // Blocks and bytes of slices done so far, of how many; called from several threads, one at a time.
  std::function<void(uint64_t done, uint64_t total)> progress;
};

// One broken rule, named for people: `block f1620...: slice: ...`.
struct Violation {
  Multihash block;
  uint64_t sequence = 0;
  std::string file;  // name in the dataset, empty for the block itself
  // "head", "block-missing", "block-hash", "block-format", "chain", "watermark"; of a file: "file-missing",
  // "size", "physical-hash", "slice-format", "schema", "rows", "offsets", "op", "system-time",
  // "logical-hash", "linked-object".
  std::string rule;
  std::string detail;

  std::string ToString() const;
};

struct VerifyReport {
  std::vector<Violation> violations;
  uint64_t blocks = 0;
  uint64_t slices = 0;
  uint64_t records = 0;
  uint64_t bytes = 0;  // of slices
};

// Checks a whole dataset from its stored bytes, trusting no cache: every block's hash, the chain's rules from
// Seed to head, and for every slice size, physical and logical hash, offsets, schema, op codes, system time
// and watermark. Goes on after a violation where that makes sense. Slices are checked in parallel. Errors:
// I/O and kCancelled; what is wrong with the dataset is in the report.
Result<VerifyReport> Verify(const DatasetStores& stores, const VerifyOptions& options);

}  // namespace sluice::dataset
