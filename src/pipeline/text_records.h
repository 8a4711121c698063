#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/connector.h"
#include "pipeline/declaration.h"

namespace sluice::pipeline {

class Settings;

enum class TextFormat : uint8_t { kNdJson, kCsv };

struct TextRecordsOptions {
  TextFormat format = TextFormat::kNdJson;
  char delimiter = ',';                  // of CSV
  std::vector<std::string> columns;      // of CSV; empty = the first record names them
  uint64_t max_record_bytes = 16 << 20;  // of a larger one so much goes to the dead letters
  uint64_t batch_bytes = 1 << 20;        // about; of the text
};

// The options of connectors that read such texts: format, delimiter, columns; and what they were set to.
// Errors: kInvalidArgument naming the option.
std::vector<Option> TextOptionDeclarations();
Result<TextRecordsOptions> ReadTextOptions(const Settings& settings);

// A text of records that comes in pieces, as deliveries. CSV columns are named as the fields; others are
// unknown fields; `metadata` may be JSON. A record that cannot be read is refused, as raw text, and spoils no
// other. Confined.
class TextRecords {
 public:
  // `offset` = where in its file the first byte stands.
  explicit TextRecords(TextRecordsOptions options, int64_t offset = 0)
      : options_(std::move(options)), offset_(offset), columns_(options_.columns) {}

  void Append(std::string_view bytes) { text_.append(bytes); }
  // The next whole records, or nothing until there are more bytes. `is_end`: what is left is the last record,
  // with its line end or not. `batch.next` holds for each row the offset behind it.
  Result<std::optional<Delivery>> Take(bool is_end);
  // Bytes that wait, a part of a record perhaps.
  size_t buffered() const { return text_.size() - at_; }
  // Behind what was taken.
  int64_t offset() const { return offset_; }

 private:
  struct Line {
    std::string_view text;  // without its end
    int64_t next = 0;       // offset behind its end
  };
  // Whole records from `at_`, at most about a batch; moves on.
  std::vector<Line> CutLines(bool is_end);
  size_t FindEnd(size_t from) const;
  Result<Delivery> Deliver(const std::vector<Line>& lines);
  // Appends it as a line of NDJSON; what is wrong with it otherwise.
  std::string CsvToJson(std::string_view record, std::string* out) const;
  std::string CsvHeader() const;

  const TextRecordsOptions options_;
  std::string text_;
  size_t at_ = 0;
  int64_t offset_;
  bool is_first_ = true;      // nothing was taken yet
  bool is_skipping_ = false;  // the rest of a record that was too large
  std::vector<std::string> columns_;
};

// A text that was refused, as a dead letter holds it: a record of CSV behind the header that counted for it,
// or JSON. Errors: kInvalidRecords.
Result<std::shared_ptr<arrow::RecordBatch>> RereadText(TextRecordsOptions options, std::string_view text);

// The fields of one CSV record. Nothing when its quotes are wrong.
std::optional<std::vector<std::string>> SplitCsv(std::string_view record, char delimiter);

}  // namespace sluice::pipeline
