#include <arrow/api.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "base/instant.h"
#include "columnar/arrow_status.h"
#include "pipeline/json_scan.h"
#include "pipeline/record.h"

// Reading records. The text is cut into the texts of single records first, so that a bad one spoils no other;
// each is then read by simdjson straight into column builders.
namespace sluice::pipeline {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr int kTexts =
    static_cast<int>(Column::kTenantId) + 1;  // columns before the times, metadata included

std::string Excerpt(std::string_view text) {
  constexpr size_t kMost = 60;
  if (text.size() <= kMost) return std::string(text);
  size_t end = kMost;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "...";
}

// The slots of one record, filled while its fields are read. Views point into the parser's buffers.
struct Slots {
  std::array<std::string_view, kTexts> texts;  // metadata: as given
  std::array<std::string_view, 2> times;
  std::string extra;  // without the outer brackets
};

int FindColumn(std::string_view name) {
  for (int column = 0; column <= static_cast<int>(Column::kUpdatedAt); ++column) {
    if (ColumnName(static_cast<Column>(column)) == name) return column;
  }
  return -1;
}

class RecordReader {
 public:
  RecordReader(std::string_view text, const ParseLimits& limits)
      : limits_(limits), original_(text), padded_(text) {}

  Status Reserve(int64_t rows) {
    for (auto& builder : texts_) RETURN_IF_ARROW_ERROR(builder.Reserve(rows));
    return {};
  }

