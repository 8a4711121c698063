#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sluice::connectors::exec {

struct ChildOptions {
  std::vector<std::string> command;              // run without a shell
  std::string folder;                            // it starts there
  std::map<std::string, std::string> variables;  // beside those of this process
  size_t max_line_bytes = 16 << 20;              // of its answers
  // A line of its standard error; may be null.
  std::function<void(std::string_view)> on_error_line;
};

// Whether `command[0]` can be run, without running it. Errors: kNotFound, kPermissionDenied.
Status CheckProgram(const ChildOptions& options);

// A program that is given lines and gives lines. It leads a process group of its own, which is killed with
// it. Confined.
class Child {
 public:
  // Errors: kNotFound for an unknown program; kPermissionDenied; kResourceExhausted.
  static Result<std::unique_ptr<Child>> Start(const ChildOptions& options);
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();

  enum class Ending { kStaysOpen, kEndOfInput };
  // Writes `input` and reads lines, without their ends, until `on_line` returns false; with kEndOfInput
  // closes its input then and reads to the end, whatever `on_line` says. Errors: kTimeout; kCancelled;
  // kTooLarge for a line; kUnavailable when it ended too early, with how. After any error it is dead.
  Status Exchange(std::string_view input, Ending ending, std::chrono::steady_clock::time_point deadline,
                  const std::stop_token& stop, const std::function<bool(std::string_view)>& on_line);
  // Its exit code once it has closed its output; 128 + the number of a signal. Waits until `deadline`, then
  // kills it. Errors: kTimeout, kCancelled.
  Result<int> Wait(std::chrono::steady_clock::time_point deadline, const std::stop_token& stop);
  // The last of what it said on standard error, on one line.
  std::string last_words() const;

 private:
  explicit Child(const ChildOptions& options) : options_(options) {}
  Status Spawn();
  void Kill();
  void TakeErrors();
  void CloseAll();
  Status WriteSome(std::string_view* input);
  // Gives whole lines away. False when `on_line` wants no more.
  Result<bool> GiveLines(const std::function<bool(std::string_view)>& on_line, bool is_end);

  const ChildOptions options_;
  pid_t pid_ = -1;
  int in_ = -1, out_ = -1, err_ = -1;
  std::string output_;  // read and not yet given away
  std::string error_line_, words_;
};

}  // namespace sluice::connectors::exec
