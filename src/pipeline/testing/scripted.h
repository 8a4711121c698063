#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/config.h"
#include "pipeline/connector.h"
#include "pipeline/registry.h"
#include "pipeline/runner.h"

// Connectors that do what a test says.
namespace sluice::pipeline::testing {

// Records as NDJSON.
Batch BatchOf(std::string_view ndjson);
// `{"uuid":"<prefix>0","data":...}`, ...
Batch Numbered(std::string_view prefix, int from, int to, std::string_view tenant = "");

// What a writer of a test has, and what it answers. Thread-safe.
class Store {
 public:
  // Called for each Write with its number from 1; nothing = accept all. May block.
  std::function<Result<Outcomes>(const Batch&, int call)> on_write;
  Status open_status;
  std::atomic<bool> is_over = false;  // it never writes again
  int concurrency = 1;
  int64_t preferred_rows = 10'000;
  std::optional<Places> places;

  // Accepts the rows: uuid -> how often, data, unknown fields.
  Outcomes Take(const Batch& batch);
  std::map<std::string, int> counts() const;
  std::vector<std::string> order() const;
  std::vector<std::string> extras() const;
  std::vector<int64_t> batch_sizes() const;
  int calls() const;

 private:
  friend class StoreWriter;
  mutable std::mutex mutex_;
  std::map<std::string, int> counts_;
  std::vector<std::string> order_;
  std::vector<std::string> extras_;
  std::vector<int64_t> batch_sizes_;
  int calls_ = 0;
};

// An ingestor of a test: what it was given.
struct Door {
  Intake* intake = nullptr;
  Places from;
  std::atomic<bool> is_finished = false;
  std::function<Status(std::chrono::milliseconds)> on_stop;

  // Offers and waits for the outcomes; a failed offer gives one outcome kFailed with the error.
  Outcomes Send(Batch batch, std::string tenant = "",
                std::chrono::milliseconds patience = std::chrono::seconds(10));
  // Offers; `done` may come later.
  Status Offer(Batch batch, std::function<void(const Outcomes&)> done = {}, std::string tenant = "",
               std::chrono::milliseconds patience = std::chrono::milliseconds(0));
};

// Registers `ingestor` and `ordered_ingestor` (with positions), the writers `store` and `graveyard`, and the
// processor `script`.
class ScriptedConnectors {
 public:
  ScriptedConnectors();
  Registry registry;
  Door door;
  Store store;
  Store graveyard;
  std::function<Result<Batch>(Batch, std::vector<Processor::Reject>*)> on_process;
  std::vector<std::string> notes() const;

  // `yaml` without name, ingestors and writer when it does not mention them. Relative paths are from
  // `folder`.
  Result<std::unique_ptr<Runner>> Start(const std::string& yaml, const std::string& folder = "/nonexistent");
  RunnerHost host();

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> notes_;
  SystemClock clock_;
};

// Waits at most 20 s.
bool Eventually(const std::function<bool()>& holds);

}  // namespace sluice::pipeline::testing
