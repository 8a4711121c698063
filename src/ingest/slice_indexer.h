#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "columnar/keys.h"
#include "index/key_index.h"
#include "odf/chain_state.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow
namespace sluice::columnar {
class SliceReader;
}
namespace sluice::storage {
class Storage;
class StagedFile;
}  // namespace sluice::storage

namespace sluice::ingest {

// Makes index rows of slices: the keys of one set, and the latest rows where the set keeps them. Rows with a
// NULL in the key are left out (decisions.md 10). Thread-compatible.
class SliceIndexer {
 public:
  // `set` must outlive it. Errors: kInvalidArgument for a key column that the dataset does not have.
  static Result<SliceIndexer> Make(const index::KeySet& set, const odf::ChainState& state);

  // Columns of the rows' bytes.
  const std::shared_ptr<arrow::Schema>& row_schema() const { return row_schema_; }

  // The rows' bytes live as long as `bytes`.
  struct Packed {
    columnar::PackedBytes keys, values;
  };
  using Visitor =
      std::function<Status(const std::vector<index::IndexRow>& rows, std::shared_ptr<const Packed> bytes)>;

  // Rows of a stored slice, in offset order.
  Status Read(const storage::Storage& files, const odf::DataSlice& slice, const Visitor& visit) const;
  // Rows of a slice that is written and not yet stored.
  Status ReadStaged(storage::StagedFile& file, const Visitor& visit) const;

 private:
  Status ReadAll(columnar::SliceReader& reader, const Visitor& visit) const;
  Status Index(const arrow::RecordBatch& batch, const Visitor& visit) const;

  const index::KeySet* set_ = nullptr;
  std::string op_column_;
  std::shared_ptr<arrow::Schema> row_schema_, read_schema_;
  std::optional<columnar::KeyEncoder> encoder_;
  std::optional<columnar::RowCodec> codec_;
};

}  // namespace sluice::ingest
