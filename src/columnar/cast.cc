#include "columnar/cast.h"

#include <arrow/array/data.h>
#include <arrow/array/util.h>
#include <arrow/buffer_builder.h>
#include <arrow/type.h>
#include <arrow/util/decimal.h>
#include <arrow/util/float16.h>

#include <cstring>
#include <limits>

#include "columnar/arrow_status.h"
#include "columnar/text_parse.h"
#include "columnar/time_pattern.h"

namespace sluice::columnar {
namespace {

using Outcome = ParseOutcome;

// A column of fixed-width values. `Parse` is called as Outcome(std::string_view, T*).
template <class T, class Parse>
class FixedCaster final : public TextCaster {
 public:
  FixedCaster(std::shared_ptr<arrow::DataType> type, bool nullable, std::string what, Parse parse)
      : type_(std::move(type)), nullable_(nullable), what_(std::move(what)), parse_(std::move(parse)) {}

  Status Append(const std::string_view* cells, size_t stride, size_t count,
                std::vector<BadCell>* bad) override {
    RETURN_IF_ARROW_ERROR(values_.Reserve(static_cast<int64_t>(count * sizeof(T))));
    T* out = reinterpret_cast<T*>(values_.mutable_data() + values_.length());
    uint8_t* valid = validity_.Extend(count);
    for (size_t i = 0; i < count; ++i) {
      const std::string_view cell = cells[i * stride];
      if (cell.data() == nullptr) {
        out[i] = T{};
        valid[i] = 0;
        if (!nullable_) bad->push_back({i, std::string(kNullInRequired)});
        continue;
      }
      const Outcome outcome = parse_(cell, &out[i]);
      if (outcome != Outcome::kOk) [[unlikely]] {
        out[i] = T{};
        valid[i] = 0;
        bad->push_back({i, (outcome == Outcome::kOutOfRange ? "out of range of " : "not a valid ") + what_});
      }
    }
    values_.UnsafeAdvance(static_cast<int64_t>(count * sizeof(T)));
    return {};
  }

  Result<std::shared_ptr<arrow::Array>> Finish() override {
    const auto length = static_cast<int64_t>(validity_.size());
    int64_t null_count = 0;
    std::shared_ptr<arrow::Buffer> bitmap;
    if (auto bits = validity_.TakeBitmap(&null_count); null_count != 0)
      bitmap = arrow::Buffer::FromVector(std::move(bits));
    std::shared_ptr<arrow::Buffer> values;
    RETURN_IF_ARROW_ERROR(values_.Finish(&values));
    return arrow::MakeArray(arrow::ArrayData::Make(type_, length, {bitmap, values}, null_count));
  }

 private:
  std::shared_ptr<arrow::DataType> type_;
  bool nullable_;
  std::string what_;
  Parse parse_;
  arrow::BufferBuilder values_;
  ValidityBytes validity_;
};

class BoolCaster final : public TextCaster {
 public:
  explicit BoolCaster(bool nullable) : nullable_(nullable) {}

  Status Append(const std::string_view* cells, size_t stride, size_t count,
                std::vector<BadCell>* bad) override {
    uint8_t* valid = validity_.Extend(count);
    uint8_t* out = values_.Extend(count);
    for (size_t i = 0; i < count; ++i) {
      const std::string_view cell = cells[i * stride];
      bool value = false;
      const bool null = cell.data() == nullptr;
      valid[i] = !null && ParseBool(cell, &value);
      out[i] = value;
      if (valid[i]) continue;
      if (!null) {
        bad->push_back({i, "not a valid Bool"});
      } else if (!nullable_) {
        bad->push_back({i, std::string(kNullInRequired)});
      }
    }
    return {};
  }

  Result<std::shared_ptr<arrow::Array>> Finish() override {
    const auto length = static_cast<int64_t>(validity_.size());
    int64_t null_count = 0, falses = 0;
    auto bits = validity_.TakeBitmap(&null_count);
    auto values = values_.TakeBitmap(&falses);
    if (falses == 0) values.assign(static_cast<size_t>((length + 7) / 8), 0xff);
    std::shared_ptr<arrow::Buffer> bitmap;
    if (null_count != 0) bitmap = arrow::Buffer::FromVector(std::move(bits));
    return arrow::MakeArray(arrow::ArrayData::Make(
        arrow::boolean(), length, {bitmap, arrow::Buffer::FromVector(std::move(values))}, null_count));
  }

 private:
  bool nullable_;
  ValidityBytes validity_, values_;
};

class StringCaster final : public TextCaster {
 public:
  StringCaster(std::shared_ptr<arrow::DataType> type, bool nullable)
      : type_(std::move(type)), nullable_(nullable) {}

