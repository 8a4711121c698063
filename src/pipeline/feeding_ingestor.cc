#include "pipeline/feeding_ingestor.h"

#include <atomic>
#include <mutex>
#include <thread>

namespace sluice::pipeline {
namespace {

class FeedingIngestor final : public Ingestor {
 public:
  FeedingIngestor(std::string name, std::unique_ptr<FeedSource> source,
                  std::function<void(const std::string&)> note)
      : name_(std::move(name)), source_(std::move(source)), note_(std::move(note)) {}
  ~FeedingIngestor() override { static_cast<void>(Stop(std::chrono::milliseconds(0))); }

  Status Start(Intake& intake, const Places& from) override {
    RETURN_IF_ERROR(source_->Open(from));
    feeder_ = std::make_unique<Feeder>(intake);
    intake_ = &intake;
    thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
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
  Result<std::shared_ptr<arrow::RecordBatch>> Reread(std::string_view text) const override {
    return source_->Reread(text);
  }

 private:
  void Run(const std::stop_token& stop) {
    Status status = source_->Read(*feeder_, [this](Status now) { Tell(std::move(now)); }, stop);
    if (stop.stop_requested() || feeder_->is_cut_off()) return;
    if (!status.ok()) {
      note_(name_ + ": " + status.error().ToString());
      Tell(std::move(status));
    }
    intake_->End();
    while (!stop.stop_requested() && !is_finished_ && !feeder_->is_cut_off())
      is_finished_ = feeder_->WaitUntil(std::chrono::steady_clock::now() + std::chrono::seconds(1), stop);
  }

  void Tell(Status status) {
    std::lock_guard lock(mutex_);
    health_ = std::move(status);
  }

  const std::string name_;
  const std::unique_ptr<FeedSource> source_;
  const std::function<void(const std::string&)> note_;
  std::unique_ptr<Feeder> feeder_;
  Intake* intake_ = nullptr;
  std::atomic<bool> is_finished_ = false;
  mutable std::mutex mutex_;
  Status health_;
  std::jthread thread_;
};

}  // namespace

std::unique_ptr<Ingestor> MakeFeedingIngestor(std::string name, std::unique_ptr<FeedSource> source,
                                              std::function<void(const std::string&)> note) {
  return std::make_unique<FeedingIngestor>(std::move(name), std::move(source), std::move(note));
}

}  // namespace sluice::pipeline
