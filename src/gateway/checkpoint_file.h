#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

// A file of checked blocks that is complete or not there (docs/formats/log.md, "Checkpoints"). It holds what
// can be found out otherwise: who cannot read it goes on without it.
namespace sluice::gateway {

// Confined to one thread.
class CheckpointWriter {
 public:
  virtual ~CheckpointWriter() = default;  // without Finish nothing is left
  // Writes beside `path`. Errors: those of the file system.
  static Result<std::unique_ptr<CheckpointWriter>> Create(const std::string& path);
  // At most kMaxCheckpointBlock bytes.
  virtual Status Add(std::string_view block) = 0;
  // Durable, and in the place of the one before, when it returns. Returns the bytes of the file.
  virtual Result<uint64_t> Finish() = 0;
};

inline constexpr size_t kMaxCheckpointBlock = 8 << 20;

// Confined to one thread.
class CheckpointReader {
 public:
  virtual ~CheckpointReader() = default;
  // Errors: kNotFound; kCorruption for a file of another kind or version.
  static Result<std::unique_ptr<CheckpointReader>> Open(const std::string& path);
  // The next block, valid until the next call; nothing behind the last. Errors: kCorruption.
  virtual Result<std::optional<std::string_view>> Next() = 0;
};

}  // namespace sluice::gateway
