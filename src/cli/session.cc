#include "cli/session.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "cli/node_client.h"

namespace sluice::cli {

Session::Session(std::stop_token stop, std::atomic<bool>& paging, const pipeline::Registry& registry)
    : stop_(std::move(stop)),
      paging_(paging),
      registry_(registry),
      clock_(std::make_unique<SystemClock>()),
      stdout_is_terminal_(isatty(STDOUT_FILENO) == 1),
      stderr_is_terminal_(isatty(STDERR_FILENO) == 1) {}

Status Session::Prepare() {
  if (system_time.empty()) return {};
  ASSIGN_OR_RETURN(Instant now, ParseInstant(system_time));
  clock_ = std::make_unique<FixedClock>(now);
  return {};
}

Result<workspace::Workspace*> Session::OpenWorkspace() {
  if (!workspace_) {
    const char* folder = std::getenv("SLUICE_WORKSPACE");
    std::error_code error;
    const auto here = std::filesystem::current_path(error);
    if (error) return FromErrno(error.value(), "cannot find the current folder");
    ASSIGN_OR_RETURN(workspace_, workspace::Workspace::Find(here.string(), folder ? folder : ""));
    workspace_->set_lock_timeout(std::chrono::seconds(lock_timeout_seconds));
    workspace_->set_stop(stop_);
    LiveBesideNode(*this, *workspace_);
    SayMore("Workspace: " + workspace_->root());
  }
  return workspace_.get();
}

bool Session::color() const { return stderr_is_terminal_ && !no_color && !std::getenv("NO_COLOR"); }

Status Session::Out(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(STDOUT_FILENO, text.data(), text.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EPIPE) return Error(ErrorCode::kCancelled, "standard output was closed");
      return FromErrno(errno, "cannot write to standard output");
    }
    text.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

void Session::Say(std::string_view line) {
  if (!quiet) Warn(line);
}

void Session::SayMore(std::string_view line) {
  if (verbose) Say(line);
}

void Session::Warn(std::string_view line) {
  // Values and names of inputs stand in messages: they must not steer the terminal.
  std::string text;
  for (const char c : line) {
    const bool steers = (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
    if (steers)
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      text += c;
  }
  text += '\n';
  std::fwrite(text.data(), 1, text.size(), stderr);
}

Result<bool> Session::Confirm(std::string_view question) {
  if (yes) return true;
  if (isatty(STDIN_FILENO) != 1 || !stderr_is_terminal_) {
    return InvalidArgument("{} Give --yes to confirm where there is no terminal to ask on", question);
  }
  std::fputs(fmt::format("{} [y/N] ", question).c_str(), stderr);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

Result<columnar::OutputFormat> Session::FormatOrDefault(const std::string& name) const {
  if (!name.empty()) {
    auto format = columnar::ParseOutputFormat(name);
    if (!format.ok()) return std::move(format).error().With("usage");
    return format;
  }
  return stdout_is_terminal_ ? columnar::OutputFormat::kTable : columnar::OutputFormat::kJson;
}

}  // namespace sluice::cli
