#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "read/reader.h"

namespace sluice::fetch {

// Where what commands made is kept until it is committed, and what it is known by.
struct KeepOptions {
  std::string folder;            // of the source's savepoints; made when needed; empty = nothing is kept
  const Clock* clock = nullptr;  // with a folder
  // See FetchedInput.
  std::function<Result<std::optional<std::string>>()> identity;
  std::function<void(std::string note)> tell;  // for people; may be null
};

inline constexpr char kPreparedPrefix[] = "prepared-";

// What the commands of prepare steps made of one input: `prepared-HASH` with `prepared-HASH.json`, the second
// written when the first is complete. Believed when its hash fits and it was made of the same content by the
// same steps. Like the downloads it is not synced, which would hold up a large pull: what a power failure
// damages is made again. Confined to one thread.
class KeptOutput {
 public:
  // `input` is the name of the input, `steps` tells all that decides what is made of it.
  KeptOutput(KeepOptions options, const std::string& input, std::string steps);

  // What an earlier pull made; null when there is none, or it cannot be told yet of what content it must be.
  Result<std::unique_ptr<read::ByteSource>> Load() const;
  // Passes `made` on while it is read, and keeps a copy once its end was reached. What cannot be kept (a full
  // disk) is made again some day: no error.
  std::unique_ptr<read::ByteSource> Keep(std::unique_ptr<read::ByteSource> made) const;

 private:
  KeepOptions options_;
  std::string steps_;
  std::string input_;
  std::string path_;
};

}  // namespace sluice::fetch
