#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "columnar/reject.h"

namespace arrow {
class RecordBatch;
}  // namespace arrow

namespace sluice::read {

bool IsUtf8(std::string_view text);

// Foreign text made fit for messages and the rejects file: bytes that are not UTF-8 become U+FFFD.
std::string Printable(std::string_view text);
// The same, cut to 200 bytes with an ellipsis.
std::string Shortened(std::string_view text);

// Rejects of one piece of input, at most one per record; the first one of a record counts.
class RejectList {
 public:
  // `record` and `line` count from the start of the piece, 0-based; -1 = no line.
  void Add(int64_t record, int64_t line, std::string column, std::string_view value, std::string reason,
           std::string_view raw);
  // Marks row `row` of the batch as one to drop; true the first time.
  bool MarkRow(int64_t row);

  const std::vector<int64_t>& rows() const { return rows_; }
  bool empty() const { return rejects_.empty(); }
  // In order of records.
  std::vector<columnar::Reject> Take();

 private:
  std::vector<columnar::Reject> rejects_;
  std::vector<int64_t> rows_;  // sorted
};

// `batch` without the rows in `rows` (sorted).
Result<std::shared_ptr<arrow::RecordBatch>> DropRows(const std::shared_ptr<arrow::RecordBatch>& batch,
                                                     const std::vector<int64_t>& rows);

}  // namespace sluice::read
