#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "pipeline/batch.h"

namespace sluice::pipeline {

// Where the upstreams of a pipeline stand: everything before is done. Kept in a file when the writer keeps no
// positions itself. Thread-safe.
class PositionKeeper {
 public:
  // Reads the file; none = the beginning. An empty path keeps nothing. Errors: kCorruption naming the file.
  static Result<std::unique_ptr<PositionKeeper>> Open(std::string path);

  // Of an ingestor type: its partitions.
  Places StoredOf(const std::string& type) const;

  // A delivery of ingestor number `ingestor`, in the order in which the upstream is read. Returns its ticket.
  // Errors: kInvalidArgument when another ingestor reads the partition too.
  Result<uint64_t> Begin(size_t ingestor, const std::string& type, const std::string& partition,
                         Places places);
  // It was not taken after all.
  void Forget(size_t ingestor, uint64_t ticket);
  // All its records are done; where its ingestor stands moves on when all before it are too.
  void Done(size_t ingestor, uint64_t ticket);

  // Writes the file when something moved. Blocks.
  Status Save();

 private:
  explicit PositionKeeper(std::string path) : path_(std::move(path)) {}

  struct Delivered {
    uint64_t ticket = 0;
    std::string type;
    Places places;
    bool is_done = false;
  };
  const std::string path_;
  mutable std::mutex mutex_;
  std::mutex save_mutex_;
  std::map<std::string, Places> stored_;  // by type
  std::map<size_t, std::deque<Delivered>> open_;
  std::map<std::string, std::map<std::string, size_t>> readers_;  // by type and partition: the ingestor
  uint64_t next_ticket_ = 1;
  bool is_dirty_ = false;
};

}  // namespace sluice::pipeline
