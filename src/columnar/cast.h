#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace arrow {
class Array;
class DataType;
}  // namespace arrow

namespace sluice::columnar {

class TimePattern;

// A cell that does not fit its column.
struct BadCell {
  size_t row = 0;  // within the cells of the call
  std::string reason;
};

struct CastOptions {
  std::shared_ptr<const TimePattern> date_pattern;       // absent = RFC 3339
  std::shared_ptr<const TimePattern> timestamp_pattern;  // absent = RFC 3339
  bool raw_times =
      false;  // integers in timestamp and time columns are values in the column's unit (odf-ingest.md 1.7)
};

inline constexpr std::string_view kNullInRequired = "null in a non-nullable column";

// One typed column grown from cells of text. A cell without data (`data() == nullptr`) is null. Confined to
// one thread.
class TextCaster {
 public:
  // Errors: kUnsupported for types that text cannot give (lists, structs, maps, binary, durations).
  static Result<std::unique_ptr<TextCaster>> Make(const std::shared_ptr<arrow::DataType>& type, bool nullable,
                                                  const CastOptions& options = {});
  virtual ~TextCaster() = default;

  // Appends cells[0], cells[stride], ...: `count` of them. A cell that does not fit is appended as null and
  // added to `bad`, which stays in row order within one call. The texts are not kept.
  virtual Status Append(const std::string_view* cells, size_t stride, size_t count,
                        std::vector<BadCell>* bad) = 0;

  // The column so far; the caster is empty afterwards.
  virtual Result<std::shared_ptr<arrow::Array>> Finish() = 0;
};

// Validity bytes (0 = null) as an Arrow bitmap; null when nothing is null. `null_count` receives the zeros.
class ValidityBytes {
 public:
  // Room for `count` more, valid until set otherwise; the first of them.
  uint8_t* Extend(size_t count) {
    const size_t base = bytes_.size();
    bytes_.resize(base + count, 1);
    return bytes_.data() + base;
  }
  size_t size() const { return bytes_.size(); }
  // The bitmap packed into bytes, empty when all are valid; clears.
  std::vector<uint8_t> TakeBitmap(int64_t* null_count);

 private:
  std::vector<uint8_t> bytes_;
};

}  // namespace sluice::columnar
