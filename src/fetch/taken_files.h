#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "fetch/file_stamp.h"

namespace sluice::fetch {

// Which files a filesGlob source has taken, and what they looked like: tells late and changed ones. Derived
// data of this machine: when it is lost, what lies before the source's state counts as taken. Confined to one
// thread and, by the lock of a pull, to one process.
class TakenFiles {
 public:
  // `has_state`: whether the source has a state; without one the index starts anew. `rows`: how many the
  // dataset has. They tell, also after a compaction, whether files that were announced, but not confirmed,
  // were committed, and which files a reset took out again. `path` may be empty: nothing is kept. Errors:
  // I/O.
  static Result<std::unique_ptr<TakenFiles>> Load(const std::string& path, bool has_state, uint64_t rows);

  // Nothing was known when it was loaded.
  bool is_new() const { return is_new_; }
  bool Has(const std::string& file, const FileStamp& stamp) const;
  Status Record(const std::vector<std::string>& files);
  // Says, durably, that a commit with these files is next; Confirm says that it is made, and how many rows
  // the dataset had after each of them.
  Status Announce(std::vector<std::string> files);
  Status Confirm(const std::vector<uint64_t>& rows_after);

 private:
  struct Seen {
    uint64_t bytes = 0;
    Instant changed;
    uint64_t rows = 0;  // of the dataset when it was taken
  };
  using Files = std::vector<std::pair<std::string, Seen>>;
  TakenFiles(std::string path, uint64_t rows) : path_(std::move(path)), rows_(rows) {}
  Status ReadAll();
  Status ResolveAnnounced();
  Status Append(const Files& files);

  std::string path_;
  uint64_t rows_;
  bool is_new_ = true;
  std::unordered_map<std::string, Seen> seen_;
  Files announced_;
};

}  // namespace sluice::fetch
