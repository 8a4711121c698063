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

// Writes a slice through `file`, computing both hashes while bytes pass. Format 1.0 pages, Snappy, no delta encodings.
// Large and View columns are written as plain ones. Confined to one thread; bounded memory (a row group).
class SliceWriter {
 public:
  static Result<std::unique_ptr<SliceWriter>> Open(std::unique_ptr<storage::StagedFile> file,
                                                   std::shared_ptr<arrow::Schema> schema, SliceOptions options);
  virtual ~SliceWriter() = default;
  virtual Status Write(std::shared_ptr<arrow::RecordBatch> batch) = 0;
  // Finishes the file's content, which is not yet durable: `Commit` it through file().
  virtual Result<SliceInfo> Close() = 0;
  // The staged file; valid after Close.
  virtual std::unique_ptr<storage::StagedFile> TakeFile() = 0;
};

// Reads a slice batch by batch in file order. Columns by name, all when absent. Confined to one thread.
class SliceReader {
 public:
  // Errors: kCorruption for what is not Parquet, naming the file; kNotFound.
  static Result<std::unique_ptr<SliceReader>> Open(const storage::Storage& storage, const std::string& name,
                                                   std::optional<std::vector<std::string>> columns = {});
  // A file on disk (an input, not a slice).
  static Result<std::unique_ptr<SliceReader>> OpenFile(const std::string& path,
                                                       std::optional<std::vector<std::string>> columns = {});
  virtual ~SliceReader() = default;
  virtual std::shared_ptr<arrow::Schema> schema() const = 0;
  virtual int64_t rows() const = 0;
  // Null at the end.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Next() = 0;
};

}  // namespace sluice::columnar
