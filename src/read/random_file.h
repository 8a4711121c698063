#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"

namespace sluice::read {

// Bytes that can be read anywhere, of fixed size. Thread-compatible; ReadAt may be called from several
// threads.
class RandomFile {
 public:
  virtual ~RandomFile() = default;
  // All of `size` bytes at `offset`. Errors: kInvalidArgument when the file ends before.
  virtual Status ReadAt(uint64_t offset, char* buffer, size_t size) const = 0;
  virtual uint64_t size() const = 0;
  virtual const std::string& name() const = 0;
};

// `name` is what people know it by. Errors: as OpenFileSource.
Result<std::unique_ptr<RandomFile>> OpenRandomFile(const std::string& path, std::string name);
std::unique_ptr<RandomFile> MakeRandomMemory(std::string bytes, std::string name);

}  // namespace sluice::read
