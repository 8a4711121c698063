#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "read/reader.h"

namespace sluice::fetch {

struct CommandSpec {
  std::vector<std::string> words;
  std::string folder;   // where it runs; empty = the process's
  std::string purpose;  // messages begin with it
  std::string shown;    // of the words, in messages; empty = they are not for everybody
};

// Runs a program without a shell, `input` on its standard input, and gives its standard output. The end is
// only given when the program succeeded. The program is killed when the source goes or a stop is requested.
// Errors: kNotFound for an unknown program; of Read: kInvalidArgument for an exit code that is not 0 or a
// signal, with the end of what it wrote to standard error; those of `input`; kCancelled.
Result<std::unique_ptr<read::ByteSource>> RunCommand(CommandSpec spec,
                                                     std::unique_ptr<read::ByteSource> input,
                                                     std::stop_token stop);
// As a prepare step.
Result<std::unique_ptr<read::ByteSource>> RunPipe(const std::vector<std::string>& command,
                                                  std::unique_ptr<read::ByteSource> input,
                                                  const std::string& folder, std::stop_token stop);

}  // namespace sluice::fetch
