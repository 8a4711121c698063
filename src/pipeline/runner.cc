#include "pipeline/runner.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "base/bounded_queue.h"
#include "pipeline/backoff.h"
#include "pipeline/dead_letters.h"
#include "pipeline/dispatcher.h"
#include "pipeline/host_environment.h"
#include "pipeline/ingestor_port.h"
#include "pipeline/intake_gate.h"
#include "pipeline/least_places.h"
#include "pipeline/position_keeper.h"
#include "pipeline/processor_chain.h"
#include "pipeline/receipt_internal.h"
#include "pipeline/replay.h"
#include "pipeline/spool.h"
#include "pipeline/spool_stage.h"
#include "pipeline/write_stage.h"
#include "storage/file_lock.h"

namespace sluice::pipeline {
namespace {

constexpr Millis kSaveEvery(100);

class RunnerImpl final : public Runner {
 public:
  RunnerImpl(PipelineConfig config, const RunnerHost& host)
      : config_(std::move(config)),
        host_(host),
        metrics_(config_.name),
        environment_(host.clock, host.registry, config_, host.note, metrics_, abort_.get_token()),
        circuit_(config_.circuit),
        buckets_(config_.tenants) {}
  ~RunnerImpl() override { static_cast<void>(Stop()); }

  // Makes the connectors; with `replay` its dead letters come in place of what the ingestors bring.
  Status Make(const ReplayPass* replay = nullptr) {
    ASSIGN_OR_RETURN(writer_, host_.registry.MakeWriter(config_.writer, environment_));
    ASSIGN_OR_RETURN(chain_,
                     ProcessorChain::Make(config_.processors, host_.registry, environment_, &metrics_));
    std::unique_ptr<IngestionWriter> dead;
    if (config_.dead_letter) {
      ASSIGN_OR_RETURN(dead, host_.registry.MakeWriter(*config_.dead_letter, environment_));
    }
    dead_letters_ = std::make_unique<DeadLetters>(
        std::move(dead), environment_,
        metrics_.Stage("dead_letter", config_.dead_letter ? config_.dead_letter->type() : "none"),
        config_.keeps_rejects ? environment_.Resolve(config_.dead_letter->text("path")) : "");
    if (config_.last_resort) {
      ASSIGN_OR_RETURN(auto last, host_.registry.MakeWriter(*config_.last_resort, environment_));
      dead_letters_->SetLastResort(std::move(last), environment_.Resolve(config_.last_resort->text("path")));
    }
    RETURN_IF_ERROR(MakeIngestors());
    return replay ? ReplaceIngestors(*replay) : OkStatus();
  }

  Status MakeIngestors() {
    for (const auto& settings : config_.ingestors) {
      ASSIGN_OR_RETURN(auto ingestor, host_.registry.MakeIngestor(settings, environment_));
      ASSIGN_OR_RETURN(const auto* declared, host_.registry.Find(ConnectorKind::kIngestor, settings.type()));
      has_positions_ = has_positions_ || declared->has_positions;
      ingestors_.push_back({settings.type(), declared->has_positions, std::move(ingestor), nullptr});
    }
    return {};
  }

  // The ingestors only read again what they refused.
  Status ReplaceIngestors(const ReplayPass& replay) {
    std::map<std::string, std::unique_ptr<Ingestor>> readers;
    for (size_t i = 0; i < ingestors_.size(); ++i)
      readers[NameOfIngestor(i)] = std::move(ingestors_[i].ingestor);
    ingestors_.clear();
    ingestors_.push_back({"replay", false, MakeReplayIngestor(replay, std::move(readers)), nullptr});
    has_positions_ = false;
    if (replay.is_processed) dead_letters_->SetProcessed();
    if (replay.writers.empty()) return {};
    auto known = writer_->KeepOnly(replay.writers);
    std::sort(known.begin(), known.end());
    for (const auto& name : replay.writers) {
      const auto count = std::count(known.begin(), known.end(), name);
      if (count == 1) continue;
      return MakeError(
          count == 0 ? ErrorCode::kNotFound : ErrorCode::kInvalidArgument,
          "dead letters are of '{}', {}; change their 'writers', or take it out to send them to all", name,
          count == 0 ? "and the pipeline has no such part of its writer" : "as several writers are called");
    }
    return {};
  }

