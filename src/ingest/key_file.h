#pragma once

#include <string>

#include "merge/key_room.h"

namespace sluice::ingest {

// Room for keys in files of a folder that have no name: what is in them can leave memory when that is short,
// and is gone with the process. Their space is reserved at once, so that a full disk is an error and not a
// signal later.
class KeyFiles final : public merge::KeyRoom {
 public:
  explicit KeyFiles(std::string folder) : folder_(std::move(folder)) {}
  Result<std::shared_ptr<uint64_t[]>> Get(size_t units) override;

 private:
  const std::string folder_;
};

}  // namespace sluice::ingest
