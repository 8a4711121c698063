#pragma once

#include <memory>
#include <string>

#include "columnar/format.h"
#include "server/call.h"

namespace sluice::server {

// How rows are to be written: the parameter `format`, else `given` when not empty, else what Accept names
// first, else JSON. Errors: kInvalidArgument listing the formats.
Result<columnar::OutputFormat> RowFormat(const Call& call, const std::string& given = "");
// `text/csv`, ...
std::string_view MediaTypeOf(columnar::OutputFormat format);

// Rows on their way to a client: made at once, sent as slowly as the client takes them. They wait in memory
// while there are few, else in a file without a name. Confined to one thread.
class RowSpool {
 public:
  // `folder` is for the file.
  RowSpool(std::string folder, uint64_t max_bytes);
  ~RowSpool();

  // Outlives what writes to it. Errors: kTooLarge; those of the disk.
  columnar::Sink sink();
  // An answer of these rows. Errors: those of the disk.
  Result<net::HttpResponse> Finish(columnar::OutputFormat format);

 private:
  Status Append(std::string_view bytes);

  const std::string folder_;
  const uint64_t max_bytes_;
  std::string bytes_;  // what is not in the file
  int file_ = -1;
  uint64_t file_bytes_ = 0;
};

}  // namespace sluice::server
