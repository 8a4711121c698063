#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace sluice::ingest {

// Batches kept until they are merged: in memory up to a limit, then in an Arrow IPC file that has no name any
// more, so that a crash leaves nothing behind. Confined to one thread.
class Spool {
 public:
  Spool(std::shared_ptr<arrow::Schema> schema, std::string folder, int64_t memory_bytes);
  ~Spool();

  Status Add(std::shared_ptr<arrow::RecordBatch> batch);
  // Everything from the start, as often as asked. No Add afterwards.
  Status Replay(const std::function<Status(const std::shared_ptr<arrow::RecordBatch>&)>& visit);
  int64_t rows() const { return rows_; }
  int64_t held_bytes() const;  // in memory

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  int64_t rows_ = 0;
};

}  // namespace sluice::ingest
