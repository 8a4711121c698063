#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "archive/decompress.h"
#include "fetch/kept_output.h"
#include "odf/events.h"
#include "read/reader.h"

namespace sluice::fetch {

struct PrepareOptions {
  archive::Limits limits;
  std::string spill_folder;  // for zip archives that come as a stream
  std::string base_folder;   // where commands run; empty = the process's
  bool may_run_commands = true;
  // What a server sent compressed on the way came as it is: it may have taken a compressed file for that, and
  // a first step that would decompress what is not compressed is passed over.
  bool decoded = false;
  KeepOptions keep;
  std::stop_token stop;
};

// Puts the prepare steps in front of a reader (odf-ingest.md 5.10), streaming. The usual decompressors as
// pipes (zstd, xz, bzip2, gzip, tar) run inside the process. What the last other command made is kept, if
// wanted, and taken in place of `source` by the next pull of the same content; what is unpacked inside the
// process is unpacked again, which costs less than keeping it. Errors, here or of Read: kInvalidArgument for
// damaged data and for commands that fail, with the end of what they said; kNotFound; kTooLarge;
// kPermissionDenied for commands that the source may not run.
Result<std::unique_ptr<read::ByteSource>> Prepare(const std::optional<std::vector<odf::PrepStep>>& steps,
                                                  std::unique_ptr<read::ByteSource> source,
                                                  const PrepareOptions& options);

// Refuses, with its first line, a page about an error that a server sent in place of data: HTML or XML where
// none is read, a JSON object about an error (odf-ingest.md 5.5). `media_type` is what the server calls it,
// or empty. `source` is given back as it was; `is_page` is set where it is refused.
Result<std::unique_ptr<read::ByteSource>> RefuseErrorPage(std::unique_ptr<read::ByteSource> source,
                                                          const odf::ReadStep& step,
                                                          std::string_view media_type, bool* is_page);

// `Prepare` for what a server answered, with that look at it before and behind the steps. What looks like a
// page before a command is refused when the command makes no record of it.
Result<std::unique_ptr<read::ByteSource>> PrepareAnswer(const odf::SetPollingSource& source,
                                                        std::unique_ptr<read::ByteSource> answer,
                                                        std::string_view media_type,
                                                        const PrepareOptions& options, bool* is_page);

}  // namespace sluice::fetch