  Status Start() {
    const std::stop_callback give_up(host_.stop, [this] { abort_.request_stop(); });
    const Status started = OpenAndStart();
    if (!host_.stop.stop_requested()) return started;
    return MakeError(ErrorCode::kCancelled, "stopped before it had started");
  }

  Status OpenAndStart() {
    RETURN_IF_ERROR(Open());
    StartThreads();
    is_running_ = true;
    open_inputs_ = ingestors_.size();
    for (size_t i = 0; i < ingestors_.size(); ++i) {
      auto& slot = ingestors_[i];
      const std::string name = NameOfIngestor(i);
      IngestorPort::Parts parts{*this,
                                *intake_,
                                *positions_,
                                circuit_,
                                buckets_,
                                *dead_letters_,
                                metrics_,
                                metrics_.Stage("ingestor", name),
                                environment_,
                                config_.tenants,
                                abort_,
                                [this] {
                                  if (--open_inputs_ == 0) work_queue_->Hurry();
                                }};
      slot.port = std::make_unique<IngestorPort>(parts, i, slot.type, slot.has_positions,
                                                 /*is_behind_spool=*/spool_ != nullptr,
                                                 /*tells_writer=*/writer_places_.has_value());
      const Places from = slot.has_positions ? StartOf(slot.type) : Places();
      if (auto status = slot.ingestor->Start(*slot.port, from); !status.ok())
        return std::move(status).error().With(fmt::format("ingestor '{}'", name));
      slot.is_started = true;
    }
    metrics_.is_ready = true;
    return {};
  }

  const PipelineConfig& config() const override { return config_; }

  bool is_finished() const override {
    for (const auto& slot : ingestors_) {
      if (!slot.ingestor->is_finished()) return false;
    }
    return intake_->records() == 0 && (!spool_ || spool_->is_drained());
  }

  std::vector<Ailment> ailments() const override {
    std::vector<Ailment> all;
    const auto add = [&](std::string stage, const Status& status) {
      if (!status.ok()) all.push_back({std::move(stage), environment_.Clean(status.error().ToString())});
    };
    for (size_t i = 0; i < ingestors_.size(); ++i)
      add(fmt::format("ingestor '{}'", NameOfIngestor(i)), ingestors_[i].ingestor->health());
    add(fmt::format("writer '{}'", config_.writer.type()), circuit_.health());
    if (spool_stage_) add("spool", spool_stage_->health());
    add("pipeline", fatal());
    return all;
  }

  Status fatal() const override {
    {
      std::lock_guard lock(mutex_);
      if (!fatal_.ok()) return fatal_;
    }
    if (Status status = writer_->fatal(); !status.ok())
      return std::move(status).error().With(fmt::format("writer '{}'", config_.writer.type()));
    return dead_letters_->fatal();
  }

  const PipelineMetrics& metrics() override {
    metrics_.in_flight_records = work_queue_->records() + (spool_ ? intake_->records() : 0);
    metrics_.in_flight_bytes = work_queue_->bytes() + (spool_ ? intake_->bytes() : 0);
    if (spool_) metrics_.spool_bytes = spool_->size_bytes();
    int64_t lag = 0;
    for (const auto& slot : ingestors_) {
      if (slot.port) lag = std::max(lag, slot.port->lag().count());
    }
    metrics_.lag_millis = lag;
    metrics_.is_ready = is_running_ && ailments().empty();
    return metrics_;
  }

  Status Stop() override;
  bool has_spooled() const override { return has_spooled_; }

 private:
  std::string NameOfIngestor(size_t number) const {
    return fmt::format("{}_{}", number, ingestors_[number].type);
  }
  struct Slot {
    std::string type;
    bool has_positions = false;
    std::unique_ptr<Ingestor> ingestor;
    std::unique_ptr<IngestorPort> port;
    bool is_started = false;
  };

  Status Open();
  void StartThreads();
  Places StartOf(const std::string& type) const {
    if (!writer_places_) return positions_->StoredOf(type);
    if (writer_->keeps_all_positions()) return *writer_places_;
    return LeastOf({*writer_places_, positions_->StoredOf(type)});
  }
  void Fail(const Error& error) {
    std::lock_guard lock(mutex_);
    if (fatal_.ok()) fatal_ = error;
  }
  void SaveProgress();
  void StopIngestors();

