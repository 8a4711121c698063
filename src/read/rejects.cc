#include "read/rejects.h"

#include <arrow/array/array_primitive.h>
#include <arrow/buffer.h>
#include <arrow/compute/api_vector.h>
#include <arrow/compute/initialize.h>
#include <arrow/datum.h>
#include <arrow/record_batch.h>
#include <arrow/util/bit_util.h>
#include <simdjson.h>

#include <algorithm>

#include "columnar/arrow_status.h"

namespace sluice::read {
namespace {

constexpr size_t kShownBytes = 200;

// Length of the valid UTF-8 sequence at `text`, 0 when there is none.
size_t SequenceLength(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t length = lead < 0x80   ? 1
                        : lead < 0xc2 ? 0
                        : lead < 0xe0 ? 2
                        : lead < 0xf0 ? 3
                        : lead < 0xf5 ? 4
                                      : 0;
  if (length == 0 || length > text.size() || !IsUtf8(text.substr(0, length))) return 0;
  return length;
}

}  // namespace

bool IsUtf8(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

std::string Printable(std::string_view text) {
  if (IsUtf8(text)) return std::string(text);
  std::string clean;
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    clean += length == 0 ? std::string_view("\xef\xbf\xbd") : text.substr(0, length);
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return clean;
}

std::string Shortened(std::string_view text) {
  if (text.size() <= kShownBytes) return Printable(text);
  size_t end = kShownBytes - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return Printable(text.substr(0, end)) + "...";
}

void RejectList::Add(int64_t record, int64_t line, std::string column, std::string_view value,
                     std::string reason, std::string_view raw) {
  columnar::Reject reject;
  reject.record = record + 1;
  reject.line = line + 1;
  reject.column = std::move(column);
  reject.value = Shortened(value);
  reject.reason = std::move(reason);
  reject.raw = Printable(raw);
  rejects_.push_back(std::move(reject));
}

bool RejectList::MarkRow(int64_t row) {
  if (rows_.empty() || rows_.back() < row) {
    rows_.push_back(row);
    return true;
  }
  const auto at = std::lower_bound(rows_.begin(), rows_.end(), row);
  if (*at == row) return false;
  rows_.insert(at, row);
  return true;
}

std::vector<columnar::Reject> RejectList::Take() {
  std::stable_sort(rejects_.begin(), rejects_.end(),
                   [](const columnar::Reject& a, const columnar::Reject& b) { return a.record < b.record; });
  rows_.clear();
  return std::exchange(rejects_, {});
}

Result<std::shared_ptr<arrow::RecordBatch>> DropRows(const std::shared_ptr<arrow::RecordBatch>& batch,
                                                     const std::vector<int64_t>& rows) {
  if (rows.empty()) return batch;
  if (static_cast<int64_t>(rows.size()) == batch->num_rows()) return batch->Slice(0, 0);
  RETURN_IF_ARROW_ERROR(arrow::compute::Initialize());
  std::vector<uint8_t> keep(static_cast<size_t>((batch->num_rows() + 7) / 8), 0xff);
  for (const int64_t row : rows) arrow::bit_util::ClearBit(keep.data(), row);
  auto mask =
      std::make_shared<arrow::BooleanArray>(batch->num_rows(), arrow::Buffer::FromVector(std::move(keep)));
  ASSIGN_OR_RETURN_ARROW(arrow::Datum kept, arrow::compute::Filter(arrow::Datum(batch), arrow::Datum(mask)));
  return kept.record_batch();
}

}  // namespace sluice::read
