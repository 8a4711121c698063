#pragma once

#include <fmt/format.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "columnar/format.h"
#include "workspace/workspace.h"

namespace sluice::pipeline {
class Registry;
}

namespace sluice::cli {

// What a command has to do with: options that all commands share, the workspace, the two streams. Data goes
// to standard output, messages for people to standard error. One per process; confined to the main thread.
class Session {
 public:
  // `paging` is set while a pager has the terminal: Ctrl-C is its business then.
  Session(std::stop_token stop, std::atomic<bool>& paging, const pipeline::Registry& registry);

  // Global options, filled by the parser.
  bool quiet = false;
  bool yes = false;
  bool no_color = false;
  bool verbose = false;
  bool metrics = false;
  int64_t lock_timeout_seconds = 60;
  bool drop_queue = false;             // of commands that change a dataset: give up what is queued for it
  std::optional<std::string> adds_to;  // of commands that only add data: the push source
  std::string system_time;             // hidden: freezes "now"

  // Called once after parsing. Errors: kInvalidArgument for a bad --system-time.
  Status Prepare();

  // The workspace around the current folder, or the one that SLUICE_WORKSPACE names.
  Result<workspace::Workspace*> OpenWorkspace();
  const Clock& clock() const { return *clock_; }
  std::stop_token stop() const { return stop_; }
  // The connectors of pipelines.
  const pipeline::Registry& registry() const { return registry_; }
  void set_paging(bool paging) { paging_ = paging; }

  bool stdout_is_terminal() const { return stdout_is_terminal_; }
  bool stderr_is_terminal() const { return stderr_is_terminal_; }
  bool color() const;

  // Writes all of it to standard output. Errors: kCancelled when the reader has gone (EPIPE).
  Status Out(std::string_view text);
  // A line for people; silent with --quiet.
  void Say(std::string_view line);
  template <class... Args>
  void Say(fmt::format_string<Args...> format, Args&&... args) {
    Say(std::string_view(fmt::format(format, std::forward<Args>(args)...)));
  }
  // A line for people who asked for more with --verbose.
  void SayMore(std::string_view line);
  // A line that --quiet does not silence.
  void Warn(std::string_view line);
  // Asks on the terminal; true with --yes. Without a terminal and without --yes: an error that says to give
  // --yes.
  Result<bool> Confirm(std::string_view question);

  // The format asked for, or the default: a table on a terminal, JSON elsewhere.
  Result<columnar::OutputFormat> FormatOrDefault(const std::string& name) const;

 private:
  std::stop_token stop_;
  std::atomic<bool>& paging_;
  const pipeline::Registry& registry_;
  std::unique_ptr<Clock> clock_;
  std::unique_ptr<workspace::Workspace> workspace_;
  bool stdout_is_terminal_;
  bool stderr_is_terminal_;
};

}  // namespace sluice::cli
