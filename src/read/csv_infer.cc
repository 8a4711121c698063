#include "read/csv_infer.h"

#include <arrow/type.h>

#include <bit>

#include "columnar/text_parse.h"
#include "columnar/time_pattern.h"

namespace sluice::read {
namespace {

// Bits.
constexpr uint32_t kString = 1, kBool = 2, kInt = 4, kFloat = 8, kDate = 16, kSeconds = 32, kMillis = 64,
                   kMicros = 128, kNanos = 256;
constexpr uint32_t kTimestamps = kSeconds | kMillis | kMicros | kNanos;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

size_t CountDigits(std::string_view text, size_t from) {
  size_t end = from;
  while (end < text.size() && IsDigit(text[end])) ++end;
  return end - from;
}

// `-?` digits with a dot, an exponent or both; kInt for digits alone, 0 for anything else.
uint32_t NumberClass(std::string_view text) {
  size_t i = text.starts_with('-') ? 1 : 0;
  const size_t whole = CountDigits(text, i);
  i += whole;
  if (i == text.size() && whole > 0) {
    int64_t value;
    return text.size() < 19 || columnar::ParseInt64(text, &value) == columnar::ParseOutcome::kOk ? kInt
                                                                                                 : kString;
  }
  size_t fraction = 0;
  if (i < text.size() && text[i] == '.') {
    fraction = CountDigits(text, ++i);
    i += fraction;
  }
  if (whole + fraction == 0) return 0;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
    const size_t exponent = CountDigits(text, i);
    if (exponent == 0) return 0;
    i += exponent;
  }
  return i == text.size() ? kFloat : 0;
}

// True when `text` starts like `shape`, where 0 stands for a digit and T for T or space.
bool StartsLike(std::string_view text, std::string_view shape) {
  if (text.size() < shape.size()) return false;
  for (size_t i = 0; i < shape.size(); ++i) {
    const bool fits = shape[i] == '0'   ? IsDigit(text[i])
                      : shape[i] == 'T' ? text[i] == 'T' || text[i] == ' '
                                        : text[i] == shape[i];
    if (!fits) return false;
  }
  return true;
}

uint32_t TimeClass(std::string_view text) {
  constexpr std::string_view kDateShape = "0000-00-00", kTimeShape = "0000-00-00T00:00:00";
  if (text.size() == kDateShape.size() && StartsLike(text, kDateShape)) return kDate;
  if (!StartsLike(text, kTimeShape)) return 0;
  text.remove_prefix(kTimeShape.size());
  if (text.empty()) return kSeconds;
  if (text[0] != '.') return IsDigit(text[0]) ? 0 : kSeconds;
  const size_t digits = CountDigits(text, 1);
  if (digits == 0 || digits > 9) return 0;
  return digits <= 3 ? kMillis : digits <= 6 ? kMicros : kNanos;
}

uint32_t ClassOf(std::string_view text, const columnar::CastOptions& options) {
  if (text.starts_with('"')) return kString;
  bool flag;
  if (columnar::ParseBool(text, &flag)) return kBool;
  Instant instant;
  if (options.date_pattern && options.date_pattern->Read(text, &instant)) return kDate;
  if (options.timestamp_pattern && options.timestamp_pattern->Read(text, &instant)) return kMillis;
  if (const uint32_t number = NumberClass(text)) return number;
  if (uint32_t time = TimeClass(text)) {
    if (time == kDate && options.date_pattern) time = 0;
    if ((time & kTimestamps) != 0 && options.timestamp_pattern) time = 0;
    return time == 0 ? kString : time;
  }
  if (text == "NaN" || text == "nan" || text == "inf" || text == "-inf") return kFloat;
  return kString;
}

std::shared_ptr<arrow::DataType> TypeOf(uint32_t one_class) {
  switch (one_class) {
    case kBool:
      return arrow::boolean();
    case kInt:
      return arrow::int64();
    case kFloat:
      return arrow::float64();
    case kDate:
      return arrow::date32();
    case kSeconds:
      return arrow::timestamp(arrow::TimeUnit::SECOND);
    case kMillis:
      return arrow::timestamp(arrow::TimeUnit::MILLI);
    case kMicros:
      return arrow::timestamp(arrow::TimeUnit::MICRO);
    case kNanos:
      return arrow::timestamp(arrow::TimeUnit::NANO);
    default:
      return arrow::utf8();
  }
}

}  // namespace

void CsvTypeGuess::Add(std::string_view cell, const columnar::CastOptions& options) {
  if (cell.data() != nullptr) classes_ |= ClassOf(cell, options);
}

std::shared_ptr<arrow::DataType> CsvTypeGuess::type() const {
  if (classes_ == (kInt | kFloat)) return arrow::float64();
  const bool times_only = classes_ != 0 && (classes_ & ~(kDate | kTimestamps)) == 0;
  if (times_only) return TypeOf(std::bit_floor(classes_));
  return std::has_single_bit(classes_) ? TypeOf(classes_) : arrow::utf8();
}

}  // namespace sluice::read
