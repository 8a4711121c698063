#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "read/blocks.h"
#include "read/ordered_workers.h"
#include "read/reader.h"

namespace sluice::read {

// What became of one block. Numbers in the rejects count from the start of the block.
struct BlockRows {
  std::shared_ptr<arrow::RecordBatch> rows;
  std::vector<columnar::Reject> rejects;
  int64_t records = 0;
  int64_t lines = 0;
};

// The reader of formats that are read block by block on several threads (Csv, NdJson).
class BlockReader final : public Reader {
 public:
  struct Plan {
    std::shared_ptr<arrow::Schema> schema;  // null = no frame
    std::unique_ptr<BlockSplitter> splitter;
    std::deque<TextBlock> pending;  // blocks already taken from the splitter
    int64_t lines_before = 0;       // lines in front of the first pending block (a header)
    std::function<Result<BlockRows>(const TextBlock&)> work;  // called from several threads
  };
  BlockReader(Plan plan, const ReadOptions& options);

  std::shared_ptr<arrow::Schema> schema() const override { return plan_.schema; }
  Result<std::optional<ReadBatch>> Next() override;
  uint64_t bytes_read() const override { return plan_.splitter->bytes_read(); }

 private:
  Result<std::optional<TextBlock>> NextBlock();
  Result<BlockRows> Work(TextBlock block);

  Plan plan_;
  const int64_t batch_rows_;
  const std::stop_token stop_;
  int64_t records_ = 0, lines_ = 0;               // before the next block
  std::shared_ptr<arrow::RecordBatch> rest_;      // rows of the last block beyond batch_rows
  OrderedWorkers<TextBlock, BlockRows> workers_;  // last: its threads use the rest
};

}  // namespace sluice::read
