#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "gateway/gateway.h"

namespace sluice::gateway {

// Queued batches that can never be committed, one file each, with their reason. Thread-safe.
class DeadLetters {
 public:
  // `folder`: `.sluice/dead-letters`.
  explicit DeadLetters(std::string folder) : folder_(std::move(folder)) {}

  // Durable when it returns.
  Status Add(const multiformats::DatasetId& dataset, const DeadLetter& letter, const QueuedBatch& batch,
             std::string_view body) const;
  // Oldest first.
  Result<std::vector<DeadLetter>> List(const multiformats::DatasetId& dataset) const;
  // Of all of them, in no order; none when they cannot be listed.
  std::vector<std::string> Receipts(const multiformats::DatasetId& dataset) const;
  struct Letter {
    DeadLetter about;
    QueuedBatch batch;
    std::string body;
  };
  // Errors: kNotFound.
  Result<Letter> Read(const multiformats::DatasetId& dataset, const std::string& receipt) const;
  Status Remove(const multiformats::DatasetId& dataset, const std::string& receipt) const;
  Status RemoveAll(const multiformats::DatasetId& dataset) const;
  uint64_t Count(const multiformats::DatasetId& dataset) const;

 private:
  std::string folder_;
};

}  // namespace sluice::gateway
