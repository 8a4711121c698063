#include <arrow/array.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>
#include <arrow/util/float16.h>

#include <charconv>
#include <cmath>

#include "base/instant.h"
#include "columnar/cell_text_internal.h"

namespace sluice::columnar {
namespace {

constexpr int64_t kSecondsPerDay = 86'400;

struct Unit {
  int64_t per_second;
  int digits;
};

Unit UnitOf(arrow::TimeUnit::type unit) {
  static constexpr Unit kUnits[] = {{1, 0}, {1'000, 3}, {1'000'000, 6}, {1'000'000'000, 9}};
  return kUnits[static_cast<int>(unit)];
}

int64_t FloorDiv(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

template <class Number>
void AppendNumber(Number value, std::string* out) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value).ptr;
  out->append(buffer, end);
}

// Shortest text that reads back as the same number; `.0` keeps a float recognisable as one.
template <class Float>
void AppendFloat(Float value, CellStyle style, std::string* out) {
  if (!std::isfinite(value)) {
    if (style == CellStyle::kJson) {
      out->append("null");
    } else {
      out->append(std::isnan(value) ? "NaN" : value > 0 ? "inf" : "-inf");
    }
    return;
  }
  const size_t begin = out->size();
  AppendNumber(value, out);
  if (out->find_first_of(".e", begin) == std::string::npos) out->append(".0");
}

void AppendPadded(int64_t value, int digits, std::string* out) {
  char buffer[20];
  for (int i = digits; i > 0; --i, value /= 10) buffer[i - 1] = static_cast<char>('0' + value % 10);
  out->append(buffer, static_cast<size_t>(digits));
}

void AppendDate(int64_t days, std::string* out) {
  const CivilDate date = CivilFromDays(days);
  if (date.year < 0) out->push_back('-');
  const int64_t year = std::abs(date.year);
  if (year > 9999) {
    AppendNumber(year, out);
  } else {
    AppendPadded(year, 4, out);
  }
  out->push_back('-');
  AppendPadded(date.month, 2, out);
  out->push_back('-');
  AppendPadded(date.day, 2, out);
}

// A fraction of a second in `unit`: nothing, or 3, 6 or 9 digits as needed.
void AppendFraction(int64_t fraction, Unit unit, std::string* out) {
  if (fraction == 0) return;
  int digits = unit.digits;
  while (digits > 3 && fraction % 1000 == 0) {
    fraction /= 1000;
    digits -= 3;
  }
  out->push_back('.');
  AppendPadded(fraction, digits, out);
}

void AppendTimeOfDay(int64_t value, Unit unit, std::string* out) {
  const int64_t seconds = value / unit.per_second;
  AppendPadded(seconds / 3600, 2, out);
  out->push_back(':');
  AppendPadded(seconds / 60 % 60, 2, out);
  out->push_back(':');
  AppendPadded(seconds % 60, 2, out);
  AppendFraction(value % unit.per_second, unit, out);
}

void AppendHex(std::string_view bytes, std::string* out) {
  static constexpr char kHex[] = "0123456789abcdef";
  for (const unsigned char byte : bytes) {
    out->push_back(kHex[byte >> 4]);
    out->push_back(kHex[byte & 15]);
  }
}

void AppendCsvText(std::string_view text, std::string* out) {
  const bool edge = !text.empty() && (text.front() == ' ' || text.back() == ' ');
  if (!text.empty() && !edge && text.find_first_of(",\"\r\n") == std::string_view::npos) {
    out->append(text);
    return;
  }
  out->push_back('"');
  for (const char c : text) {
    if (c == '"') out->push_back('"');
    out->push_back(c);
  }
  out->push_back('"');
}

void AppendStyledText(std::string_view text, CellStyle style, std::string* out) {
  switch (style) {
    case CellStyle::kText:
      out->append(text);
      break;
    case CellStyle::kCsv:
      AppendCsvText(text, out);
      break;
    case CellStyle::kJson:
      AppendJsonString(text, out);
      break;
  }
}

// What needs quotes in JSON and never an escape: dates, times, hexadecimal digits.
template <class Append>
void Quoted(CellStyle style, std::string* out, Append append) {
  if (style == CellStyle::kJson) out->push_back('"');
  append();
  if (style == CellStyle::kJson) out->push_back('"');
}

void AppendJsonValue(const arrow::Array& array, int64_t row, std::string* out);

void AppendJsonItems(const arrow::Array& items, int64_t begin, int64_t end, std::string* out) {
  out->push_back('[');
  for (int64_t i = begin; i < end; ++i) {
    if (i > begin) out->push_back(',');
    AppendJsonValue(items, i, out);
  }
  out->push_back(']');
}

void AppendJsonStruct(const arrow::StructArray& array, int64_t row, std::string* out) {
  out->push_back('{');
  for (int i = 0; i < array.num_fields(); ++i) {
    if (i > 0) out->push_back(',');
    AppendJsonString(array.struct_type()->field(i)->name(), out);
    out->push_back(':');
    AppendJsonValue(*array.field(i), row, out);
  }
  out->push_back('}');
}

void AppendJsonMap(const arrow::MapArray& array, int64_t row, std::string* out) {
  out->push_back('{');
  for (int64_t i = array.value_offset(row); i < array.value_offset(row + 1); ++i) {
    if (i > array.value_offset(row)) out->push_back(',');
    std::string key;
    AppendJsonValue(*array.keys(), i, &key);
    // A key is a string in JSON, whatever it was.
    if (key.starts_with('"')) {
      out->append(key);
    } else {
      AppendJsonString(key, out);
    }
    out->push_back(':');
    AppendJsonValue(*array.items(), i, out);
  }
  out->push_back('}');
}

// One value, which is not null. A nested value is JSON in every style.
class ValueAppender {
 public:
  ValueAppender(CellStyle style, std::string* out) : style_(style), out_(out) {}

