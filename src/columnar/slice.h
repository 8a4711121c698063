#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "multiformats/multihash.h"
#include "storage/storage.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

// Parquet slices: one file of a dataset's data (odf-metadata.md 7.7).
namespace sluice::columnar {

struct SliceOptions {
  std::vector<std::string> dictionary_columns;  // op, system_time; library default elsewhere
  int64_t row_group_rows = 1 << 20;
  bool threads = true;  // encode and hash on other threads than the caller's
};

struct SliceInfo {
  multiformats::Multihash logical_hash;
  multiformats::Multihash physical_hash;
  uint64_t size = 0;  // bytes
  int64_t rows = 0;
};

// Writes a slice through `file`, computing both hashes while bytes pass. Format 1.0 pages, Snappy, no delta
// encodings. Columns are written as StoredSchema (plain_types.h) says: Large, View and Dictionary as plain
// ones, units that Parquet lacks as milliseconds. Called from one thread; with `threads` a large slice is
// encoded and hashed on three others. Bounded memory: a compressed row group and a few batches. A writer
// destroyed before Close gives the slice up.
class SliceWriter {
 public:
  // Errors: kUnsupported naming a column whose type has no logical hash.
  static Result<std::unique_ptr<SliceWriter>> Open(std::unique_ptr<storage::StagedFile> file,
                                                   std::shared_ptr<arrow::Schema> schema,
                                                   SliceOptions options);
  virtual ~SliceWriter() = default;
  // Batches of any size; columns in the schema's order. With threads an error may be reported by a later
  // Write or Close. Errors: those of the file; kInvalidArgument when the columns do not fit; kUnsupported
  // from the logical hash.
  virtual Status Write(std::shared_ptr<arrow::RecordBatch> batch) = 0;
  // Finishes the file's content, which is not yet durable: `Commit` the file that TakeFile gives. Once, also
  // after an error. A slice without rows is a valid file; whether to keep it is the caller's decision.
  virtual Result<SliceInfo> Close() = 0;
  // The staged file; valid after Close.
  virtual std::unique_ptr<storage::StagedFile> TakeFile() = 0;
};

struct SliceMetadata {
  int64_t rows = 0;
  uint64_t size = 0;  // bytes
  std::shared_ptr<arrow::Schema> schema;
};

// Reads a slice batch by batch in file order. Columns by name, in the order asked for, all when absent. The
// schema is plain: Large, View and Dictionary variants that a foreign file hints at come as the plain type.
// Confined to one thread; memory is bounded by a batch and a window on each column.
class SliceReader {
 public:
  // Errors: kCorruption for what is not Parquet, naming the file; kNotFound; kInvalidArgument for a column
  // that is not there, listing those that are.
  static Result<std::unique_ptr<SliceReader>> Open(const storage::Storage& storage, const std::string& name,
                                                   std::optional<std::vector<std::string>> columns = {});
  // A file on disk (an input, not a slice).
  static Result<std::unique_ptr<SliceReader>> OpenFile(const std::string& path,
                                                       std::optional<std::vector<std::string>> columns = {});
  // A slice that was closed and not yet committed; `file` must outlive the reader.
  static Result<std::unique_ptr<SliceReader>> OpenStaged(storage::StagedFile& file);
  virtual ~SliceReader() = default;
  virtual std::shared_ptr<arrow::Schema> schema() const = 0;
  virtual int64_t rows() const = 0;
  // At most 64 Ki rows; null at the end. Errors: kCorruption, after which nothing more can be read.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Next() = 0;
};

// The footer alone: no data page is read. Errors as SliceReader::Open.
Result<SliceMetadata> ReadSliceMetadata(const storage::Storage& storage, const std::string& name);

}  // namespace sluice::columnar
