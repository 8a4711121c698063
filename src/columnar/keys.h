#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace sluice::columnar {

// Bytes of many keys or rows, one after another; entry i = data[offsets[i], offsets[i+1]). At most 4 GiB.
struct PackedBytes {
  std::string data;
  std::vector<uint32_t> offsets{0};

  size_t size() const { return offsets.size() - 1; }
  std::string_view operator[](size_t i) const {
    return {data.data() + offsets[i], offsets[i + 1] - offsets[i]};
  }
  void Append(std::string_view entry) {
    data.append(entry);
    offsets.push_back(static_cast<uint32_t>(data.size()));
  }
  void Clear() {
    data.clear();
    offsets.assign(1, 0);
  }
};

// Order-preserving encoding of key columns: comparing two encodings as bytes compares the values, nulls
// first. NaN equals NaN and sorts last, -0 equals 0 (decisions.md 4). Strings end in an escaped terminator so
// that no key is a prefix of another. String, LargeString and StringView (and the binary ones) have the same
// encodings.
//
// Per column: 0 for a null; else 1 and the value: integers, dates, times, decimals big-endian with the sign
// bit flipped; floats as their bits, all flipped when negative; a boolean as one byte; fixed-size binary as
// it is; strings and binary with each byte 0 written as 0 255, then 0 0.
class KeyEncoder {
 public:
  // Errors: kInvalidArgument naming a column that the schema lacks; kUnsupported for list, struct, map keys.
  static Result<KeyEncoder> Make(const arrow::Schema& schema, const std::vector<std::string>& columns);

  // One encoding per row, appended to `out`. `null_rows` (may be null) is set to one flag per row of this
  // batch: whether it has a null in the key. Errors: kResourceExhausted when `out` would grow beyond 4 GiB.
  Status Encode(const arrow::RecordBatch& batch, PackedBytes* out, std::vector<bool>* null_rows) const;

 private:
  std::vector<int> columns_;
};

// Indices of the entries in byte order; equal entries keep their order. Already sorted input costs one pass.
std::vector<uint32_t> SortedOrder(const PackedBytes& entries);

// Rows as bytes and back: what the index keeps of a key's latest row. Self-contained per schema; depends on
// the columns' order and types, not on their names.
//
// A row: a bitmap of its null columns (least significant bit first), then the values of the others.
// Fixed-width values little-endian as in Arrow, a boolean as one byte, strings and binary as varint length
// and bytes, a list as varint count, bitmap of null elements, elements; a struct as a row.
class RowCodec {
 public:
  // Errors: kUnsupported for map, union, dictionary and other types that no dataset holds.
  static Result<RowCodec> Make(std::shared_ptr<arrow::Schema> schema);
  // Appends one entry per row to `out`. Errors: kInvalidArgument when the batch's types are not the schema's;
  // kResourceExhausted when `out` would grow beyond 4 GiB.
  Status Encode(const arrow::RecordBatch& batch, PackedBytes* out) const;
  // All rows as one batch. Errors: kCorruption.
  Result<std::shared_ptr<arrow::RecordBatch>> Decode(const std::vector<std::string_view>& rows) const;
  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }

 private:
  struct Impl;

  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace sluice::columnar