  void operator()(const arrow::BooleanArray& a, int64_t i) { out_->append(a.Value(i) ? "true" : "false"); }
  void operator()(const arrow::NullArray&, int64_t) {}
  void operator()(const arrow::HalfFloatArray& a, int64_t i) {
    AppendFloat(arrow::util::Float16::FromBits(a.Value(i)).ToFloat(), style_, out_);
  }
  void operator()(const arrow::FloatArray& a, int64_t i) { AppendFloat(a.Value(i), style_, out_); }
  void operator()(const arrow::DoubleArray& a, int64_t i) { AppendFloat(a.Value(i), style_, out_); }
  void operator()(const arrow::StringArray& a, int64_t i) { AppendStyledText(a.GetView(i), style_, out_); }
  void operator()(const arrow::BinaryArray& a, int64_t i) { Hex(a.GetView(i)); }
  void operator()(const arrow::FixedSizeBinaryArray& a, int64_t i) { Hex(a.GetView(i)); }
  void operator()(const arrow::Date32Array& a, int64_t i) {
    Quoted(style_, out_, [&] { AppendDate(a.Value(i), out_); });
  }
  void operator()(const arrow::Date64Array& a, int64_t i) {
    Quoted(style_, out_, [&] { AppendDate(FloorDiv(a.Value(i), kSecondsPerDay * 1000), out_); });
  }
  void operator()(const arrow::Time32Array& a, int64_t i) { Time(a, i); }
  void operator()(const arrow::Time64Array& a, int64_t i) { Time(a, i); }
  void operator()(const arrow::TimestampArray& a, int64_t i) {
    const auto& type = static_cast<const arrow::TimestampType&>(*a.type());
    const Unit unit = UnitOf(type.unit());
    const int64_t per_day = unit.per_second * kSecondsPerDay;
    const int64_t days = FloorDiv(a.Value(i), per_day);
    Quoted(style_, out_, [&] {
      AppendDate(days, out_);
      out_->push_back('T');
      AppendTimeOfDay(a.Value(i) - days * per_day, unit, out_);
      if (!type.timezone().empty()) out_->push_back('Z');
    });
  }
  void operator()(const arrow::DurationArray& a, int64_t i) { AppendNumber(a.Value(i), out_); }
  void operator()(const arrow::Decimal32Array& a, int64_t i) { out_->append(a.FormatValue(i)); }
  void operator()(const arrow::Decimal64Array& a, int64_t i) { out_->append(a.FormatValue(i)); }
  void operator()(const arrow::Decimal128Array& a, int64_t i) { out_->append(a.FormatValue(i)); }
  void operator()(const arrow::Decimal256Array& a, int64_t i) { out_->append(a.FormatValue(i)); }
  void operator()(const arrow::ListArray& a, int64_t i) {
    Nested([&](std::string* json) {
      AppendJsonItems(*a.values(), a.value_offset(i), a.value_offset(i + 1), json);
    });
  }
  void operator()(const arrow::FixedSizeListArray& a, int64_t i) {
    Nested([&](std::string* json) {
      AppendJsonItems(*a.values(), a.value_offset(i), a.value_offset(i + 1), json);
    });
  }
  void operator()(const arrow::StructArray& a, int64_t i) {
    Nested([&](std::string* json) { AppendJsonStruct(a, i, json); });
  }
  void operator()(const arrow::MapArray& a, int64_t i) {
    Nested([&](std::string* json) { AppendJsonMap(a, i, json); });
  }
  template <class Type>
  void operator()(const arrow::NumericArray<Type>& a, int64_t i) {
    AppendNumber(a.Value(i), out_);
  }

