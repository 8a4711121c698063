#pragma once

#include <cstdint>
#include <fstream>
#include <memory>
#include <string>

#include "base/result.h"
#include "columnar/format.h"

namespace sluice::cli {

// Rows into files: one, or `part-00000.csv`, ... in a folder. Confined to one thread.
class FileSet {
 public:
  struct Options {
    columnar::OutputFormat format = columnar::OutputFormat::kCsv;
    std::string path;  // the file, or the folder
    bool folder = false;
    int64_t records_per_file = 0;  // 0 = all in one
  };
  explicit FileSet(Options options) : options_(std::move(options)) {}

  // Opens the first file; a null schema means no columns. Errors: those of the file system, naming the file.
  Status Start(const std::shared_ptr<arrow::Schema>& schema);
  Status Write(const arrow::RecordBatch& batch);
  Status Close();
  int64_t rows() const { return rows_; }

 private:
  Status Open();

  Options options_;
  std::string name_;
  int64_t in_file_ = 0, rows_ = 0;
  int files_ = 0;
  std::shared_ptr<arrow::Schema> schema_;
  std::ofstream file_;
  std::unique_ptr<columnar::RowWriter> writer_;
};

}  // namespace sluice::cli