  // The record at `offset` of the text.
  Status Add(size_t offset, size_t size, int64_t position, ParsedRecords* out) {
    std::string why;
    if (size > limits_.max_record_bytes) {
      why = fmt::format("the record has {} bytes, over the limit of {}", size, limits_.max_record_bytes);
    } else {
      why = Read(offset, size);
      if (why.empty()) why = Check();
    }
    if (!why.empty()) {
      out->bad.push_back({position, std::move(why), original_.substr(offset, size)});
      return {};
    }
    out->positions.push_back(position);
    return Append();
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Finish() {
    std::vector<std::shared_ptr<arrow::Array>> columns(kColumns);
    const int64_t rows = texts_[0].length();
    for (int i = 0; i < kTexts; ++i) {
      RETURN_IF_ARROW_ERROR(texts_[static_cast<size_t>(i)].Finish(&columns[static_cast<size_t>(i)]));
    }
    RETURN_IF_ARROW_ERROR(times_[0].Finish(&columns[static_cast<size_t>(Column::kCreatedAt)]));
    RETURN_IF_ARROW_ERROR(times_[1].Finish(&columns[static_cast<size_t>(Column::kUpdatedAt)]));
    RETURN_IF_ARROW_ERROR(extra_.Finish(&columns[static_cast<size_t>(Column::kExtra)]));
    return arrow::RecordBatch::Make(RecordSchema(), rows, std::move(columns));
  }

 private:
  // What is wrong with it; empty when nothing is.
  std::string Read(size_t offset, size_t size) {
    slots_ = Slots();
    const size_t capacity = padded_.size() + simdjson::SIMDJSON_PADDING - offset;
    ondemand::document document;
    auto error =
        parser_.iterate(simdjson::padded_string_view(padded_.data() + offset, size, capacity)).get(document);
    if (error == simdjson::EMPTY) return "it is empty";
    if (error) return fmt::format("it is no JSON: {}", simdjson::error_message(error));
    ondemand::object object;
    error = document.get_object().get(object);
    if (error == simdjson::INCORRECT_TYPE)
      return fmt::format("it is no JSON object: '{}'", Excerpt(original_.substr(offset, size)));
    if (error) return fmt::format("it is no JSON: {}", simdjson::error_message(error));
    for (auto next : object) {
      ondemand::field field;
      std::string_view key;
      ondemand::value value;
      if ((error = std::move(next).get(field)) || (error = field.unescaped_key().get(key)))
        return fmt::format("it is no JSON: {}", simdjson::error_message(error));
      value = field.value();
      std::string why = ReadField(key, value);
      if (!why.empty()) return why;
    }
    const char* rest = nullptr;
    if (!document.current_location().get(rest)) return "there is something behind the object";
    return {};
  }

  std::string ReadField(std::string_view key, ondemand::value& value) {
    const int column = FindColumn(key);
    std::string_view raw;
    if (column < 0 || column == static_cast<int>(Column::kMetadata)) {
      std::string why = RawValue(key, value, &raw);
      if (!why.empty()) return why;
      if (column >= 0) {
        slots_.texts[static_cast<size_t>(column)] = raw == "null" ? std::string_view() : raw;
      } else {
        if (!slots_.extra.empty()) slots_.extra += ',';
        AppendJsonText(key, &slots_.extra);
        slots_.extra += ':';
        slots_.extra += raw;
      }
      return {};
    }
    ondemand::json_type type;
    if (auto error = value.type().get(type))
      return fmt::format("field '{}': {}", key, simdjson::error_message(error));
    std::string_view text;
    if (type == ondemand::json_type::null) {
      if (!value.is_null()) return fmt::format("field '{}': it is no JSON", key);
    } else if (type != ondemand::json_type::string) {
      RawValue(key, value, &raw);
      return fmt::format("field '{}': expected a string, got '{}'", key, Excerpt(raw));
    } else if (auto error = value.get_string().get(text)) {
      return fmt::format("field '{}': {}", key, simdjson::error_message(error));
    }
    if (column < kTexts) {
      slots_.texts[static_cast<size_t>(column)] = text;
    } else {
      slots_.times[static_cast<size_t>(column - kTexts)] = text;
    }
    return {};
  }

  // The value's text as it was given, checked to be JSON.
  std::string RawValue(std::string_view key, ondemand::value& value, std::string_view* raw) {
    ondemand::json_type type;
    simdjson::error_code error = value.type().get(type);
    if (!error && type == ondemand::json_type::object) {
      ondemand::object object;
      if (!(error = value.get_object().get(object))) error = object.raw_json().get(*raw);
    } else if (!error && type == ondemand::json_type::array) {
      ondemand::array array;
      if (!(error = value.get_array().get(array))) error = array.raw_json().get(*raw);
    } else if (!error) {
      *raw = value.raw_json_token();
      // A token reaches up to the next one.
      while (!raw->empty() && SkipSpace(*raw, raw->size() - 1) == raw->size()) raw->remove_suffix(1);
      // Reading it moves on to the next field.
      if (type == ondemand::json_type::string) {
        error = value.get_string().error();
      } else if (type == ondemand::json_type::boolean) {
        error = value.get_bool().error();
      } else if (type == ondemand::json_type::null) {
        if (!value.is_null()) error = simdjson::N_ATOM_ERROR;
      } else {
        error = value.raw_json_token().empty() ? simdjson::NUMBER_ERROR : value.get_double().error();
        if (error == simdjson::NUMBER_ERROR) error = simdjson::SUCCESS;  // IsJson decides, any size goes
      }
    }
    if (error) return fmt::format("field '{}': {}", key, simdjson::error_message(error));
    std::string why;
    if (!IsJson(*raw, limits_.max_depth, &why)) return fmt::format("field '{}': it is no JSON: {}", key, why);
    return {};
  }

  std::string Check() {
    for (size_t i = 0; i < 2; ++i) {
      micros_[i].reset();
      const std::string_view text = slots_.times[i];
      if (text.empty() || text == "0001-01-01T00:00:00Z") continue;
      const auto instant = ParseInstant(text);
      if (!instant.ok()) {
        return fmt::format("field '{}': '{}' is no RFC 3339 time",
                           ColumnName(static_cast<Column>(kTexts + static_cast<int>(i))), Excerpt(text));
      }
      micros_[i] = instant->seconds * 1'000'000 + instant->nanoseconds / 1000;
    }
    return {};
  }

  Status Append() {
    for (size_t i = 0; i < kTexts; ++i) {
      const std::string_view text = slots_.texts[i];
      if (i == static_cast<size_t>(Column::kMetadata) && text.empty()) {
        RETURN_IF_ARROW_ERROR(texts_[i].AppendNull());
      } else {
        RETURN_IF_ARROW_ERROR(texts_[i].Append(text));
      }
    }
    for (size_t i = 0; i < 2; ++i) {
      if (micros_[i]) {
        RETURN_IF_ARROW_ERROR(times_[i].Append(*micros_[i]));
      } else {
        RETURN_IF_ARROW_ERROR(times_[i].AppendNull());
      }
    }
    if (slots_.extra.empty()) return columnar::ToStatus(extra_.AppendNull());
    return columnar::ToStatus(extra_.Append("{" + slots_.extra + "}"));
  }

  static std::shared_ptr<arrow::DataType> TimeType() {
    return RecordSchema()->field(static_cast<int>(Column::kCreatedAt))->type();
  }

  const ParseLimits limits_;
  const std::string_view original_;
  simdjson::padded_string padded_;
  ondemand::parser parser_;
  Slots slots_;
  std::array<std::optional<int64_t>, 2> micros_;
  std::array<arrow::StringBuilder, kTexts> texts_;
  std::array<arrow::TimestampBuilder, 2> times_ = {
      arrow::TimestampBuilder(TimeType(), arrow::default_memory_pool()),
      arrow::TimestampBuilder(TimeType(), arrow::default_memory_pool())};
  arrow::StringBuilder extra_;
};

struct Span {
  size_t offset, size;
};

void CutLines(std::string_view text, std::vector<Span>* spans) {
  for (size_t at = 0; at < text.size();) {
    const void* found = std::memchr(text.data() + at, '\n', text.size() - at);
    const size_t end =
        found ? static_cast<size_t>(static_cast<const char*>(found) - text.data()) : text.size();
    const size_t start = SkipSpace(text.substr(0, end), at);
    if (start < end) spans->push_back({start, end - start});
    at = end + 1;
  }
}

Error AtByte(std::string_view text, size_t at, std::string_view what) {
  const auto lines =
      std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(std::min(at, text.size())), '\n');
  return InvalidArgument("line {}, byte {}: {}", lines + 1, at, what);
}

// `at` is behind the opening bracket.
Status CutArray(std::string_view text, size_t at, std::vector<Span>* spans) {
  at = SkipSpace(text, at);
  if (at < text.size() && text[at] == ']') {
    ++at;
  } else {
    while (true) {
      at = SkipSpace(text, at);
      const size_t end = FindValueEnd(text, at);
      if (end == std::string_view::npos)
        return AtByte(text, text.size(), "the array does not end: ']' is missing");
      if (end == at) return AtByte(text, at, "expected a record");
      spans->push_back({at, end - at});
      at = SkipSpace(text, end);
      if (at >= text.size()) return AtByte(text, at, "the array does not end: ']' is missing");
      if (text[at] == ']') break;
      if (text[at] != ',') return AtByte(text, at, "expected ',' or ']'");
      ++at;
    }
    ++at;
  }
  at = SkipSpace(text, at);
  if (at < text.size()) return AtByte(text, at, "there is something behind the array");
  return {};
}

// A text of several lines whose first line is no whole object, and whose later lines do not look like the
// beginning of one either, is one object that was printed over lines.
bool IsOneObject(std::string_view text, size_t start) {
  const size_t newline = text.find('\n', start);
  if (newline == std::string_view::npos) return true;
  const size_t end = FindValueEnd(text, start);
  if (end != std::string_view::npos) return end > newline;
  return text.find("\n{", newline) == std::string_view::npos;
}

Status Cut(std::string_view text, Layout layout, std::vector<Span>* spans) {
  const size_t start = SkipSpace(text, 0);
  if (layout == Layout::kLook && start < text.size()) {
    if (text[start] == '[') return CutArray(text, start + 1, spans);
    if (text[start] == '{' && IsOneObject(text, start)) {
      const size_t end = FindValueEnd(text, start);
      if (end == std::string_view::npos)
        return AtByte(text, text.size(), "the object does not end: '}' is missing");
      spans->push_back({start, end - start});
      const size_t rest = SkipSpace(text, end);
      if (rest < text.size()) return AtByte(text, rest, "there is something behind the object");
      return {};
    }
    if (text[start] != '{') return AtByte(text, start, "expected a JSON object or an array of objects");
  }
  CutLines(text, spans);
  return {};
}

}  // namespace

