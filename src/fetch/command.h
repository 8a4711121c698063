#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "read/reader.h"

namespace sluice::fetch {

// Runs a program without a shell, `input` on its standard input, and gives its standard output. The end is
// only given when the program succeeded. The program is killed when the source goes or a stop is requested.
// Errors: kNotFound for an unknown program; of Read: kInvalidArgument for an exit code that is not 0 or a
// signal, with the end of what it wrote to standard error; those of `input`; kCancelled.
Result<std::unique_ptr<read::ByteSource>> RunPipe(const std::vector<std::string>& command,
                                                  std::unique_ptr<read::ByteSource> input,
                                                  const std::string& folder, std::stop_token stop);

}  // namespace sluice::fetch
