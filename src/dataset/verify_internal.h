#pragma once

#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "dataset/verify.h"
#include "odf/object_links.h"

namespace arrow {
class RecordBatch;
}  // namespace arrow

// The parts of Verify: the chain is walked first and says which files there should be and what they should
// hold; then the files are checked, several at once.
namespace sluice::dataset {

namespace rule {
inline constexpr std::string_view kHead = "head";
inline constexpr std::string_view kBlockMissing = "block-missing";
inline constexpr std::string_view kBlockHash = "block-hash";
inline constexpr std::string_view kBlockFormat = "block-format";
inline constexpr std::string_view kChain = "chain";
inline constexpr std::string_view kWatermark = "watermark";
inline constexpr std::string_view kFileMissing = "file-missing";
inline constexpr std::string_view kSize = "size";
inline constexpr std::string_view kPhysicalHash = "physical-hash";
inline constexpr std::string_view kSliceFormat = "slice-format";
inline constexpr std::string_view kSchema = "schema";
inline constexpr std::string_view kRows = "rows";
inline constexpr std::string_view kOffsets = "offsets";
inline constexpr std::string_view kOp = "op";
inline constexpr std::string_view kSystemTime = "system-time";
inline constexpr std::string_view kLogicalHash = "logical-hash";
inline constexpr std::string_view kLinkedObject = "linked-object";
}  // namespace rule

// What the chain says of columns at some block.
struct ColumnsInForce {
  std::optional<odf::DataSchema> schema;  // absent when it cannot be known: the chain below is broken
  bool is_legacy = false;                 // the schema held raw Arrow
  odf::Vocabulary vocabulary;
};

// A data slice's content as its block describes it.
struct SliceClaim {
  Multihash logical_hash;
  odf::OffsetInterval offsets;
  Instant system_time;  // of the block
  std::shared_ptr<const ColumnsInForce> columns;
  std::optional<odf::LinkedObjectCounts> linked_objects = std::nullopt;
};

// A file that a block refers to.
struct FileClaim {
  Multihash block;
  uint64_t sequence = 0;
  std::string name;
  Multihash physical_hash;
  uint64_t size = 0;
  std::optional<SliceClaim> slice;  // absent for a checkpoint and for an object that rows link to
};

// Where violations are put, and the objects that rows were found to link to. Thread-safe.
class Findings {
 public:
  void Add(Violation violation) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    violations_.push_back(std::move(violation));
  }
  void Add(const FileClaim& file, std::string_view rule, std::string detail) {
    Add({file.block, file.sequence, file.name, std::string(rule), std::move(detail)});
  }
  // In the order of the chain.
  std::vector<Violation> Take() EXCLUDES(mutex_);
  void AddObject(FileClaim object) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    objects_.emplace(object.name, std::move(object));
  }
  // Each once.
  std::vector<FileClaim> TakeObjects() EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  std::map<std::string, FileClaim> objects_ GUARDED_BY(mutex_);
  std::vector<Violation> violations_ GUARDED_BY(mutex_);
};

struct ChainCheck {
  uint64_t blocks = 0;
  std::vector<FileClaim> files;  // oldest first
};
// Checks blocks and rules from the head back to the Seed.
Result<ChainCheck> CheckChain(const storage::Storage& files, const std::stop_token& stop, Findings& findings);

// Checks that the files are there and hold what is claimed. `done` is told of bytes as they are dealt with:
// each byte of a file counts once for its hash, and each of a slice once more for its content.
Status CheckFiles(const storage::Storage& storage, const std::vector<FileClaim>& files,
                  const VerifyOptions& options, const std::function<void(uint64_t bytes)>& done,
                  Findings& findings);

// Reads a slice and checks everything about its content. `done` as above.
Status CheckSlice(const storage::Storage& storage, const FileClaim& file, const std::stop_token& stop,
                  const std::function<void(uint64_t bytes)>& done, Findings& findings);

// The links of a slice's rows to objects: that they are multihashes of files that are there, and as many as
// the block records. The objects' own hashes are for CheckFiles. Confined to one thread.
class LinkChecker {
 public:
  LinkChecker(const FileClaim& file, Findings& findings);
  void CheckRows(const arrow::RecordBatch& batch, int64_t first_row);
  // After all rows. Errors: I/O.
  Status Finish(const storage::Storage& storage);

 private:
  const FileClaim& file_;
  Findings& findings_;
  std::vector<std::string> columns_;
  std::map<Multihash, uint64_t> links_;  // how often each
  uint64_t bad_ = 0;
  std::string first_bad_;
};

// In what a slice's columns do not fit the schema in force, one sentence each (odf-metadata.md 7.7).
std::vector<std::string> CompareColumns(const ColumnsInForce& in_force, const odf::DataSchema& slice);

}  // namespace sluice::dataset
