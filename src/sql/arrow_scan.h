#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "sql/duckdb_api.h"
#include "sql/engine.h"

// Arrow batches as a table of the engine: a table function over batches that we retain, read again by every
// query.
namespace sluice::sql {

// A table: fixed columns, and batches that may be exchanged between queries (never during one).
struct ScanTable {
  std::shared_ptr<arrow::Schema> schema;
  RecordBatches batches;
  int max_threads = 1;
};

// Tables by number. Thread-safe: the engine's threads look tables up. Must outlive the database it is
// registered with.
class ScanRegistry {
 public:
  ScanRegistry() = default;
  ScanRegistry(const ScanRegistry&) = delete;
  ScanRegistry& operator=(const ScanRegistry&) = delete;

  int64_t Add(std::shared_ptr<ScanTable> table) EXCLUDES(mutex_);
  std::shared_ptr<ScanTable> Find(int64_t id) EXCLUDES(mutex_);
  // Makes `__sl_scan(id)` known to the connection's database.
  Status Register(duckdb_connection connection);
  duckdb_connection connection() const { return connection_; }

 private:
  Mutex mutex_;
  std::vector<std::shared_ptr<ScanTable>> tables_ GUARDED_BY(mutex_);
  duckdb_connection connection_ = nullptr;
};

// Refuses what the engine cannot hold exactly, naming the column: decimals above 38 digits, Float16,
// durations.
Status CheckScannable(const arrow::Schema& schema);

}  // namespace sluice::sql