  Status Append(const std::string_view* cells, size_t stride, size_t count,
                std::vector<BadCell>* bad) override {
    size_t bytes = 0;
    for (size_t i = 0; i < count; ++i) bytes += cells[i * stride].size();
    if (static_cast<size_t>(data_.length()) + bytes > std::numeric_limits<int32_t>::max()) {
      return Error(ErrorCode::kResourceExhausted, "more than 2 GiB of text in one batch of a column");
    }
    RETURN_IF_ARROW_ERROR(data_.Reserve(static_cast<int64_t>(bytes)));
    RETURN_IF_ARROW_ERROR(ends_.Reserve(static_cast<int64_t>((count + 1) * sizeof(int32_t))));
    if (ends_.length() == 0) {
      const int32_t zero = 0;
      ends_.UnsafeAppend(&zero, sizeof zero);
    }
    auto* end = reinterpret_cast<int32_t*>(ends_.mutable_data() + ends_.length());
    uint8_t* out = data_.mutable_data() + data_.length();
    auto position = static_cast<int32_t>(data_.length());
    uint8_t* valid = validity_.Extend(count);
    for (size_t i = 0; i < count; ++i) {
      const std::string_view cell = cells[i * stride];
      if (cell.data() == nullptr) {
        valid[i] = 0;
        if (!nullable_) bad->push_back({i, std::string(kNullInRequired)});
      } else {
        std::memcpy(out, cell.data(), cell.size());
        out += cell.size();
        position += static_cast<int32_t>(cell.size());
      }
      end[i] = position;
    }
    data_.UnsafeAdvance(static_cast<int64_t>(bytes));
    ends_.UnsafeAdvance(static_cast<int64_t>(count * sizeof(int32_t)));
    return {};
  }

  Result<std::shared_ptr<arrow::Array>> Finish() override {
    const auto length = static_cast<int64_t>(validity_.size());
    int64_t null_count = 0;
    std::shared_ptr<arrow::Buffer> bitmap, ends, data;
    if (auto bits = validity_.TakeBitmap(&null_count); null_count != 0)
      bitmap = arrow::Buffer::FromVector(std::move(bits));
    if (ends_.length() == 0) {
      const int32_t zero = 0;
      RETURN_IF_ARROW_ERROR(ends_.Append(&zero, sizeof zero));
    }
    RETURN_IF_ARROW_ERROR(ends_.Finish(&ends));
    RETURN_IF_ARROW_ERROR(data_.Finish(&data));
    return arrow::MakeArray(arrow::ArrayData::Make(type_, length, {bitmap, ends, data}, null_count));
  }

