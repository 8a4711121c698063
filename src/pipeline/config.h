#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "pipeline/registry.h"
#include "pipeline/settings.h"
#include "pipeline/tree.h"

namespace sluice::pipeline {

using Millis = std::chrono::milliseconds;

// What may be in a pipeline at a time: from being handed over until its outcome is known.
struct QueueOptions {
  int64_t max_records = 100'000;
  uint64_t max_bytes = 64 << 20;
};

struct BatchOptions {
  int64_t max_records = 0;  // 0 = as many as the writer likes
  uint64_t max_bytes = 16 << 20;
  Millis max_age{0};  // how long an idle writer waits for more
};

struct RetryOptions {
  int64_t attempts = 10;  // then the upstream is told to deliver again
  bool is_exponential = true;
  Millis initial{200};
  Millis max{30'000};
};

struct CircuitOptions {
  int64_t failures = 5;  // in a row, of whole batches: then nothing more is taken until one succeeds
  Millis pause{5000};    // until a few records are let through to see
};

struct SpoolOptions {
  std::string path;
  uint64_t max_size = 1 << 30;
};

struct TenantLimits {
  double records_per_second = 0;  // 0 = no limit
  uint64_t bytes_per_second = 0;
};

struct TenantOptions {
  TenantLimits all;  // of each tenant that is not named
  std::map<std::string, TenantLimits> named;
  std::vector<std::string> known;  // when given, records of others are rejected
};

// One pipeline as its file describes it (pipelines.md 3).
struct PipelineConfig {
  struct Step {
    Settings settings;
    Tree when;  // kNull = for all records
  };

  std::string name;
  std::string file;
  std::vector<Settings> ingestors;
  std::vector<Step> processors;
  Settings writer;
  std::optional<Settings> dead_letter;
  bool keeps_rejects = false;  // the file has no `dead_letter`: a file in `state` that is made when needed
  std::optional<Settings> last_resort;  // that file, for what the writer of dead letters refuses
  std::optional<SpoolOptions> spool;
  QueueOptions queue;
  BatchOptions batch;
  RetryOptions retry;
  CircuitOptions circuit;
  TenantOptions tenants;
  Millis shutdown{10'000};  // for finishing what was taken
  std::string state;        // folder for what must outlive the process, relative to the file
  std::vector<std::string> secrets;
};

// The options of `queue`, `batch`, ..., for documents.
struct OptionGroup {
  std::string_view name;
  std::string_view summary;
  const std::vector<Option>* options;
};
std::vector<OptionGroup> PipelineOptionGroups();

// Errors: kInvalidArgument `file:line: ...`; kNotFound for a missing file.
Result<PipelineConfig> LoadConfig(const std::string& path, const Registry& registry, const Expander& expand);
// The same of a text; `path` names it in errors.
Result<PipelineConfig> ReadConfig(std::string_view yaml, const std::string& path, const Registry& registry,
                                  const Expander& expand);

}  // namespace sluice::pipeline
