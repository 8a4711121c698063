#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "sql/engine.h"

namespace sluice::sql {

// Query steps in plain form, so that this module needs no ODF types.
struct TransformSpec {
  struct Step {
    std::string alias;  // empty for the last
    std::string query;
  };
  std::string engine;  // datafusion, spark, flink: chooses the dialect
  std::vector<Step> steps;
};

// A source's preprocess query (odf-ingest.md 2, decisions.md 9): prepared once for an input schema, run over
// batches as table `input`. Runs on a fenced engine of its own. Confined to one thread.
class Preprocess {
 public:
  // Errors: kInvalidArgument for what does not parse or bind (naming step, position and choices);
  // kUnsupported for functions and syntax outside the dialect's table, naming function and engine.
  static Result<std::unique_ptr<Preprocess>> Prepare(const TransformSpec& spec,
                                                     std::shared_ptr<arrow::Schema> input,
                                                     const Limits& limits);
  virtual ~Preprocess() = default;

  // Result columns; nullability by odf-ingest.md 2.3. Timestamps may have any unit; names keep their exact
  // case.
  virtual std::shared_ptr<arrow::Schema> schema() const = 0;
  // True when the query is only projection, filter and scalar functions: running it over each batch of an
  // input gives the same rows as running it over the whole.
  virtual bool is_row_wise() const = 0;
  // Runs over all the rows given. Errors: kInvalidRecords for a run-time failure such as a bad cast;
  // kTimeout; kResourceExhausted; kCancelled.
  virtual Result<RecordBatches> Run(const RecordBatches& input, std::stop_token stop = {}) = 0;
};

// Dialect checks that need no input schema: engine known, statement is one SELECT, functions in the engine's
// table. Run when a source is added (decisions.md 7).
Status CheckTransform(const TransformSpec& spec);

// Whether the query is only projection, filter and scalar functions, each row of its input becoming one row
// at most: the rows of many inputs can then be queried as one input. Errors: those of CheckTransform.
Result<bool> IsRowByRow(const TransformSpec& spec);

// The table behind the dialects as Markdown: docs/dialect.md is generated from it.
std::string DialectMarkdown();

}  // namespace sluice::sql
