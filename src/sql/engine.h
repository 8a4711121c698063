#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

// DuckDB over Arrow data. This module alone includes it. Two kinds of instance (decisions.md 8): fenced, for
// queries of manifests and users (no files, no network, no extensions, configuration locked, memory and time
// limited); trusted, for our own files.
namespace sluice::sql {

using RecordBatches = std::vector<std::shared_ptr<arrow::RecordBatch>>;

struct Limits {
  int64_t memory_bytes = int64_t{1} << 30;
  int threads = 2;
  int64_t time_ms = 0;       // 0 = none; else a watchdog interrupts the query: kTimeout
  std::string spill_folder;  // temporary files of sorts and joins; empty = none
};

// Gives the next batch, null at the end.
using BatchSource = std::function<Result<std::shared_ptr<arrow::RecordBatch>>()>;

// A running query's result, streamed. Confined to one thread; must not outlive its engine.
class QueryResult {
 public:
  virtual ~QueryResult() = default;
  virtual std::shared_ptr<arrow::Schema> schema() const = 0;
  // Null at the end. Batches of about 64 Ki rows.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Next() = 0;
};

// One DuckDB instance and a connection. Confined to one thread at a time.
class Engine {
 public:
  // `dialect`: datafusion, spark or flink, whose tables then say which functions there are and what they
  // give; `duckdb` or empty: the engine's own. Errors: kInvalidArgument for another name, listing these.
  static Result<std::unique_ptr<Engine>> OpenFenced(const Limits& limits, const std::string& dialect = "");
  // May read the Parquet files it is given by `RegisterParquet`; runs our own statements only.
  static Result<std::unique_ptr<Engine>> OpenTrusted(const Limits& limits);
  virtual ~Engine() = default;

  // Makes `batches` readable as table `name` (exact case). Replayable. Replaces an earlier table of that
  // name.
  virtual Status RegisterBatches(const std::string& name, std::shared_ptr<arrow::Schema> schema,
                                 RecordBatches batches) = 0;
  // A table over Parquet files on disk, in that order, columns by name, missing ones NULL. On a fenced
  // engine: must be called before the first Query; these files and no others may be read. `schema` gives
  // names and types of the table, also when there is no file.
  virtual Status RegisterParquet(const std::string& name, std::shared_ptr<arrow::Schema> schema,
                                 std::vector<std::string> paths) = 0;
  // Runs one SELECT (checked by its prepared type on a fenced engine). Identifiers keep their case.
  // Single-quoted table names are accepted after FROM and JOIN. Errors: kInvalidArgument with the engine's
  // message and position; kTimeout; kCancelled; kResourceExhausted.
  virtual Result<std::unique_ptr<QueryResult>> Query(const std::string& statement,
                                                     std::stop_token stop = {}) = 0;
};

}  // namespace sluice::sql
