#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"

namespace sluice::push {

// How records are told apart.
enum class RecordFormat {
  kLines,  // one a line: NDJSON, and whatever else has no quotes around line ends
  kCsv,    // lines, but a line end within double quotes belongs to the record; also with tabs
};

struct InputOptions {
  RecordFormat format = RecordFormat::kLines;
  bool has_header = false;  // the first record of each input is repeated before every batch
  bool follow = false;      // wait for more at the end of the last input, also when it is rotated away
  // What ends a batch. A record that is larger than max_bytes is a batch of its own, up to max_record_bytes.
  uint64_t max_bytes = 1 << 20;
  uint64_t max_rows = 10'000;
  std::chrono::milliseconds max_age{1000};  // from its first record, while more is waited for
  uint64_t max_record_bytes = 64 << 20;
  std::chrono::milliseconds poll_interval{250};
  // A file that was rotated is done with once nobody has it open for writing, or has written to it for so
  // long: who has it open goes on writing to it for a while.
  std::chrono::milliseconds rotated_quiet{5000};
};

struct Batch {
  std::string body;  // header first, when there is one
  uint64_t rows = 0;
  uint64_t bytes = 0;    // of the inputs, without the repeated header
  std::string position;  // of the source after this batch
  std::string origin;    // for messages: the input's name
};

// Records of files, one after another, or of one pipe, cut into batches that never span two inputs. Follows a
// growing file over truncation and rotation (a rotated file is read to its end under its new name, until it
// is written no more, before the new one is begun). Confined; blocks while it waits for input.
class Input {
 public:
  virtual ~Input() = default;
  // `-` is standard input, and then stands alone. Errors: kNotFound, kPermissionDenied, kInvalidArgument for
  // folders and for pipes among several inputs.
  static Result<std::unique_ptr<Input>> Open(std::vector<std::string> paths, const InputOptions& options,
                                             std::stop_token stop);

  // Goes on behind `position`; nothing = the beginning. To be called first, and again to go back; a pipe can
  // only be gone back in to what it still holds: from the last position that was sought, for at most one
  // batch. A pipe that begins differently is new input and taken from its beginning. Errors: kPrecondition
  // when no input, and no rotated neighbour of one, has that position.
  virtual Status Seek(const std::optional<std::string>& position) = 0;
  // The next batch; no rows at the end. Errors: kInvalidRecords for a record that is too large, naming input
  // and byte; kCancelled; I/O.
  virtual Result<Batch> Next() = 0;

  // Smaller batches from now on. False when they are as small as can be.
  virtual bool Shrink() = 0;
  // Of all inputs; nothing for pipes and while following.
  virtual std::optional<uint64_t> total_bytes() const = 0;
};

}  // namespace sluice::push
