#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "archive/decompress.h"

namespace sluice::archive {

struct ZipEntry {
  std::string path;  // as in the archive; nothing is ever written to it
  uint64_t bytes = 0;
};

// A zip file on disk (zip64, stored, deflated and what else the library knows), any entry at any time.
// Thread-compatible.
class ZipFile {
 public:
  // `name` is for messages. Errors: kNotFound; kInvalidArgument for what is no zip archive.
  static Result<std::unique_ptr<ZipFile>> Open(const std::string& path, std::string name,
                                               const Limits& limits = {});

  // Regular files in the order of the archive, without the resource forks that macOS adds.
  const std::vector<ZipEntry>& entries() const { return entries_; }
  // The entries that a path or glob names, in order. Errors: kNotFound listing what there is.
  Result<std::vector<size_t>> Find(const std::string& sub_path) const;
  // The one that a path or glob names; empty = the first of all. Errors: as Find; kInvalidArgument when there
  // are several.
  Result<size_t> FindOne(const std::string& sub_path) const;
  // Content of entry `index`, checked against its checksum. Errors: kInvalidArgument for paths that lead out
  // of the archive, and for encrypted ones.
  Result<std::unique_ptr<ByteStream>> OpenEntry(size_t index) const;

 private:
  ZipFile() = default;
  std::string path_, name_;
  Limits limits_;
  std::vector<ZipEntry> entries_;
};

}  // namespace sluice::archive