  const PipelineConfig config_;
  const RunnerHost host_;
  PipelineMetrics metrics_;
  std::stop_source abort_;  // whatever runs ends: a start is given up, or the deadline of a stop has passed
  HostEnvironment environment_;
  Circuit circuit_;
  TenantBuckets buckets_;

  std::unique_ptr<storage::FileLock> lock_;
  std::unique_ptr<IngestionWriter> writer_;
  std::unique_ptr<ProcessorChain> chain_;
  std::unique_ptr<DeadLetters> dead_letters_;
  std::unique_ptr<PositionKeeper> positions_;
  std::optional<Places> writer_places_;
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<IntakeQueue> work_queue_;   // before the processors
  std::unique_ptr<IntakeQueue> spool_queue_;  // before the spool
  IntakeQueue* intake_ = nullptr;             // where the ingestors' records go first
  std::unique_ptr<WriteStage> write_stage_;
  std::unique_ptr<SpoolStage> spool_stage_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::vector<Slot> ingestors_;
  std::jthread saver_;
  bool has_positions_ = false;
  bool is_open_ = false;
  bool has_spooled_ = false;
  std::atomic<bool> is_running_ = false;
  std::atomic<size_t> open_inputs_ = 0;
  mutable std::mutex mutex_;
  Status fatal_;
};

Status RunnerImpl::Open() {
  if (has_positions_) {
    ASSIGN_OR_RETURN(const auto folder, environment_.StateFolder());
    auto lock = storage::FileLock::Acquire(folder + "/lock", Millis(2000));
    if (!lock.ok())
      return std::move(lock).error().With(fmt::format(
          "pipeline '{}' keeps its positions in '{}', and another process runs it", config_.name, folder));
    lock_ = *std::move(lock);
  }
  if (auto status = writer_->Open(abort_.get_token()); !status.ok())
    return std::move(status).error().With(fmt::format("writer '{}'", config_.writer.type()));
  is_open_ = true;
  if (!config_.keeps_rejects) RETURN_IF_ERROR(dead_letters_->Open(abort_.get_token()));
  RETURN_IF_ERROR(chain_->Open());
  ASSIGN_OR_RETURN(writer_places_, writer_->StoredPlaces());
  std::string positions;
  if (config_.spool) writer_places_.reset();  // what is in it is done for the upstream
  if (has_positions_ && (!writer_places_ || !writer_->keeps_all_positions())) {
    ASSIGN_OR_RETURN(const auto folder, environment_.StateFolder());
    positions = folder + "/positions.json";
  }
  ASSIGN_OR_RETURN(positions_, PositionKeeper::Open(positions));
  if (config_.spool) {
    ASSIGN_OR_RETURN(spool_, Spool::Open(environment_.Resolve(config_.spool->path), config_.spool->max_size));
    if (spool_->recovery().cut_bytes > 0)
      environment_.Note(fmt::format("the spool had a torn tail of {} bytes, which was never acknowledged",
                                    spool_->recovery().cut_bytes));
  }
  return {};
}

void RunnerImpl::StartThreads() {
  const int writers = std::max(1, writer_->concurrency());
  work_queue_ = std::make_unique<IntakeQueue>(config_.queue, writers);
  intake_ = work_queue_.get();
  auto& counters = metrics_.Stage("writer", config_.writer.type());
  write_stage_ = std::make_unique<WriteStage>(
      WriteStage::Parts{*writer_, *dead_letters_, circuit_, counters, environment_}, config_.retry,
      writer_places_.has_value());
  TakeLimits limits;
  limits.max_records = config_.batch.max_records > 0 ? config_.batch.max_records : writer_->preferred_rows();
  limits.max_bytes = config_.batch.max_bytes;
  limits.max_age = config_.batch.max_age;
  dispatcher_ = std::make_unique<Dispatcher>(
      Dispatcher::Parts{*work_queue_, *chain_, *write_stage_, environment_, metrics_.balance, config_.retry},
      limits, writers, writer_places_.has_value(), abort_);
  if (spool_) {
    spool_queue_ = std::make_unique<IntakeQueue>(config_.queue, 1);
    intake_ = spool_queue_.get();
    spool_stage_ = std::make_unique<SpoolStage>(*spool_, *spool_queue_, *work_queue_, *dead_letters_,
                                                environment_, metrics_, abort_);
  }
  saver_ = std::jthread([this](const std::stop_token& stop) {
    while (SleepFor(kSaveEvery, stop)) SaveProgress();
  });
}

void RunnerImpl::SaveProgress() {
  auto status = positions_->Save();
  if (status.ok() && spool_) status = spool_->Save();
  if (!status.ok())
    environment_.Note("the positions cannot be written, trying on: " + status.error().ToString());
  if (spool_stage_ && !spool_stage_->health().ok() && spool_stage_->is_broken())
    Fail(spool_stage_->health().error());
}

void RunnerImpl::StopIngestors() {
  std::vector<std::jthread> stopping;
  for (auto& slot : ingestors_) {
    if (!slot.is_started) continue;
    stopping.emplace_back([this, &slot] {
      // A start that was given up stores nothing any more: there are no outcomes to wait for.
      const Status status = slot.ingestor->Stop(abort_.stop_requested() ? Millis(0) : config_.shutdown);
      slot.port->Close();
      if (!status.ok()) environment_.Note("stopping an ingestor: " + status.error().ToString());
      slot.is_started = false;
    });
  }
}

Status RunnerImpl::Stop() {
  if (!is_open_) return {};
  is_open_ = false;
  is_running_ = false;
  const auto deadline = std::chrono::steady_clock::now() + config_.shutdown;
  if (dispatcher_) {
    // Ingestors wait for what they have brought.
    work_queue_->Hurry();
    StopIngestors();
    if (spool_stage_) spool_stage_->Stop();
    work_queue_->Close();
    if (!writer_->fatal().ok() || !dispatcher_->WaitUntil(deadline)) {
      abort_.request_stop();
      for (const Item& item : work_queue_->Cancel()) {
        const Outcome failed{OutcomeKind::kFailed, "the pipeline stops"};
        for (int64_t row = 0; row < item.batch.rows(); ++row) item.receipt->Set(item.first_row + row, failed);
      }
    }
    dispatcher_->Join();
    saver_.request_stop();
    saver_.join();
  }
  Status status;
  const auto keep = [&](const Status& one) {
    if (status.ok() && !one.ok()) status = one;
  };
  if (positions_) keep(positions_->Save());
  has_spooled_ = spool_ && !spool_->is_drained();
  if (spool_) keep(spool_->Close());
  keep(writer_->Close());
  keep(dead_letters_->Close());
  lock_.reset();
  return status;
}

Error OfPipeline(const std::string& name, const Error& error, const std::vector<std::string>& secrets) {
  Error cleaned(error.code(), HideSecrets(error.message(), secrets));
  for (const auto& line : error.context()) cleaned.With(HideSecrets(line, secrets));
  return std::move(cleaned).With(fmt::format("pipeline '{}'", name));
}

Result<std::unique_ptr<Runner>> StartOne(PipelineConfig config, const RunnerHost& host,
                                         const ReplayPass* replay) {
  const std::string name = config.name;
  const auto secrets = config.secrets;
  auto runner = std::make_unique<RunnerImpl>(std::move(config), host);
  Status status = runner->Make(replay);
  if (status.ok()) status = runner->Start();
  if (!status.ok()) return OfPipeline(name, status.error(), secrets);
  return std::unique_ptr<Runner>(std::move(runner));
}

Status CheckOne(const PipelineConfig& config, const RunnerHost& host, const ReplayPass* replay) {
  auto status = RunnerImpl(config, host).Make(replay);
  if (!status.ok()) return OfPipeline(config.name, status.error(), config.secrets);
  return {};
}

PipelineConfig ForReplay(PipelineConfig config, const ReplayPass& pass) {
  config.spool.reset();
  if (pass.is_processed) config.processors.clear();
  return config;
}

}  // namespace

Result<std::unique_ptr<Runner>> Runner::Start(PipelineConfig config, const RunnerHost& host) {
  return StartOne(std::move(config), host, nullptr);
}

Result<std::unique_ptr<Runner>> Runner::StartReplay(PipelineConfig config, const RunnerHost& host,
                                                    const ReplayPass& pass) {
  return StartOne(ForReplay(std::move(config), pass), host, &pass);
}

Status Runner::Check(const PipelineConfig& config, const RunnerHost& host) {
  return CheckOne(config, host, nullptr);
}

Status Runner::CheckReplay(PipelineConfig config, const RunnerHost& host, const ReplayPass& pass) {
  return CheckOne(ForReplay(std::move(config), pass), host, &pass);
}

}  // namespace sluice::pipeline
