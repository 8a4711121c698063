#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::storage {
class Disk;
}

namespace sluice::log {

// The place of a record: which log, which segment file, which byte, and its number. Positions of one log are
// ordered by the number; each carries the log's own id, so that a lost or replaced log is noticed instead of
// misread.
struct Position {
  std::string log_id;
  uint64_t segment = 0;
  uint64_t offset = 0;
  uint64_t sequence = 0;  // grows by one a record, never reused; the log's own markers take numbers too

  bool operator==(const Position&) const = default;
  // `<log id>:<segment>:<offset>:<sequence>`.
  std::string ToString() const;
  // Errors: kInvalidArgument quoting the text.
  static Result<Position> Parse(std::string_view text);
};

struct Record {
  Position position;
  Position next;     // where the following record begins
  uint8_t type = 0;  // the caller's, 1 to 255
  std::string payload;
};

struct LogOptions {
  uint64_t segment_bytes = 64 << 20;  // preallocated size of a file; a larger record gets a file of its own
  uint64_t max_record_bytes = 256 << 20;  // payload
  uint64_t max_log_bytes = 0;             // all files together; 0 = no limit
  uint64_t max_pending_bytes = 16 << 20;  // what Enqueue may leave unwritten before it writes
  bool create_if_missing = true;
  std::string expected_id;  // when given, a missing or another log is refused
};

// What opening found after the last durable record.
struct Recovery {
  uint64_t records = 0;    // valid records in the last segment
  uint64_t cut_bytes = 0;  // length of the torn tail that was cut
};

// An append-only log in a folder of segment files (docs/formats/log.md). Many appenders share one fdatasync:
// whoever comes first writes for all that wait. One process at a time, under a lock of the caller's.
// Thread-safe.
//
// After a failed write or sync nothing more is appended: what reached the disk is found out by opening anew.
class Log {
 public:
  virtual ~Log() = default;

  // Makes the log, or opens it: checks the files' headers, reads the last segment, cuts a torn tail and makes
  // what is left durable. Costs the reading of one segment at most. Errors: kPrecondition when `expected_id`
  // is not found; kNotFound when missing and not to be made; kCorruption naming file and offset when
  // acknowledged records are damaged or files are missing.
  static Result<std::unique_ptr<Log>> Open(const std::string& folder, const LogOptions& options = {});
  // Over a given disk, which must outlive the log. For tests that record or fail system calls.
  static Result<std::unique_ptr<Log>> OpenOn(storage::Disk& disk, const std::string& folder,
                                             const LogOptions& options);

  virtual const std::string& id() const = 0;
  virtual const Recovery& recovery() const = 0;

  // Durable when it returns. Errors: kTooLarge; kResourceExhausted over `max_log_bytes` or on a full disk
  // (the log stays usable when only a new segment could not be made); kUnavailable once broken or closed;
  // kInvalidArgument for type 0.
  virtual Result<Position> Append(uint8_t type, std::string_view payload) = 0;
  // Takes a place in the order without waiting for the disk. A crash before WaitFor may lose it, and all
  // after it.
  virtual Result<Position> Enqueue(uint8_t type, std::string_view payload) = 0;
  // Waits until the record at `position`, and all before it, are durable.
  virtual Status WaitFor(const Position& position) = 0;

  // The oldest record kept, or where the first will be.
  virtual Position begin() const = 0;
  // Behind the last durable record.
  virtual Position end() const = 0;

  // The durable record at `position`. Errors: kPrecondition for another log's position; kNotFound when
  // deleted or not yet durable; kCorruption.
  virtual Result<Record> Read(const Position& position) const = 0;
  // Calls `visit` for each record from `from` up to the end as it is now; stops at its first error, which is
  // returned. Errors: as Read.
  virtual Status Replay(const Position& from, const std::function<Status(const Record&)>& visit) const = 0;

  // Frees the files that hold nothing at or after `position`. The file being written always stays.
  virtual Status DeleteUpTo(const Position& position) = 0;
  // Space taken on disk, preallocated parts included.
  virtual uint64_t size_bytes() const = 0;

  // Makes everything durable and marks the end, so that even damage to the last record is told from a torn
  // write. May be repeated. The destructor does neither.
  virtual Status Close() = 0;
};

}  // namespace sluice::log
