#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "columnar/keys.h"
#include "multiformats/did.h"
#include "multiformats/multihash.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

// The key index (decisions.md 10): one RocksDB a workspace; makes a merge's cost that of its batch. This
// module alone includes RocksDB.
//
// Derived data: everything here can be rebuilt from the datasets. So nothing is synced but what marks a bulk
// load, and what must hold is only that content and head tag belong together. They do: rows and tag travel in
// one write batch, and after a crash RocksDB recovers a prefix of its batches. The one thing to fear is an
// index ahead of the chain, which would drop rows as already seen; hence the tag is written after the head is
// durable, and a bulk load, whose files bypass the log, is marked before it begins.
namespace sluice::index {

// One primary-key set of one dataset.
struct KeySet {
  multiformats::DatasetId dataset;
  std::vector<std::string> columns;  // in key order; the set's identity together with `rows`
  bool rows = false;                 // keep latest rows, not only keys

  bool operator==(const KeySet&) const = default;
};

struct Found {
  bool seen = false;
  std::optional<std::string> row;  // RowCodec bytes
};

struct IndexRow {
  std::string_view key;  // KeyEncoder over the set's columns, in the set's order
  std::string_view row;  // RowCodec over the row schema; empty when the set keeps keys only
  bool retract = false;  // op is -R
  bool skip = false;     // -C: the +C that follows is the latest
};

// Writes of many rows as sorted files. Memory is bounded; runs are spilled inside the index folder. Confined
// to one thread. A loader that is destroyed before Finish leaves no files.
class Loader {
 public:
  virtual ~Loader() = default;
  // Rows in offset order; a later row of a key replaces the earlier.
  virtual Status Add(const std::vector<IndexRow>& rows) = 0;
  // No more rows: writes the sorted files, so that Finish only takes them in. Finish does it when the caller
  // did not.
  virtual Status Prepare() = 0;
  // Makes the rows part of the set, which then belongs to `head`.
  virtual Status Finish(const multiformats::Multihash& head) = 0;
};

// Thread-compatible; one per workspace and process, under the workspace's lock for writing. Loaders must not
// outlive it. Errors of every call: kUnavailable when another process holds the database, kCorruption when it
// is damaged (it can be deleted and rebuilt), kResourceExhausted when the disk is full.
class KeyIndex {
 public:
  using Loader = index::Loader;

  // Opens lazily: the first call that needs it opens the database.
  static Result<std::unique_ptr<KeyIndex>> Open(const std::string& folder);
  virtual ~KeyIndex() = default;

  // The head that this set's content belongs to; nothing when the set does not exist or a bulk load was cut
  // short.
  virtual Result<std::optional<multiformats::Multihash>> head(const KeySet& set) = 0;
  // Applies the rows of a commit, in offset order, and the head they belong to, in one write batch; many rows
  // as sorted files. Makes the set when there is none. Idempotent. `row_schema` describes the rows' bytes
  // (null for keys only); it is kept with a number when it is new. Errors: kConflict when a bulk load of the
  // set was cut short.
  virtual Status Apply(const KeySet& set, const std::shared_ptr<arrow::Schema>& row_schema,
                       const std::vector<IndexRow>& rows, const multiformats::Multihash& head) = 0;
  // Moves the tag without rows (a commit that has none, a compaction). Errors: kNotFound; kConflict as above.
  virtual Status SetHead(const KeySet& set, const multiformats::Multihash& head) = 0;
  // One answer per key, in order. Rows stored under another schema come converted to `row_schema`: columns by
  // name, added ones null. Errors: kNotFound; kConflict as above or when a stored column does not convert.
  virtual Result<std::vector<Found>> Find(const KeySet& set, const std::shared_ptr<arrow::Schema>& row_schema,
                                          const std::vector<std::string_view>& keys) = 0;
  // Live rows in key order, all keys of a set without rows. Errors as Find.
  virtual Status Scan(const KeySet& set, const std::shared_ptr<arrow::Schema>& row_schema,
                      const std::function<Status(std::string_view key, std::string_view row)>& visit) = 0;

  // Bulk load of a whole history: what the set held before is gone. Writes `loading <target>` first, the tag
  // last.
  virtual Result<std::unique_ptr<Loader>> StartLoad(const KeySet& set,
                                                    const std::shared_ptr<arrow::Schema>& row_schema,
                                                    const multiformats::Multihash& target) = 0;
  // Bulk form of Apply: rows are added and sorted while the commit is still being made, nothing is visible,
  // and nothing changes when the loader is dropped. Finish, once the head is durable, marks the set as
  // loading, takes the files in, writes the tag.
  virtual Result<std::unique_ptr<Loader>> StartApply(const KeySet& set,
                                                     const std::shared_ptr<arrow::Schema>& row_schema) = 0;
  // The head of an unfinished load, if there is one.
  virtual Result<std::optional<multiformats::Multihash>> loading(const KeySet& set) = 0;

  // Drops one set, or all of a dataset. Not an error when there is none.
  virtual Status Drop(const KeySet& set) = 0;
  virtual Status DropDataset(const multiformats::DatasetId& dataset) = 0;
  virtual Result<std::vector<KeySet>> ListSets(const multiformats::DatasetId& dataset) = 0;
  // May be repeated. A later call opens the database again.
  virtual Status Close() = 0;
};

}  // namespace sluice::index
