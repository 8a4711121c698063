#include "pipeline/text_records.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <cstring>

#include "pipeline/json_scan.h"
#include "pipeline/record.h"
#include "pipeline/rows.h"
#include "pipeline/settings.h"

namespace sluice::pipeline {
namespace {

constexpr size_t kMaxLines = 10'000;  // of a delivery
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr uint32_t kMaxMetadataDepth = 64;

std::string_view WithoutReturn(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::string_view CutAtCharacter(std::string_view text, uint64_t bytes) {
  if (text.size() <= bytes) return text;
  auto end = static_cast<size_t>(bytes);
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

std::optional<std::string> FindTwice(const std::vector<std::string>& names) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (std::find(names.begin(), names.begin() + static_cast<ptrdiff_t>(i), names[i]) !=
        names.begin() + static_cast<ptrdiff_t>(i))
      return names[i];
  }
  return std::nullopt;
}

}  // namespace

std::vector<Option> TextOptionDeclarations() {
  return {{.name = "format",
           .description = "How the records are written",
           .default_text = "ndjson",
           .allowed = {"ndjson", "csv"}},
          {.name = "delimiter", .description = "Of CSV: one character", .default_text = ","},
          {.name = "columns",
           .type = OptionType::kTexts,
           .description = "Of CSV without a header: names of the columns"}};
}

Result<TextRecordsOptions> ReadTextOptions(const Settings& settings) {
  TextRecordsOptions options;
  if (settings.text("format") == "csv") options.format = TextFormat::kCsv;
  const std::string& delimiter = settings.text("delimiter");
  if (delimiter.size() != 1)
    return settings.Complain("delimiter", fmt::format("'{}' is not one character", delimiter));
  options.delimiter = delimiter[0];
  options.columns = settings.texts("columns");
  if (const auto twice = FindTwice(options.columns))
    return settings.Complain("columns", fmt::format("'{}' is there twice", *twice));
  if (!options.columns.empty() && options.format != TextFormat::kCsv)
    return settings.Complain("columns", "only CSV has columns: set format: csv");
  return options;
}

std::optional<std::vector<std::string>> SplitCsv(std::string_view record, char delimiter) {
  std::vector<std::string> fields;
  size_t at = 0;
  while (true) {
    std::string field;
    if (at < record.size() && record[at] == '"') {
      for (++at;; ++at) {
        if (at >= record.size()) return std::nullopt;
        if (record[at] != '"') {
          field += record[at];
        } else if (at + 1 < record.size() && record[at + 1] == '"') {
          field += record[at++];
        } else {
          break;
        }
      }
      ++at;
      if (at < record.size() && record[at] != delimiter) return std::nullopt;
    } else {
      const size_t end = std::min(record.find(delimiter, at), record.size());
      field = record.substr(at, end - at);
      at = end;
    }
    fields.push_back(std::move(field));
    if (at >= record.size()) return fields;
    ++at;
  }
}

size_t TextRecords::FindEnd(size_t from) const {
  if (options_.format == TextFormat::kNdJson) {
    const void* found = std::memchr(text_.data() + from, '\n', text_.size() - from);
    return found ? static_cast<size_t>(static_cast<const char*>(found) - text_.data()) : std::string::npos;
  }
  bool is_quoted = false;
  for (size_t i = from; i < text_.size(); ++i) {
    if (text_[i] == '"') is_quoted = !is_quoted;
    if (text_[i] == '\n' && !is_quoted) return i;
  }
  return std::string::npos;
}

std::vector<TextRecords::Line> TextRecords::CutLines(bool is_end) {
  std::vector<Line> lines;
  const size_t begin = at_;
  while (at_ < text_.size() && lines.size() < kMaxLines && at_ - begin < options_.batch_bytes) {
    size_t end = FindEnd(at_);
    size_t next = end + 1;
    if (end == std::string::npos) {
      if (!is_end && text_.size() - at_ <= options_.max_record_bytes) break;
      // The last one; or one too large, whose rest is passed over.
      end = next = text_.size();
    }
    const std::string_view line = WithoutReturn(std::string_view(text_).substr(at_, end - at_));
    offset_ += static_cast<int64_t>(next - at_);
    at_ = next;
    const bool goes_on = end == next && !is_end;
    if (is_skipping_) {
      is_skipping_ = goes_on;
      if (!lines.empty()) lines.back().next = offset_;
      continue;
    }
    is_skipping_ = goes_on;
    if (SkipSpace(line, 0) < line.size()) lines.push_back({line, offset_});
  }
  return lines;
}

std::string TextRecords::CsvToJson(std::string_view record, std::string* out) const {
  const auto fields = SplitCsv(record, options_.delimiter);
  if (!fields) return "the quotes of the CSV record are wrong";
  if (fields->size() > columns_.size())
    return fmt::format("the CSV record has {} fields, the header {}", fields->size(), columns_.size());
  *out += '{';
  for (size_t i = 0; i < fields->size(); ++i) {
    if (i > 0) *out += ',';
    AppendJsonText(columns_[i], out);
    *out += ':';
    const std::string& field = (*fields)[i];
    std::string why;
    const bool is_json = columns_[i] == "metadata" && IsJson(field, kMaxMetadataDepth, &why) &&
                         field.find_first_of("\r\n") == std::string::npos;
    if (is_json) {
      *out += field;
    } else {
      AppendJsonText(field, out);
    }
  }
  *out += "}\n";
  return {};
}

std::string TextRecords::CsvHeader() const {
  std::string header;
  for (const auto& name : columns_) {
    if (!header.empty()) header += options_.delimiter;
    std::string quoted = "\"";
    for (const char c : name) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    header += quoted + '"';
  }
  return header + '\n';
}

Result<Delivery> TextRecords::Deliver(const std::vector<Line>& lines) {
  std::string json;
  std::vector<std::string> wrong(lines.size());  // by line
  std::vector<std::string> shown(lines.size());  // by line: what goes to the dead letters of a wrong one
  std::vector<size_t> sent;                      // lines that are in `json`
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].text.size() > options_.max_record_bytes) {
      wrong[i] =
          fmt::format("the record is larger than {} bytes, so many are kept; it begins near byte {}",
                      options_.max_record_bytes, lines[i].next - static_cast<int64_t>(lines[i].text.size()));
      shown[i] = CutAtCharacter(lines[i].text, options_.max_record_bytes);
    } else if (options_.format == TextFormat::kCsv) {
      wrong[i] = CsvToJson(lines[i].text, &json);
      if (!wrong[i].empty()) shown[i] = CsvHeader().append(lines[i].text);
    } else {
      json += lines[i].text;
      json += '\n';
    }
    if (wrong[i].empty()) sent.push_back(i);
  }
  ParseLimits limits;
  limits.layout = Layout::kLines;
  limits.max_record_bytes =
      static_cast<uint32_t>(std::min<uint64_t>(options_.max_record_bytes, 1U << 30)) * 2;
  ASSIGN_OR_RETURN(auto parsed, ParseRecords(json, limits));
  for (auto& bad : parsed.bad) {
    const size_t line = sent[static_cast<size_t>(bad.position)];
    wrong[line] = std::move(bad.reason);
    // Of CSV with its columns' names, so that it can be mended and sent again.
    shown[line] = bad.text;
  }

  Delivery delivery;
  std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
  int64_t good = 0;     // rows of `parsed.records` that are placed
  int64_t waiting = 0;  // the run of good rows behind them
  const auto place = [&] {
    if (waiting > 0) parts.push_back(parsed.records->Slice(good, waiting));
    good += waiting;
    waiting = 0;
  };
  for (size_t i = 0; i < lines.size(); ++i) {
    delivery.batch.next.push_back(lines[i].next);
    if (wrong[i].empty()) {
      ++waiting;
      continue;
    }
    place();
    parts.push_back(RawRecord(shown[i]));
    delivery.refused.push_back({static_cast<int64_t>(i), std::move(wrong[i])});
  }
  place();
  ASSIGN_OR_RETURN(delivery.batch.records, JoinRecords(parts));
  return delivery;
}

