#include "server/log_lines.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

namespace sluice::server {
namespace {

using nlohmann::json;

constexpr size_t kMaxWaitingBytes = 8 << 20;
constexpr size_t kWriteBytes = 64 << 10;
constexpr auto kLookAgain = std::chrono::seconds(1);
constexpr std::string_view kLevels[] = {"debug", "info", "warn", "error"};

std::string Dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

// Bare when nothing in it could be taken for something else.
std::string PlainValue(const json& value) {
  if (!value.is_string()) return Dump(value);
  const auto& text = value.get_ref<const std::string&>();
  const bool is_bare = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
  });
  return is_bare ? text : Dump(value);
}

class Writer final : public LogLines {
 public:
  Writer(const LogOptions& options, const Clock& clock, int fd)
      : options_(options),
        clock_(clock),
        fd_(fd),
        thread_([this](const std::stop_token& stop) { Work(stop); }) {}
  ~Writer() override {
    thread_.request_stop();
    thread_.join();
    if (!options_.file.empty()) close(fd_);
  }

  bool is_on(LogLevel level) const override { return level >= options_.level; }

  void Write(LogLevel level, std::string_view event, const json& members) override {
    if (!is_on(level)) return;
    const std::string line = LogLine(options_, clock_.Now(), level, event, members) + "\n";
    std::lock_guard lock(mutex_);
    if (waiting_.size() + line.size() > kMaxWaitingBytes) {
      ++left_out_;
      return;
    }
    waiting_ += line;
    changed_.notify_one();
  }

 private:
  void Work(const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "log");
    while (true) {
      std::string lines;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, stop, [this] { return !waiting_.empty(); });
        if (waiting_.empty()) return;
        lines.swap(waiting_);
        if (left_out_ > 0) {
          lines +=
              LogLine(options_, clock_.Now(), LogLevel::kWarn, "log-lines-left-out", {{"lines", left_out_}}) +
              "\n";
        }
        left_out_ = 0;
      }
      Reopen();
      for (size_t done = 0; done < lines.size();) {
        const ssize_t n = write(fd_, lines.data() + done, std::min(kWriteBytes, lines.size() - done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break;  // a full disk must not end the node
        done += static_cast<size_t>(n);
      }
    }
  }

  void Reopen() {
    const auto now = std::chrono::steady_clock::now();
    if (options_.file.empty() || now - looked_ < kLookAgain) return;
    looked_ = now;
    struct stat named{}, open_one{};
    if (stat(options_.file.c_str(), &named) == 0 && fstat(fd_, &open_one) == 0 &&
        named.st_ino == open_one.st_ino && named.st_dev == open_one.st_dev)
      return;
    const int fd = open(options_.file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) return;
    close(fd_);
    fd_ = fd;
  }

  const LogOptions options_;
  const Clock& clock_;
  int fd_;
  std::chrono::steady_clock::time_point looked_{};
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::string waiting_;    // under mutex_
  uint64_t left_out_ = 0;  // under mutex_
  std::jthread thread_;
};

}  // namespace

// Members in a fixed order: first those that every line has.
std::string LogLine(const LogOptions& options, Instant time, LogLevel level, std::string_view event,
                    const json& members) {
  const auto name = kLevels[static_cast<size_t>(level)];
  if (!options.is_json) {
    std::string line = fmt::format("{} {} {}", FormatInstant(time), name, event);
    for (const auto& [key, value] : members.items()) line += fmt::format(" {}={}", key, PlainValue(value));
    return line;
  }
  std::string line = fmt::format("{{\"time\":{},\"level\":\"{}\",\"event\":{}",
                                 json(FormatInstant(time)).dump(), name, Dump(json(event)));
  const std::string rest = Dump(members);
  if (members.is_object() && !members.empty()) line += "," + rest.substr(1, rest.size() - 2);
  return line + "}";
}

Result<std::unique_ptr<LogLines>> LogLines::Open(const LogOptions& options, const Clock& clock) {
  int fd = STDERR_FILENO;
  if (!options.file.empty()) {
    fd = open(options.file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) return FromErrno(errno, fmt::format("cannot open the log '{}'", options.file));
  }
  return std::unique_ptr<LogLines>(std::make_unique<Writer>(options, clock, fd));
}

std::string WithoutSecrets(const std::string& target) {
  static constexpr std::string_view kUpload = "/platform/file/upload/";
  static constexpr std::string_view kToken = "uploadToken=";
  std::string shown = target;
  if (shown.starts_with(kUpload) && !shown.substr(kUpload.size()).starts_with("prepare"))
    shown = std::string(kUpload) + "***";
  if (const size_t at = shown.find(kToken); at != std::string::npos) {
    const size_t end = std::min(shown.find('&', at), shown.size());
    shown.replace(at + kToken.size(), end - at - kToken.size(), "***");
  }
  return shown;
}

}  // namespace sluice::server
