#include "connectors/exec/child.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <thread>

extern char** environ;

namespace sluice::connectors::exec {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int kLookMs = 50;  // how often a stop is looked for
constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kMaxErrorLine = 1000;
constexpr size_t kKeptWords = 400;

// Keeps a write to a program that is gone from ending this process; it is EPIPE instead.
class NoPipeSignal {
 public:
  NoPipeSignal() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoPipeSignal() {
    const timespec now{};
    if (!was_pending_) {
      while (sigtimedwait(&pipe_, nullptr, &now) < 0 && errno == EINTR) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoPipeSignal(const NoPipeSignal&) = delete;
  NoPipeSignal& operator=(const NoPipeSignal&) = delete;

 private:
  sigset_t pipe_, before_;
  bool was_pending_ = false;
};

void CloseFd(int* fd) {
  if (*fd >= 0) ::close(*fd);
  *fd = -1;
}

// The process's variables with others in place of or beside them.
std::vector<std::string> Variables(const std::map<std::string, std::string>& more) {
  std::vector<std::string> all;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    if (!more.contains(std::string(text.substr(0, text.find('='))))) all.emplace_back(text);
  }
  for (const auto& [name, value] : more) all.push_back(name + "=" + value);
  return all;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Status CheckProgram(const ChildOptions& options) {
  const std::string& program = options.command[0];
  const auto check = [&](const std::string& path) -> Status {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0 || S_ISDIR(info.st_mode))
      return NotFound("there is no program '{}': install it or write its path", program);
    if (::access(path.c_str(), X_OK) != 0)
      return MakeError(ErrorCode::kPermissionDenied, "'{}' may not be run: chmod +x", path);
    return {};
  };
  if (program.find('/') != std::string::npos) return check(program);
  const char* path = std::getenv("PATH");
  std::string_view folders = path == nullptr ? "/usr/bin:/bin" : path;
  Status last = NotFound("there is no program '{}': install it or write its path", program);
  while (true) {
    const size_t colon = folders.find(':');
    const std::string folder(folders.substr(0, colon));
    if (Status found = check((folder.empty() ? "." : folder) + "/" + program); found.ok()) return {};
    if (colon == std::string_view::npos) return last;
    folders.remove_prefix(colon + 1);
  }
}

Result<std::unique_ptr<Child>> Child::Start(const ChildOptions& options) {
  std::unique_ptr<Child> child(new Child(options));
  RETURN_IF_ERROR(child->Spawn());
  return child;
}

Child::~Child() { Kill(); }

Status Child::Spawn() {
  std::array<std::array<int, 2>, 3> pipes{};
  for (size_t i = 0; i < pipes.size(); ++i) {
    if (::pipe2(pipes[i].data(), O_CLOEXEC) == 0) continue;
    const int code = errno;
    while (i-- > 0) {
      ::close(pipes[i][0]);
      ::close(pipes[i][1]);
    }
    return FromErrno(code, "cannot make a pipe");
  }
  auto& [in, out, err] = pipes;
  std::vector<std::string> command = options_.command;
  std::vector<std::string> variables = Variables(options_.variables);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  if (!options_.folder.empty()) posix_spawn_file_actions_addchdir_np(&actions, options_.folder.c_str());
  posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
  // Signals as a program expects them; a terminal's Ctrl-C is for this process, which then ends its children.
  sigset_t defaults, none;
  sigemptyset(&defaults);
  for (const int signal : {SIGPIPE, SIGINT, SIGTERM, SIGHUP}) sigaddset(&defaults, signal);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  const int code = posix_spawnp(&pid_, command[0].c_str(), &actions, &attributes, Pointers(command).data(),
                                Pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  ::close(in[0]);
  ::close(out[1]);
  ::close(err[1]);
  in_ = in[1];
  out_ = out[0];
  err_ = err[0];
  if (code != 0) {
    pid_ = -1;
    CloseAll();
    if (code == ENOENT) return NotFound("there is no program '{}': install it or write its path", command[0]);
    return FromErrno(code, fmt::format("cannot run '{}'", command[0]));
  }
  for (const int fd : {in_, out_, err_}) ::fcntl(fd, F_SETFL, O_NONBLOCK);
  return {};
}

void Child::CloseAll() {
  CloseFd(&in_);
  CloseFd(&out_);
  CloseFd(&err_);
}

void Child::Kill() {
  if (pid_ > 0) {
    ::kill(-pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }
  CloseAll();
}

void Child::TakeErrors() {
  char buffer[4096];
  while (err_ >= 0) {
    const ssize_t got = ::read(err_, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got == 0 || (got < 0 && errno != EAGAIN)) CloseFd(&err_);
    if (got <= 0) return;
    for (ssize_t i = 0; i < got; ++i) {
      if (buffer[i] != '\n' && error_line_.size() < kMaxErrorLine) {
        error_line_ += buffer[i];
        continue;
      }
      if (error_line_.empty()) continue;
      if (options_.on_error_line) options_.on_error_line(error_line_);
      words_ += (words_.empty() ? "" : " | ") + error_line_;
      if (words_.size() > kKeptWords) words_.erase(0, words_.size() - kKeptWords);
      error_line_.clear();
    }
  }
}

std::string Child::last_words() const {
  if (error_line_.empty()) return words_;
  return words_.empty() ? error_line_ : words_ + " | " + error_line_;
}

Status Child::WriteSome(std::string_view* input) {
  while (!input->empty() && in_ >= 0) {
    const ssize_t written = ::write(in_, input->data(), input->size());
    if (written > 0) {
      input->remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN) {
      return {};
    } else if (errno == EPIPE) {
      CloseFd(&in_);  // it wants no more; what it says of that comes by its output
    } else if (errno != EINTR) {
      return FromErrno(errno, fmt::format("cannot write to '{}'", options_.command[0]));
    }
  }
  return {};
}

Result<bool> Child::GiveLines(const std::function<bool(std::string_view)>& on_line, bool is_end) {
  size_t begin = 0;
  bool wants_more = true;
  while (wants_more) {
    const size_t end = output_.find('\n', begin);
    if (end == std::string::npos) break;
    wants_more = on_line(std::string_view(output_).substr(begin, end - begin));
    begin = end + 1;
  }
  if (wants_more && is_end && begin < output_.size()) {
    wants_more = on_line(std::string_view(output_).substr(begin));
    begin = output_.size();
  }
  output_.erase(0, begin);
  if (output_.size() > options_.max_line_bytes)
    return MakeError(ErrorCode::kTooLarge, "'{}' answers with a line of more than {} bytes",
                     options_.command[0], options_.max_line_bytes);
  return wants_more;
}

Status Child::Exchange(std::string_view input, Ending ending, SteadyClock::time_point deadline,
                       const std::stop_token& stop, const std::function<bool(std::string_view)>& on_line) {
  const NoPipeSignal guard;
  const bool to_end = ending == Ending::kEndOfInput;
  const auto fail = [this](Error error) {
    TakeErrors();
    Kill();
    return error;
  };
  if (out_ < 0) return MakeError(ErrorCode::kUnavailable, "'{}' has ended", options_.command[0]);
  while (true) {
    if (Status written = WriteSome(&input); !written.ok()) return fail(std::move(written).error());
    if (input.empty() && to_end) CloseFd(&in_);
    std::array<pollfd, 3> ready{
        {{out_, POLLIN, 0}, {err_, POLLIN, 0}, {input.empty() ? -1 : in_, POLLOUT, 0}}};
    ::poll(ready.data(), ready.size(), kLookMs);
    TakeErrors();
    if (stop.stop_requested()) return fail(Error(ErrorCode::kCancelled, "interrupted"));
    if (SteadyClock::now() >= deadline)
      return fail(MakeError(ErrorCode::kTimeout, "'{}' did not answer in time", options_.command[0]));
    const size_t had = output_.size();
    output_.resize(had + kReadBytes);
    const ssize_t got = ::read(out_, output_.data() + had, kReadBytes);
    const int code = errno;
    output_.resize(had + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && (code == EAGAIN || code == EINTR)) continue;
    auto wants_more = GiveLines(on_line, got <= 0);
    if (!wants_more.ok()) return fail(std::move(wants_more).error());
    if (!to_end && !*wants_more) return {};
    if (got > 0) continue;
    CloseFd(&out_);
    if (to_end) return {};
    auto exit = Wait(std::min(deadline, SteadyClock::now() + std::chrono::seconds(2)), stop);
    const std::string how = exit.ok() ? fmt::format("exit code {}", *exit) : "its output closed";
    return fail(MakeError(ErrorCode::kUnavailable, "'{}' ended with {}{}{}", options_.command[0], how,
                          last_words().empty() ? "" : ": ", last_words()));
  }
}

Result<int> Child::Wait(SteadyClock::time_point deadline, const std::stop_token& stop) {
  int status = 0;
  while (true) {
    TakeErrors();
    const pid_t done = pid_ > 0 ? ::waitpid(pid_, &status, WNOHANG) : -1;
    if (done == pid_ && pid_ > 0) break;
    if (done < 0 && errno != EINTR)
      return FromErrno(errno, fmt::format("cannot wait for '{}'", options_.command[0]));
    const bool is_late = SteadyClock::now() >= deadline;
    if (is_late || stop.stop_requested()) {
      Kill();
      if (!is_late) return Error(ErrorCode::kCancelled, "interrupted");
      return MakeError(ErrorCode::kTimeout, "'{}' does not end", options_.command[0]);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ::kill(-pid_, SIGKILL);  // what it left behind
  pid_ = -1;
  TakeErrors();
  CloseAll();
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace sluice::connectors::exec