Result<std::optional<Delivery>> TextRecords::Take(bool is_end) {
  std::vector<Line> lines;
  // Of blank lines, and of what is left of a line too large, a whole cut has nothing.
  for (size_t before = text_.size() + 1; lines.empty() && at_ != before;) {
    before = at_;
    lines = CutLines(is_end);
  }
  if (is_first_ && !lines.empty()) {
    is_first_ = false;
    if (lines.front().text.starts_with(kByteOrderMark))
      lines.front().text.remove_prefix(kByteOrderMark.size());
  }
  if (!lines.empty() && options_.format == TextFormat::kCsv && columns_.empty()) {
    const auto header = lines.front().text;
    auto names = SplitCsv(header, options_.delimiter);
    if (!names) return InvalidArgument("the header '{}' is no CSV", header);
    if (const auto twice = FindTwice(*names))
      return InvalidArgument("the header has column '{}' twice", *twice);
    columns_ = *std::move(names);
    lines.erase(lines.begin());
  }
  std::optional<Delivery> delivery;
  if (!lines.empty()) {
    ASSIGN_OR_RETURN(delivery, Deliver(lines));
  }
  if (at_ > (1 << 16) || at_ == text_.size()) {
    text_.erase(0, at_);
    at_ = 0;
  }
  return delivery;
}

Result<std::shared_ptr<arrow::RecordBatch>> RereadText(TextRecordsOptions options, std::string_view text) {
  const size_t start = SkipSpace(text, 0);
  const bool is_json = options.format != TextFormat::kCsv || (start < text.size() && text[start] == '{');
  if (is_json) return ParseAll(text);
  options.columns.clear();  // the header stands in front
  options.max_record_bytes = options.batch_bytes = text.size() + 1;
  TextRecords records(std::move(options));
  records.Append(text);
  auto delivery = records.Take(/*is_end=*/true);
  if (!delivery.ok()) return Error(ErrorCode::kInvalidRecords, delivery.error().message());
  if (!*delivery) return Error(ErrorCode::kInvalidRecords, "it holds no record behind its header");
  if (!(*delivery)->refused.empty())
    return Error(ErrorCode::kInvalidRecords, (*delivery)->refused.front().reason);
  if (records.buffered() > 0) return Error(ErrorCode::kInvalidRecords, "it holds too many records");
  return (*delivery)->batch.records;
}

}  // namespace sluice::pipeline