 private:
  void Hex(std::string_view bytes) {
    if (bytes.empty() && style_ == CellStyle::kCsv) {
      out_->append("\"\"");
      return;
    }
    Quoted(style_, out_, [&] { AppendHex(bytes, out_); });
  }
  template <class Array>
  void Time(const Array& a, int64_t i) {
    const auto& type = static_cast<const arrow::TimeType&>(*a.type());
    Quoted(style_, out_, [&] { AppendTimeOfDay(a.Value(i), UnitOf(type.unit()), out_); });
  }
  template <class Append>
  void Nested(Append append) {
    if (style_ != CellStyle::kCsv) return append(out_);
    std::string json;
    append(&json);
    AppendCsvText(json, out_);
  }

  CellStyle style_;
  std::string* out_;
};

// Calls `function` with the array as its own class; false for a type that has no text.
template <class Function>
bool VisitPrintable(const arrow::Array& array, Function function) {
  switch (array.type_id()) {
#define SLUICE_PRINTABLE(id, Class)                    \
  case arrow::Type::id:                                \
    function(static_cast<const arrow::Class&>(array)); \
    return true;
    SLUICE_PRINTABLE(NA, NullArray)
    SLUICE_PRINTABLE(BOOL, BooleanArray)
    SLUICE_PRINTABLE(INT8, Int8Array)
    SLUICE_PRINTABLE(INT16, Int16Array)
    SLUICE_PRINTABLE(INT32, Int32Array)
    SLUICE_PRINTABLE(INT64, Int64Array)
    SLUICE_PRINTABLE(UINT8, UInt8Array)
    SLUICE_PRINTABLE(UINT16, UInt16Array)
    SLUICE_PRINTABLE(UINT32, UInt32Array)
    SLUICE_PRINTABLE(UINT64, UInt64Array)
    SLUICE_PRINTABLE(HALF_FLOAT, HalfFloatArray)
    SLUICE_PRINTABLE(FLOAT, FloatArray)
    SLUICE_PRINTABLE(DOUBLE, DoubleArray)
    SLUICE_PRINTABLE(STRING, StringArray)
    SLUICE_PRINTABLE(BINARY, BinaryArray)
    SLUICE_PRINTABLE(FIXED_SIZE_BINARY, FixedSizeBinaryArray)
    SLUICE_PRINTABLE(DATE32, Date32Array)
    SLUICE_PRINTABLE(DATE64, Date64Array)
    SLUICE_PRINTABLE(TIME32, Time32Array)
    SLUICE_PRINTABLE(TIME64, Time64Array)
    SLUICE_PRINTABLE(TIMESTAMP, TimestampArray)
    SLUICE_PRINTABLE(DURATION, DurationArray)
    SLUICE_PRINTABLE(DECIMAL32, Decimal32Array)
    SLUICE_PRINTABLE(DECIMAL64, Decimal64Array)
    SLUICE_PRINTABLE(DECIMAL128, Decimal128Array)
    SLUICE_PRINTABLE(DECIMAL256, Decimal256Array)
    SLUICE_PRINTABLE(LIST, ListArray)
    SLUICE_PRINTABLE(FIXED_SIZE_LIST, FixedSizeListArray)
    SLUICE_PRINTABLE(STRUCT, StructArray)
    SLUICE_PRINTABLE(MAP, MapArray)
#undef SLUICE_PRINTABLE
    default:
      return false;
  }
}

void AppendJsonValue(const arrow::Array& array, int64_t row, std::string* out) {
  if (array.type_id() == arrow::Type::NA || array.IsNull(row)) {
    out->append("null");
    return;
  }
  VisitPrintable(array, [&](const auto& typed) { ValueAppender(CellStyle::kJson, out)(typed, row); });
}

bool HasText(const arrow::DataType& type) {
  if (arrow::is_nested(type.id()) && type.id() != arrow::Type::STRUCT && type.id() != arrow::Type::LIST &&
      type.id() != arrow::Type::FIXED_SIZE_LIST && type.id() != arrow::Type::MAP) {
    return false;
  }
  for (const auto& field : type.fields()) {
    if (!HasText(*field->type())) return false;
  }
  return !arrow::is_interval(type.id()) && type.id() != arrow::Type::RUN_END_ENCODED;
}

// Length of the well-formed UTF-8 sequence at `text`, 0 when there is none.
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto tail = [&](size_t i) { return i < text.size() && (byte(i) & 0xC0) == 0x80; };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return tail(1) ? 2 : 0;
  if (lead >= 0xE0 && lead < 0xF0) {
    if (!tail(1) || !tail(2)) return 0;
    const bool overlong = lead == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = lead == 0xED && byte(1) >= 0xA0;
    return overlong || surrogate ? 0 : 3;
  }
  if (lead >= 0xF0 && lead < 0xF5) {
    if (!tail(1) || !tail(2) || !tail(3)) return 0;
    const bool out_of_range = (lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) >= 0x90);
    return out_of_range ? 0 : 4;
  }
  return 0;
}

