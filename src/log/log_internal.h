#pragma once

#include <memory>
#include <string>
#include <vector>

#include "log/log.h"
#include "log/segment.h"
#include "storage/disk.h"

namespace sluice::log {

// A log's files as opening leaves them: the torn tail cut, everything durable.
struct OpenedFiles {
  std::vector<SegmentHeader> segments;  // without gaps, the last one is appended to
  std::unique_ptr<storage::File> file;  // of the last segment
  uint64_t offset = 0;                  // where the next record goes
  uint64_t next_sequence = 1;
  bool is_marked = false;  // the last record is a marker, or there is none
  Recovery recovery;
};

// Makes segment `header` durably, under a temporary name first, so that a segment that has its name has a
// whole header.
Result<std::unique_ptr<storage::File>> MakeSegment(storage::Disk& disk, const std::string& folder,
                                                   const SegmentHeader& header);
Result<OpenedFiles> RecoverFiles(storage::Disk& disk, const std::string& folder, const LogOptions& options);

}  // namespace sluice::log
