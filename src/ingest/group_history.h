#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "index/key_index.h"
#include "merge/merger.h"
#include "storage/storage.h"

namespace sluice::odf {
struct ChainState;
}

namespace sluice::ingest {

// History with what earlier blocks of a group wrote laid over it. Confined to one thread.
class GroupHistory final : public merge::KeyHistory {
 public:
  GroupHistory(std::unique_ptr<merge::KeyHistory> base, index::KeySet set)
      : base_(std::move(base)), set_(std::move(set)) {}

  // Rows of a block that comes before, in the order of the blocks.
  Status Add(storage::StagedFile& slice, const odf::ChainState& chain);

  bool empty() const override { return base_->empty() && written_.empty(); }
  std::shared_ptr<arrow::Schema> row_schema() const override { return base_->row_schema(); }
  Result<std::vector<merge::KeyState>> Find(const std::vector<std::string_view>& keys) override;
  Status Scan(const std::function<Status(std::string_view key, std::string_view row)>& visit) override;

 private:
  std::unique_ptr<merge::KeyHistory> base_;
  index::KeySet set_;
  std::map<std::string, merge::KeyState, std::less<>> written_;
};

}  // namespace sluice::ingest
