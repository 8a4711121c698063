#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "odf/events.h"
#include "read/reader.h"

namespace sluice::ingest {

// The regular files of one command, with the state that makes repeating it cheap and safe (decisions.md 13):
// kind `sluice/file`, value `k:bytes:hash`, k = place of the file in the command, bytes and hash (XXH3, 128
// bits) over files 1..k, computed while they stream. Thread-compatible.
class FileSequence {
 public:
  explicit FileSequence(std::vector<std::string> paths, std::stop_token stop = {});
  ~FileSequence();

  const std::vector<std::string>& paths() const;
  // How many files from the front are in the dataset already, by the source's newest file state. Reads them
  // only when their sizes add up. Errors: those of reading.
  Result<size_t> CountTaken(const std::optional<odf::SourceState>& newest);
  // Opens file `index` (0-based) so that its bytes pass through the hash.
  Result<std::unique_ptr<read::ByteSource>> Open(size_t index);
  // Value of the state after file `index`; reads what did not pass through Open's source.
  Result<std::string> ValueAfter(size_t index);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sluice::ingest