void AppendJsonEscape(unsigned char c, std::string* out) {
  switch (c) {
    case '"':
      out->append("\\\"");
      return;
    case '\\':
      out->append("\\\\");
      return;
    case '\n':
      out->append("\\n");
      return;
    case '\r':
      out->append("\\r");
      return;
    case '\t':
      out->append("\\t");
      return;
    default:
      out->append("\\u00");
      AppendHex({reinterpret_cast<const char*>(&c), 1}, out);
  }
}

}  // namespace

void AppendJsonString(std::string_view text, std::string* out) {
  out->push_back('"');
  size_t begin = 0;  // of what can be copied as it is
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
      ++i;
      continue;
    }
    const size_t length = c >= 0x80 ? Utf8Length(text.substr(i)) : 0;
    if (length > 0) {
      i += length;
      continue;
    }
    out->append(text.substr(begin, i - begin));
    if (c >= 0x80) {
      out->append("\xEF\xBF\xBD");
    } else {
      AppendJsonEscape(c, out);
    }
    begin = ++i;
  }
  out->append(text.substr(begin));
  out->push_back('"');
}

Status FormatCells(const arrow::Array& array, CellStyle style, CellColumn* out) {
  out->Clear();
  out->ends.reserve(static_cast<size_t>(array.length()));
  const std::string_view null = style == CellStyle::kJson ? "null" : "";
  const bool all_null = array.type_id() == arrow::Type::NA;
  ValueAppender append(style, &out->data);
  const bool known = VisitPrintable(array, [&](const auto& typed) {
    for (int64_t row = 0; row < typed.length(); ++row) {
      if (all_null || typed.IsNull(row)) {
        out->data.append(null);
      } else {
        append(typed, row);
      }
      out->ends.push_back(out->data.size());
    }
  });
  if (!known) return Unsupported("type {} cannot be printed", array.type()->ToString());
  return {};
}

Status CheckPrintable(const std::string& column, const arrow::DataType& type) {
  if (HasText(type)) return {};
  return Unsupported("column '{}': type {} cannot be printed", column, type.ToString());
}

}  // namespace sluice::columnar
