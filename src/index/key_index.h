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

// The key index (decisions.md 10): one RocksDB a workspace; makes a merge's cost that of its batch. This module alone includes RocksDB.
namespace sluice::index {

// One primary-key set of one dataset.
struct KeySet {
  multiformats::DatasetId dataset;
  std::vector<std::string> columns;  // sorted; the set's identity with `rows`
  bool rows = false;                 // keep latest rows, not only keys

  bool operator==(const KeySet&) const = default;
};

struct Found {
  bool seen = false;
  std::optional<std::string> row;  // RowCodec bytes
};

struct IndexRow {
  std::string_view key;
  std::string_view row;     // empty when the set keeps keys only
  bool retract = false;     // op is -R
  bool skip = false;        // -C: the +C that follows is the latest
};

// Thread-compatible; one per workspace and process, under the workspace's lock for writing.
class KeyIndex {
 public:
  // Opens lazily: the first call that needs it opens the database. Errors: kUnavailable when another process holds it.
  static Result<std::unique_ptr<KeyIndex>> Open(const std::string& folder);
  virtual ~KeyIndex() = default;

  // The head that this set's content belongs to; nothing when the set does not exist or a bulk load was cut short.
  virtual Result<std::optional<multiformats::Multihash>> head(const KeySet& set) = 0;
  // Schema of the stored rows (serialized), as of the last Apply that changed it: number -> schema. Rows of older schemas are
  // returned converted to the newest by `Find` and `Scan` (added columns NULL).
  // Applies the rows of a commit, in offset order, and the head they belong to, in one write batch. Idempotent.
  virtual Status Apply(const KeySet& set, const std::shared_ptr<arrow::Schema>& row_schema,
                       const std::vector<IndexRow>& rows, const multiformats::Multihash& head) = 0;
  // Moves the tag without rows (a commit that has none, a compaction).
  virtual Status SetHead(const KeySet& set, const multiformats::Multihash& head) = 0;
  virtual Result<std::vector<Found>> Find(const KeySet& set, const std::shared_ptr<arrow::Schema>& row_schema,
                                          const std::vector<std::string_view>& keys) = 0;
  // Live rows in key order.
  virtual Status Scan(const KeySet& set, const std::shared_ptr<arrow::Schema>& row_schema,
                      const std::function<Status(std::string_view key, std::string_view row)>& visit) = 0;

  // Bulk load of a whole history as sorted files: writes `loading <head>` first, the tag last.
  class Loader {
   public:
    virtual ~Loader() = default;
    // Rows in offset order; a later row of a key replaces the earlier.
    virtual Status Add(const std::vector<IndexRow>& rows) = 0;
    virtual Status Finish(const multiformats::Multihash& head) = 0;
  };
  virtual Result<std::unique_ptr<Loader>> StartLoad(const KeySet& set, const std::shared_ptr<arrow::Schema>& row_schema,
                                                    const multiformats::Multihash& target) = 0;
  // The head of an unfinished load, if there is one.
  virtual Result<std::optional<multiformats::Multihash>> loading(const KeySet& set) = 0;

  // Drops one set, or all of a dataset.
  virtual Status Drop(const KeySet& set) = 0;
  virtual Status DropDataset(const multiformats::DatasetId& dataset) = 0;
  virtual Result<std::vector<KeySet>> ListSets(const multiformats::DatasetId& dataset) = 0;
  virtual Status Close() = 0;
};

}  // namespace sluice::index
