#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "columnar/keys.h"

// Many rows in, RocksDB files in key order out.
namespace sluice::index {

struct SortedFilesOptions {
  std::string folder;             // for runs and files; made and removed here
  std::string prefix;             // put before every key
  int64_t run_bytes = 192 << 20;  // memory of one run, sorting included
  int64_t file_bytes = 48 << 20;
  int threads = 2;  // writers of files, where all rows are in memory
};

// External merge sort in which a later entry of a key replaces the earlier. Confined to one thread.
class SortedFiles {
 public:
  explicit SortedFiles(SortedFilesOptions options);
  ~SortedFiles();  // removes the folder
  SortedFiles(const SortedFiles&) = delete;
  SortedFiles& operator=(const SortedFiles&) = delete;

  // The value is `value_head` and `value_tail` together.
  Status Add(std::string_view key, std::string_view value_head, std::string_view value_tail);
  // No more entries. Afterwards the files: disjoint, in key order.
  Status Finish();
  const std::vector<std::string>& files() const { return files_; }

 private:
  Status MakeFolder();
  Status Spill();
  Status WriteFromMemory();
  Status WriteFromRuns();

  SortedFilesOptions options_;
  columnar::PackedBytes keys_;
  columnar::PackedBytes values_;
  int64_t memory_bytes_ = 0;
  bool folder_made_ = false;
  std::vector<std::string> runs_;
  std::vector<std::string> files_;
};

}  // namespace sluice::index