Result<ParsedRecords> ParseRecords(std::string_view text, const ParseLimits& limits) {
  std::vector<Span> spans;
  RETURN_IF_ERROR(Cut(text, limits.layout, &spans));
  RecordReader reader(text, limits);
  RETURN_IF_ERROR(reader.Reserve(static_cast<int64_t>(spans.size())));
  ParsedRecords parsed;
  parsed.positions.reserve(spans.size());
  for (size_t i = 0; i < spans.size(); ++i) {
    RETURN_IF_ERROR(reader.Add(spans[i].offset, spans[i].size, static_cast<int64_t>(i), &parsed));
  }
  ASSIGN_OR_RETURN(parsed.records, reader.Finish());
  return parsed;
}

Result<std::shared_ptr<arrow::RecordBatch>> ParseAll(std::string_view text) {
  ParseLimits limits;
  limits.max_record_bytes = UINT32_MAX;
  auto parsed = ParseRecords(text, limits);
  if (!parsed.ok()) return Error(ErrorCode::kInvalidRecords, parsed.error().message());
  if (!parsed->bad.empty()) return Error(ErrorCode::kInvalidRecords, parsed->bad.front().reason);
  if (parsed->records->num_rows() == 0) return Error(ErrorCode::kInvalidRecords, "it holds no record");
  return parsed->records;
}

}  // namespace sluice::pipeline
