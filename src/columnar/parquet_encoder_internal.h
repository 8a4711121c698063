#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace arrow {
class RecordBatch;
class Schema;
namespace io {
class OutputStream;
}
}  // namespace arrow

namespace sluice::columnar {

struct ParquetEncoderOptions {
  std::vector<std::string>
      dictionary_columns;  // always; the others where a sample of the first batch repeats itself
  int64_t row_group_rows = 1 << 20;
};

// Record batches to Parquet bytes: version 1 data pages, Snappy, PLAIN and dictionary encodings only (readers
// such as Flink know no delta encodings), statistics and page index, the Arrow schema as the only key-value
// metadata. A row group's pages are compressed as the batches arrive and handed to the stream when the group
// is full. Confined to one thread.
class ParquetEncoder {
 public:
  // `schema` as StoredSchema gives it. Buffers handed to the stream must be gone before the encoder is. An
  // encoder destroyed without Close may still write to the stream.
  ParquetEncoder(std::shared_ptr<arrow::Schema> schema, std::shared_ptr<arrow::io::OutputStream> stream,
                 ParquetEncoderOptions options);
  ~ParquetEncoder();

  // `batch` has the types of the schema. Errors: kUnsupported for a type that Parquet cannot hold.
  Status Write(const arrow::RecordBatch& batch);
  // Writes the footer; the stream stays open.
  Status Close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::columnar