 private:
  std::shared_ptr<arrow::DataType> type_;
  bool nullable_;
  arrow::BufferBuilder ends_, data_;
  ValidityBytes validity_;
};

template <class T, class Parse>
std::unique_ptr<TextCaster> MakeFixed(const std::shared_ptr<arrow::DataType>& type, bool nullable,
                                      std::string what, Parse parse) {
  return std::make_unique<FixedCaster<T, Parse>>(type, nullable, std::move(what), std::move(parse));
}

template <class T>
std::unique_ptr<TextCaster> MakeInteger(const std::shared_ptr<arrow::DataType>& type, bool nullable,
                                        std::string what) {
  return MakeFixed<T>(type, nullable, std::move(what), [](std::string_view text, T* value) {
    using Wide = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;
    Wide wide;
    Outcome outcome;
    if constexpr (std::is_signed_v<T>) {
      outcome = ParseInt64(text, &wide);
    } else {
      outcome = ParseUInt64(text, &wide);
    }
    if (outcome != Outcome::kOk) return outcome;
    *value = static_cast<T>(wide);
    return static_cast<Wide>(*value) == wide ? Outcome::kOk : Outcome::kOutOfRange;
  });
}

// The fraction digits of a plain decimal that fits 64 bits with `scale` digits; the common case without
// Arrow's parser.
bool ParseShortDecimal(std::string_view text, int32_t scale, int64_t* value) {
  if (text.size() > 18 || scale < 0 || scale > 18 || text.empty()) return false;
  const bool negative = text[0] == '-';
  size_t i = negative || text[0] == '+' ? 1 : 0;
  const size_t first = i;
  int64_t digits = 0;
  int32_t fraction = -1;
  for (; i < text.size(); ++i) {
    const auto d = static_cast<unsigned>(static_cast<unsigned char>(text[i])) - '0';
    if (d <= 9) {
      digits = digits * 10 + d;
      if (fraction >= 0) ++fraction;
    } else if (text[i] == '.' && fraction < 0) {
      fraction = 0;
    } else {
      return false;
    }
  }
  if (fraction < 0) fraction = 0;
  if (i == first || fraction > scale || static_cast<int32_t>(text.size()) + scale - fraction > 18)
    return false;
  if (static_cast<size_t>(fraction) + 1 == text.size() - first && fraction == 0) return false;  // a lone dot
  for (; fraction < scale; ++fraction) digits *= 10;
  *value = negative ? -digits : digits;
  return true;
}

template <class Decimal>
Outcome ParseDecimalText(std::string_view text, int32_t precision, int32_t scale, Decimal* value) {
  int64_t small;
  if (ParseShortDecimal(text, scale, &small)) {
    *value = Decimal(small);
    return value->FitsInPrecision(precision) ? Outcome::kOk : Outcome::kOutOfRange;
  }
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  if (text.find_first_not_of("0123456789+-.eE") != std::string_view::npos) return Outcome::kMalformed;
  Decimal parsed;
  int32_t parsed_precision, parsed_scale;
  const auto status = Decimal::FromString(text, &parsed, &parsed_precision, &parsed_scale);
  if (!status.ok()) {
    const bool digits = text.find_first_of("0123456789") != std::string_view::npos;
    return digits && text.size() > 38 ? Outcome::kOutOfRange : Outcome::kMalformed;
  }
  // Arrow's parser wraps around silently.
  if (parsed_precision > Decimal::kMaxPrecision) return Outcome::kOutOfRange;
  // Digits that the scale cannot hold are not dropped: Rescale refuses.
  auto scaled = parsed_scale == scale ? arrow::Result<Decimal>(parsed) : parsed.Rescale(parsed_scale, scale);
  if (!scaled.ok() || !scaled->FitsInPrecision(precision)) return Outcome::kOutOfRange;
  *value = *scaled;
  return Outcome::kOk;
}

int64_t UnitsPerSecond(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      return 1;
    case arrow::TimeUnit::MILLI:
      return 1000;
    case arrow::TimeUnit::MICRO:
      return 1000000;
    case arrow::TimeUnit::NANO:
      break;
  }
  return 1000000000;
}

std::unique_ptr<TextCaster> MakeTimestamp(const std::shared_ptr<arrow::DataType>& type, bool nullable,
                                          const CastOptions& options) {
  const int64_t units = UnitsPerSecond(static_cast<const arrow::TimestampType&>(*type).unit());
  auto pattern = options.timestamp_pattern;
  const bool raw = options.raw_times;
  return MakeFixed<int64_t>(type, nullable, "Timestamp",
                            [units, pattern, raw](std::string_view text, int64_t* value) {
                              if (raw && ParseInt64(text, value) == Outcome::kOk) return Outcome::kOk;
                              Instant instant;
                              if (pattern ? !pattern->Read(text, &instant) : !ParseTimestamp(text, &instant))
                                return Outcome::kMalformed;
                              const int64_t fraction = instant.nanoseconds / (1000000000 / units);
                              if (__builtin_mul_overflow(instant.seconds, units, value) ||
                                  __builtin_add_overflow(*value, fraction, value)) {
                                return Outcome::kOutOfRange;
                              }
                              return Outcome::kOk;
                            });
}

template <class T>
std::unique_ptr<TextCaster> MakeTime(const std::shared_ptr<arrow::DataType>& type, bool nullable,
                                     arrow::TimeUnit::type unit, bool raw) {
  const int64_t units = UnitsPerSecond(unit);
  return MakeFixed<T>(type, nullable, "Time such as 10:30:00", [units, raw](std::string_view text, T* value) {
    int64_t nanos;
    if (raw && ParseInt64(text, &nanos) == Outcome::kOk) {
      *value = static_cast<T>(nanos);
      return nanos >= 0 && nanos < 86400 * units ? Outcome::kOk : Outcome::kOutOfRange;
    }
    if (!ParseTimeOfDay(text, &nanos)) return Outcome::kMalformed;
    *value = static_cast<T>(nanos / (1000000000 / units));
    return Outcome::kOk;
  });
}

std::unique_ptr<TextCaster> MakeDate(const std::shared_ptr<arrow::DataType>& type, bool nullable,
                                     const CastOptions& options) {
  auto parse = [pattern = options.date_pattern](std::string_view text, int32_t* days) {
    if (!pattern) return ParseDate(text, days) ? Outcome::kOk : Outcome::kMalformed;
    Instant instant;
    if (!pattern->Read(text, &instant)) return Outcome::kMalformed;
    *days = static_cast<int32_t>((instant.seconds - (((instant.seconds % 86400) + 86400) % 86400)) / 86400);
    return Outcome::kOk;
  };
  if (type->id() == arrow::Type::DATE32) return MakeFixed<int32_t>(type, nullable, "Date", parse);
  return MakeFixed<int64_t>(type, nullable, "Date", [parse](std::string_view text, int64_t* millis) {
    int32_t days = 0;
    const Outcome outcome = parse(text, &days);
    *millis = static_cast<int64_t>(days) * 86400000;
    return outcome;
  });
}

template <class Decimal>
std::unique_ptr<TextCaster> MakeDecimal(const std::shared_ptr<arrow::DataType>& type, bool nullable) {
  const auto& decimal = static_cast<const arrow::DecimalType&>(*type);
  const int32_t precision = decimal.precision(), scale = decimal.scale();
  return MakeFixed<Decimal>(type, nullable, fmt::format("Decimal({}, {})", precision, scale),
                            [precision, scale](std::string_view text, Decimal* value) {
                              return ParseDecimalText(text, precision, scale, value);
                            });
}

Error UnsupportedType(const arrow::DataType& type) {
  return Unsupported("type '{}' cannot be read from text", type.ToString());
}

}  // namespace

