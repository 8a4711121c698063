#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <mutex>
#include <thread>

#include "connectors/stdio/stdio_internal.h"
#include "pipeline/feeder.h"
#include "pipeline/text_records.h"

namespace sluice::connectors {
namespace {

using pipeline::Delivery;
using pipeline::Feeder;
using pipeline::TextRecords;

constexpr int kPollMillis = 100;
constexpr size_t kReadBytes = 256 << 10;

class StdinIngestor final : public pipeline::Ingestor {
 public:
  StdinIngestor(pipeline::TextRecordsOptions options, pipeline::Environment& environment)
      : options_(std::move(options)), environment_(environment) {}
  ~StdinIngestor() override { static_cast<void>(Stop(std::chrono::milliseconds(0))); }

  Status Start(pipeline::Intake& intake, const pipeline::Places&) override {
    feeder_ = std::make_unique<Feeder>(intake);
    thread_ = std::jthread([this](const std::stop_token& stop) {
      Status status = Read(stop);
      if (status.ok()) {
        while (!stop.stop_requested() &&
               !feeder_->WaitUntil(std::chrono::steady_clock::now() + std::chrono::seconds(1), stop)) {
        }
        is_finished_ = feeder_->is_idle();
        return;
      }
      if (stop.stop_requested()) return;
      environment_.Note("standard input: " + status.error().ToString());
      std::lock_guard lock(mutex_);
      health_ = std::move(status);
    });
    return {};
  }

  Status Stop(std::chrono::milliseconds deadline) override {
    if (!thread_.joinable()) return {};
    const auto until = std::chrono::steady_clock::now() + deadline;
    thread_.request_stop();
    thread_.join();
    feeder_->WaitUntil(until, {});
    return {};
  }
  bool is_finished() const override { return is_finished_; }
  Status health() const override {
    std::lock_guard lock(mutex_);
    return health_;
  }

 private:
  Status Read(const std::stop_token& stop) {
    TextRecords records(options_);
    std::string buffer(kReadBytes, '\0');
    for (bool is_end = false; !is_end;) {
      pollfd ready{STDIN_FILENO, POLLIN, 0};
      while (::poll(&ready, 1, kPollMillis) == 0) {
        if (stop.stop_requested()) return Error(ErrorCode::kCancelled, "stopped");
        RETURN_IF_ERROR(feeder_->Pump(stop));
      }
      const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return FromErrno(errno, "cannot read standard input");
      is_end = got == 0;
      records.Append(std::string_view(buffer.data(), static_cast<size_t>(got)));
      while (true) {
        ASSIGN_OR_RETURN(auto delivery, records.Take(is_end));
        if (!delivery) break;
        delivery->batch.next.clear();
        RETURN_IF_ERROR(feeder_->Feed(*std::move(delivery), stop));
      }
    }
    return {};
  }

  const pipeline::TextRecordsOptions options_;
  pipeline::Environment& environment_;
  std::unique_ptr<Feeder> feeder_;
  std::atomic<bool> is_finished_ = false;
  mutable std::mutex mutex_;
  Status health_;
  std::jthread thread_;
};

}  // namespace

Result<std::unique_ptr<pipeline::Ingestor>> MakeStdinIngestor(const pipeline::Settings& settings,
                                                              pipeline::Environment& environment) {
  pipeline::TextRecordsOptions options;
  if (settings.text("format") == "csv") options.format = pipeline::TextFormat::kCsv;
  if (settings.text("delimiter").size() != 1)
    return settings.Complain("delimiter",
                             fmt::format("'{}' is not one character", settings.text("delimiter")));
  options.delimiter = settings.text("delimiter")[0];
  options.columns = settings.texts("columns");
  return std::unique_ptr<pipeline::Ingestor>(
      std::make_unique<StdinIngestor>(std::move(options), environment));
}

}  // namespace sluice::connectors
