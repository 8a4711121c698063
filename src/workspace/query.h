#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "sql/engine.h"
#include "workspace/workspace.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace sluice::workspace {

using BatchVisitor = std::function<Status(const arrow::RecordBatch&)>;

// Rows of a dataset between two offsets (inclusive), ascending; reads only the slices that hold them. `start`
// first tells the schema: null when the dataset has none yet.
Status ReadRows(const dataset::Dataset& dataset, uint64_t first_offset, uint64_t last_offset,
                const std::function<Status(const std::shared_ptr<arrow::Schema>&)>& start,
                const BatchVisitor& visit);

// A user's query over the datasets whose names occur in `statement`, on a fenced engine: it can read their
// slices and nothing else. Datasets without data are empty tables. The result must not outlive `engine`.
struct QuerySession {
  std::vector<std::unique_ptr<storage::FileLock>> holds;  // of the datasets' files
  std::unique_ptr<sql::Engine> engine;
  std::unique_ptr<sql::QueryResult> result;
};
struct QueryOptions {
  sql::Limits limits;
  std::string dialect;  // as sql::Engine::OpenFenced takes it
  std::stop_token stop;
};
Result<QuerySession> RunQuery(const Workspace& workspace, const std::string& statement,
                              const QueryOptions& options);
// The same over `entries` alone, which are all that the user may read: no other dataset exists for it.
Result<QuerySession> RunQueryOver(const Workspace& workspace, const std::vector<Entry>& entries,
                                  const std::string& statement, const QueryOptions& options);

// The dataset's Arrow schema; null when it has none yet.
Result<std::shared_ptr<arrow::Schema>> ArrowSchemaOf(const dataset::Dataset& dataset);

// An Arrow schema as JSON: {"fields": [{"name", "nullable", "type": {"name", ...}, "children"}]}.
std::string ArrowSchemaJson(const arrow::Schema& schema);

}  // namespace sluice::workspace
