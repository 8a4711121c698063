#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

// Record batches as people and programs want them printed (odf-ingest.md 7, "Output formats").
namespace sluice::columnar {

enum class OutputFormat { kTable, kCsv, kJson, kNdJson, kJsonSoa, kJsonAoa, kParquet };

// Errors: kInvalidArgument listing the names.
Result<OutputFormat> ParseOutputFormat(std::string_view name);
std::string_view NameOf(OutputFormat format);

// Receives text or bytes; false ends the output (closed pipe).
using Sink = std::function<Status(std::string_view)>;

struct FormatOptions {
  std::string op_column;       // shown as +A -R -C +C in tables, a number elsewhere; empty = no such column
  size_t max_cell_width = 60;  // tables only, 0 = unlimited
};

// Writes batches one by one; a table is laid out at the end (its rows are kept), the others stream.
// Box-drawing table, centred headers, right-aligned cells, timestamps `2050-01-02T03:04:05Z` with a fraction
// only if there is one.
class RowWriter {
 public:
  static Result<std::unique_ptr<RowWriter>> Make(OutputFormat format, std::shared_ptr<arrow::Schema> schema,
                                                 Sink sink, FormatOptions options = {});
  virtual ~RowWriter() = default;
  virtual Status Write(const arrow::RecordBatch& batch) = 0;
  virtual Status Finish() = 0;
};

}  // namespace sluice::columnar
