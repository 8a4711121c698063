#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "sql/engine.h"

namespace sluice::sql {

// One SELECT in the engine's own dialect, planned once and run over batch after batch as a table. Runs on a
// fenced engine of its own. Confined to one thread.
class BatchQuery {
 public:
  // Errors: kInvalidArgument for what does not parse, bind, or is no single SELECT, with the position;
  // kPermissionDenied for what the fence keeps out.
  static Result<std::unique_ptr<BatchQuery>> Prepare(const std::string& statement, const std::string& table,
                                                     std::shared_ptr<arrow::Schema> schema,
                                                     const Limits& limits);
  virtual ~BatchQuery() = default;

  // Of the result; names keep their case.
  virtual std::shared_ptr<arrow::Schema> schema() const = 0;
  // Runs over all the rows given, which have the schema of Prepare. Errors: kInvalidRecords for a run-time
  // failure such as a bad cast; kTimeout; kResourceExhausted; kCancelled.
  virtual Result<RecordBatches> Run(const RecordBatches& input, std::stop_token stop = {}) = 0;
};

}  // namespace sluice::sql
