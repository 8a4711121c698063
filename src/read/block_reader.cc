#include "read/block_reader.h"

#include <arrow/record_batch.h>

#include "base/cancel.h"

namespace sluice::read {
namespace {

// Threads that pay: a small input is done before they have started.
int ThreadsFor(const BlockReader::Plan& plan, const ReadOptions& options) {
  const auto size = plan.splitter->source().size();
  return size && *size < kBlockBytes ? 1 : options.threads;
}

}  // namespace

BlockReader::BlockReader(Plan plan, const ReadOptions& options)
    : plan_(std::move(plan)),
      batch_rows_(std::max<int64_t>(options.batch_rows, 1)),
      stop_(options.stop),
      lines_(plan_.lines_before),
      workers_(
          ThreadsFor(plan_, options), [this] { return NextBlock(); },
          [this](TextBlock block) { return Work(std::move(block)); }) {}

Result<std::optional<TextBlock>> BlockReader::NextBlock() {
  if (plan_.pending.empty()) return plan_.splitter->Next();
  TextBlock block = std::move(plan_.pending.front());
  plan_.pending.pop_front();
  return std::optional<TextBlock>(std::move(block));
}

Result<BlockRows> BlockReader::Work(TextBlock block) {
  auto rows = plan_.work(block);
  plan_.splitter->Recycle(std::move(block));
  return rows;
}

Result<std::optional<ReadBatch>> BlockReader::Next() {
  RETURN_IF_ERROR(CheckCancelled(stop_));
  ReadBatch batch;
  if (!rest_) {
    ASSIGN_OR_RETURN(std::optional<BlockRows> block, workers_.Next());
    if (!block) return std::optional<ReadBatch>();
    for (columnar::Reject& reject : block->rejects) {
      reject.record += records_;
      if (reject.line > 0) reject.line += lines_;
    }
    records_ += block->records;
    lines_ += block->lines;
    batch.rejects = std::move(block->rejects);
    rest_ = std::move(block->rows);
  }
  batch.rows = rest_;
  if (rest_->num_rows() > batch_rows_) {
    batch.rows = rest_->Slice(0, batch_rows_);
    rest_ = rest_->Slice(batch_rows_);
  } else {
    rest_ = nullptr;
  }
  return std::optional<ReadBatch>(std::move(batch));
}

}  // namespace sluice::read
