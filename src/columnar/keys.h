#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace sluice::columnar {

// Bytes of many keys or rows, one after another; entry i = data[offsets[i], offsets[i+1]).
struct PackedBytes {
  std::string data;
  std::vector<uint32_t> offsets{0};

  size_t size() const { return offsets.size() - 1; }
  std::string_view operator[](size_t i) const { return {data.data() + offsets[i], offsets[i + 1] - offsets[i]}; }
};

// Order-preserving encoding of key columns: comparing two encodings as bytes compares the values, nulls first. NaN equals NaN,
// -0 equals 0 (decisions.md 4). Strings end in an escaped terminator so that no key is a prefix of another.
class KeyEncoder {
 public:
  // Errors: kInvalidArgument naming a column that the schema lacks; kUnsupported for list, struct, map keys.
  static Result<KeyEncoder> Make(const arrow::Schema& schema, const std::vector<std::string>& columns);

  // One encoding per row, appended to `out`. `null_rows` (may be null) receives the rows that have a null in the key.
  Status Encode(const arrow::RecordBatch& batch, PackedBytes* out, std::vector<bool>* null_rows) const;

 private:
  std::vector<int> columns_;
};

// Rows as bytes and back: what the index keeps of a key's latest row. Self-contained per schema.
class RowCodec {
 public:
  static Result<RowCodec> Make(std::shared_ptr<arrow::Schema> schema);
  Status Encode(const arrow::RecordBatch& batch, PackedBytes* out) const;
  // All rows as one batch. Errors: kCorruption.
  Result<std::shared_ptr<arrow::RecordBatch>> Decode(const std::vector<std::string_view>& rows) const;
  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }

 private:
  std::shared_ptr<arrow::Schema> schema_;
};

}  // namespace sluice::columnar