std::vector<uint8_t> ValidityBytes::TakeBitmap(int64_t* null_count) {
  size_t valid = 0;
  for (const uint8_t byte : bytes_) valid += byte;
  *null_count = static_cast<int64_t>(bytes_.size() - valid);
  std::vector<uint8_t> bits;
  if (*null_count != 0) {
    bits.assign((bytes_.size() + 7) / 8, 0);
    for (size_t i = 0; i < bytes_.size(); ++i)
      bits[i / 8] = static_cast<uint8_t>(bits[i / 8] | (bytes_[i] << (i % 8)));
  }
  bytes_.clear();
  return bits;
}

Result<std::unique_ptr<TextCaster>> TextCaster::Make(const std::shared_ptr<arrow::DataType>& type,
                                                     bool nullable, const CastOptions& options) {
  switch (type->id()) {
    case arrow::Type::BOOL:
      return std::make_unique<BoolCaster>(nullable);
    case arrow::Type::INT8:
      return MakeInteger<int8_t>(type, nullable, "Int8");
    case arrow::Type::INT16:
      return MakeInteger<int16_t>(type, nullable, "Int16");
    case arrow::Type::INT32:
      return MakeInteger<int32_t>(type, nullable, "Int32");
    case arrow::Type::INT64:
      return MakeInteger<int64_t>(type, nullable, "Int64");
    case arrow::Type::UINT8:
      return MakeInteger<uint8_t>(type, nullable, "UInt8");
    case arrow::Type::UINT16:
      return MakeInteger<uint16_t>(type, nullable, "UInt16");
    case arrow::Type::UINT32:
      return MakeInteger<uint32_t>(type, nullable, "UInt32");
    case arrow::Type::UINT64:
      return MakeInteger<uint64_t>(type, nullable, "UInt64");
    case arrow::Type::HALF_FLOAT:
      return MakeFixed<uint16_t>(type, nullable, "Float16", [](std::string_view text, uint16_t* value) {
        double wide = 0;
        const Outcome outcome = ParseDouble(text, &wide);
        *value = arrow::util::Float16::FromDouble(wide).bits();
        return outcome == Outcome::kOk && wide - wide == 0 && (wide > 65519 || wide < -65519)
                   ? Outcome::kOutOfRange
                   : outcome;
      });
    case arrow::Type::FLOAT:
      return MakeFixed<float>(type, nullable, "Float32", [](auto t, float* v) { return ParseFloat(t, v); });
    case arrow::Type::DOUBLE:
      return MakeFixed<double>(type, nullable, "Float64",
                               [](auto t, double* v) { return ParseDouble(t, v); });
    case arrow::Type::DECIMAL128:
      return MakeDecimal<arrow::Decimal128>(type, nullable);
    case arrow::Type::DECIMAL256:
      return MakeDecimal<arrow::Decimal256>(type, nullable);
    case arrow::Type::DATE32:
    case arrow::Type::DATE64:
      return MakeDate(type, nullable, options);
    case arrow::Type::TIME32:
      return MakeTime<int32_t>(type, nullable, static_cast<const arrow::Time32Type&>(*type).unit(),
                               options.raw_times);
    case arrow::Type::TIME64:
      return MakeTime<int64_t>(type, nullable, static_cast<const arrow::Time64Type&>(*type).unit(),
                               options.raw_times);
    case arrow::Type::TIMESTAMP:
      return MakeTimestamp(type, nullable, options);
    case arrow::Type::STRING:
      return std::make_unique<StringCaster>(type, nullable);
    default:
      return UnsupportedType(*type);
  }
}

}  // namespace sluice::columnar
