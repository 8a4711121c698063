#include "fetch/command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "base/cancel.h"
#include "base/mutex.h"

extern char** environ;

namespace sluice::fetch {
namespace {

constexpr size_t kFeedBytes = 256 << 10;
constexpr size_t kKeptErrors = 2000;  // last bytes of standard error
constexpr int kPauseMs = 50;

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd() { Close(); }
  Fd(Fd&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Fd& operator=(Fd&& other) noexcept {
    Close();
    fd_ = other.fd_;
    other.fd_ = -1;
    return *this;
  }
  int get() const { return fd_; }
  void Close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

struct Pipe {
  Fd read, write;
};

Result<Pipe> MakePipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return FromErrno(errno, "cannot make a pipe");
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

std::string Show(const std::vector<std::string>& command) {
  std::string text;
  for (const auto& word : command) text += (text.empty() ? "" : " ") + word;
  return text.size() > 100 ? text.substr(0, 100) + "..." : text;
}

class CommandSource final : public read::ByteSource {
 public:
  CommandSource(const CommandSpec& spec, std::unique_ptr<read::ByteSource> input, std::stop_token stop)
      : purpose_(spec.purpose),
        shown_(spec.shown.empty() ? spec.purpose : fmt::format("{}: '{}'", spec.purpose, spec.shown)),
        name_(input->name()),
        input_(std::move(input)),
        stop_(std::move(stop)) {}

  ~CommandSource() override {
    if (pid_ > 0 && !reaped_) {
      ::kill(-pid_, SIGKILL);
      out_.Close();
      while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
    out_.Close();
    ending_.request_stop();
    if (feeder_.joinable()) feeder_.join();
    if (listener_.joinable()) listener_.join();
  }

  Status Start(std::vector<std::string> command, const std::string& folder) {
    ASSIGN_OR_RETURN(auto in, MakePipe());
    ASSIGN_OR_RETURN(auto out, MakePipe());
    ASSIGN_OR_RETURN(auto err, MakePipe());
    std::vector<char*> words;
    for (auto& word : command) words.push_back(word.data());
    words.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    if (!folder.empty()) posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
    posix_spawn_file_actions_adddup2(&actions, in.read.get(), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out.write.get(), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err.write.get(), STDERR_FILENO);
    // A group of its own, so that what it starts ends with it; and signals as a program expects them.
    sigset_t defaults;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    const int code = posix_spawnp(&pid_, words[0], &actions, &attributes, words.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (code != 0) {
      pid_ = -1;
      if (code == ENOENT)
        return NotFound("{}: there is no program '{}': install it or write its path", purpose_, command[0]);
      return FromErrno(code, fmt::format("{}: cannot run '{}'", purpose_, command[0]));
    }
    out_ = std::move(out.read);
    feeder_ = std::jthread([this, to = std::move(in.write)]() mutable { Feed(std::move(to)); });
    listener_ = std::jthread([this, from = std::move(err.read)]() mutable { Listen(std::move(from)); });
    return {};
  }

  Result<size_t> Read(char* buffer, size_t size) override {
    if (reaped_) return Outcome();
    while (true) {
      pollfd ready{out_.get(), POLLIN, 0};
      const int n = ::poll(&ready, 1, kPauseMs);
      RETURN_IF_ERROR(CheckCancelled(stop_));
      if (n <= 0) continue;
      const ssize_t got = ::read(out_.get(), buffer, size);
      if (got > 0) return static_cast<size_t>(got);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return FromErrno(errno, "cannot read from " + shown_);
      RETURN_IF_ERROR(Reap());
      return Outcome();
    }
  }
  const std::string& name() const override { return name_; }

 private:
  void Feed(Fd to) {
    std::string buffer(kFeedBytes, '\0');
    while (!ending_.stop_requested()) {
      auto n = input_->Read(buffer.data(), buffer.size());
      if (!n.ok()) {
        MutexLock lock(mutex_);
        input_error_ = std::move(n).error();
        // What the program makes of half an input is of no use.
        ::kill(-pid_, SIGKILL);
        return;
      }
      if (*n == 0 || !WriteAll(to.get(), {buffer.data(), *n})) return;
    }
  }

  // False when the program does not want more.
  bool WriteAll(int fd, std::string_view bytes) const {
    while (!bytes.empty()) {
      pollfd ready{fd, POLLOUT, 0};
      if (::poll(&ready, 1, kPauseMs) == 0) {
        if (ending_.stop_requested()) return false;
        continue;
      }
      const ssize_t n = ::write(fd, bytes.data(), std::min<size_t>(bytes.size(), 4096));
      if (n < 0 && errno != EINTR) return false;
      if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }

  void Listen(Fd from) {
    char buffer[4096];
    while (true) {
      // Once the program has ended, what it left behind may keep the pipe open: only what is there counts.
      const bool ending = ending_.stop_requested();
      pollfd ready{from.get(), POLLIN, 0};
      const int waiting = ::poll(&ready, 1, ending ? 0 : kPauseMs);
      if (waiting == 0 && ending) return;
      if (waiting <= 0) continue;
      const ssize_t n = ::read(from.get(), buffer, sizeof(buffer));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return;
      MutexLock lock(mutex_);
      errors_.append(buffer, static_cast<size_t>(n));
      if (errors_.size() > kKeptErrors) errors_.erase(0, errors_.size() - kKeptErrors);
    }
  }

  // Standard output has ended: so will the program, in a moment.
  Status Reap() {
    while (true) {
      const pid_t done = ::waitpid(pid_, &status_, WNOHANG);
      if (done == pid_) break;
      if (done < 0 && errno != EINTR) return FromErrno(errno, "cannot wait for " + shown_);
      RETURN_IF_ERROR(CheckCancelled(stop_));
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    reaped_ = true;
    ending_.request_stop();
    if (feeder_.joinable()) feeder_.join();
    if (listener_.joinable()) listener_.join();
    return {};
  }

  Result<size_t> Outcome() {
    MutexLock lock(mutex_);
    if (input_error_) return *input_error_;
    if (WIFEXITED(status_) && WEXITSTATUS(status_) == 0) return size_t{0};
    std::string said = errors_;
    while (said.ends_with('\n')) said.pop_back();
    const std::string how = WIFSIGNALED(status_)
                                ? fmt::format("was ended by signal {}", WTERMSIG(status_))
                                : fmt::format("ended with exit code {}", WEXITSTATUS(status_));
    return InvalidArgument("{} {}{}{}", shown_, how, said.empty() ? "" : ": ", said);
  }

  const std::string purpose_, shown_, name_;
  std::unique_ptr<read::ByteSource> input_;  // of the feeder's thread
  std::stop_token stop_;
  std::stop_source ending_;
  pid_t pid_ = -1;
  Fd out_;
  bool reaped_ = false;
  int status_ = 0;
  Mutex mutex_;
  std::string errors_ GUARDED_BY(mutex_);
  std::optional<Error> input_error_ GUARDED_BY(mutex_);
  std::jthread feeder_, listener_;
};

}  // namespace

Result<std::unique_ptr<read::ByteSource>> RunCommand(CommandSpec spec,
                                                     std::unique_ptr<read::ByteSource> input,
                                                     std::stop_token stop) {
  auto source = std::make_unique<CommandSource>(spec, std::move(input), std::move(stop));
  RETURN_IF_ERROR(source->Start(std::move(spec.words), spec.folder));
  return std::unique_ptr<read::ByteSource>(std::move(source));
}

Result<std::unique_ptr<read::ByteSource>> RunPipe(const std::vector<std::string>& command,
                                                  std::unique_ptr<read::ByteSource> input,
                                                  const std::string& folder, std::stop_token stop) {
  return RunCommand({command, folder, "prepare", Show(command)}, std::move(input), std::move(stop));
}

}  // namespace sluice::fetch
