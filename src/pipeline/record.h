#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

// Records on the wire and in memory (pipelines.md 1). In memory a batch of records is an Arrow record batch
// of exactly RecordSchema(); no row is ever a structure of strings.
namespace sluice::pipeline {

// The columns, in this order. Texts are String and never null: absent, null and empty are the same.
// `metadata` is JSON text as it was given, null when there is none. Times are Timestamp(us, UTC), null when
// not set. `extra` is a JSON object text of the fields that the model does not know, null when there are
// none.
enum class Column : int {
  kUuid,
  kSourceType,
  kSourceId,
  kData,
  kDataId,
  kMetadata,
  kMetadataType,
  kLang,
  kTenantId,
  kCreatedAt,
  kUpdatedAt,
  kExtra,
};
inline constexpr int kColumns = 12;

const std::shared_ptr<arrow::Schema>& RecordSchema();
// `source_type`, ...
std::string_view ColumnName(Column column);

// A record that could not be read. `position` counts the records of its input from 0.
struct BadRecord {
  int64_t position = 0;
  std::string reason;     // names field and value
  std::string_view text;  // of the record, in what was given to ParseRecords
};

struct ParsedRecords {
  std::shared_ptr<arrow::RecordBatch> records;
  std::vector<BadRecord> bad;
  // Where each record of `records` stood among all of the input's, the bad ones included.
  std::vector<int64_t> positions;
};

enum class Layout : uint8_t {
  kLook,   // one object, an array of objects or NDJSON: told by looking
  kLines,  // NDJSON for certain: a bad line spoils no other
};

struct ParseLimits {
  uint32_t max_record_bytes = 16 << 20;
  uint32_t max_depth = 64;  // of metadata and unknown fields
  Layout layout = Layout::kLook;
};

// One JSON object, an array of objects, or NDJSON. Errors: kInvalidArgument naming line and
// byte when the text as a whole is no JSON or its end is missing. A record that is no object, has a wrong
// type, bad UTF-8 or a time that is none goes to `bad`.
Result<ParsedRecords> ParseRecords(std::string_view text, const ParseLimits& limits = {});

// How records are written.
struct WireOptions {
  // As the original does: every field is there, empty texts and `0001-01-01T00:00:00Z` included. Otherwise
  // empty fields are left out.
  bool write_empty = true;
  bool pretty = false;
};

// Row `row` as a JSON object, unknown fields behind the known ones. Appends to `out`.
void AppendRecord(const arrow::RecordBatch& records, int64_t row, const WireOptions& options,
                  std::string* out);
// All rows, one a line.
void AppendNdJson(const arrow::RecordBatch& records, std::string* out);

// All records of a text, for those who take all or nothing; of any size. Errors: kInvalidRecords with what is
// wrong with the first bad one, or when there is none.
Result<std::shared_ptr<arrow::RecordBatch>> ParseAll(std::string_view text);

// One record whose `data` is a text that could not be read as a record: how such a text reaches the dead
// letters. Bytes that are no UTF-8 are kept beside it, in an unknown field.
std::shared_ptr<arrow::RecordBatch> RawRecord(std::string_view text);
// The bytes that became such a record; its `data`, when somebody has changed that since.
std::string RawTextOf(const arrow::RecordBatch& records, int64_t row);
// No rows.
std::shared_ptr<arrow::RecordBatch> NoRecords();

// Fills empty `uuid`s (UUID v7). `records` as given when there is nothing to fill.
Result<std::shared_ptr<arrow::RecordBatch>> FillUuids(const std::shared_ptr<arrow::RecordBatch>& records);

}  // namespace sluice::pipeline
