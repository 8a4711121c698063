#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

#include "pipeline/connector.h"
#include "pipeline/intake_gate.h"
#include "pipeline/intake_queue.h"
#include "pipeline/metrics.h"
#include "pipeline/receipt_internal.h"

namespace sluice::pipeline {

class Circuit;
class DeadLetters;
class PositionKeeper;
class Runner;

// The pipeline as one of its ingestors sees it. Thread-safe.
class IngestorPort final : public Intake {
 public:
  struct Parts {
    const Runner& runner;
    IntakeQueue& queue;
    PositionKeeper& positions;
    Circuit& circuit;
    TenantBuckets& buckets;
    DeadLetters& dead_letters;
    PipelineMetrics& metrics;
    StageCounters& counters;
    Environment& environment;
    const TenantOptions& tenants;
    const std::stop_source& abort;
    std::function<void()> end;  // for End
  };
  // `tells_writer`: it keeps positions, and has to hear of those behind refused records.
  IngestorPort(Parts parts, size_t number, std::string type, bool has_positions, bool is_behind_spool,
               bool tells_writer);

  Status Offer(Delivery delivery, std::chrono::milliseconds patience) override;
  void End() override { parts_.end(); }
  // The ingestor was stopped: it hears no more outcomes.
  void Close() { gate_->Close(); }
  // Age of the oldest delivery without all its outcomes.
  Millis lag() const;

 private:
  struct Pending {
    mutable std::mutex mutex;
    uint64_t next = 1;
    std::map<uint64_t, std::chrono::steady_clock::time_point> since;
  };

  uint64_t Register();
  void Unregister(uint64_t started);
  // To the dead letters, with their outcomes. Whether they are there.
  bool RefuseRows(const Admitted& admitted, const Delivery& delivery, Receipt* receipt);
  // Behind what came before it: a delivery of which nothing goes to the writer was dealt with.
  void TellWriter(const std::string& flow, const Delivery& delivery, std::shared_ptr<Receipt> receipt);
  Receipt::Done OnDone(Delivery* delivery, uint64_t started, uint64_t ticket, int64_t queued_rows,
                       uint64_t queued_bytes);

  const Parts parts_;
  const size_t number_;
  const std::string type_;
  const bool has_positions_;
  const bool is_behind_spool_;
  const bool tells_writer_;
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  Pending pending_;
};

}  // namespace sluice::pipeline
