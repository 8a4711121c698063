#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "columnar/reject.h"

namespace sluice::ingest {

enum class OnError { kFail, kSkip };

// What becomes of bad records: they are counted, the first ones kept for the message, and with kSkip written
// to a file, one JSON object a line {input, record, line, column, value, reason, raw}, with an `of` where the
// record is a row of a query's result. Confined to one thread.
class RejectLog {
 public:
  // `path` may be empty: count only. Errors: what opening the file brings.
  static Result<std::unique_ptr<RejectLog>> Open(OnError policy, const std::string& path);
  ~RejectLog();

  Status Add(const std::string& input, const std::vector<columnar::Reject>& rejects);
  // Where the log stands, and back to there: what was not committed left no bad records. A file that cannot
  // be cut (a pipe) keeps its lines.
  struct Mark {
    int64_t count = 0;
    size_t kept = 0;
    int64_t file_bytes = -1;
  };
  Mark mark() const;
  void BackTo(const Mark& mark);

  // Makes the file durable. Called before the commit, so that no bad record is lost when the good ones are
  // in.
  Status Sync();

  OnError policy() const { return policy_; }
  int64_t count() const { return count_; }
  const std::vector<columnar::Reject>& first() const { return first_; }
  // kInvalidRecords that names the first bad records and the count.
  Error ToError(const std::string& input) const;

 private:
  RejectLog(OnError policy, std::string path, std::FILE* file)
      : policy_(policy), path_(std::move(path)), file_(file) {}

  OnError policy_;
  std::string path_;
  std::FILE* file_;
  int64_t count_ = 0;
  std::vector<columnar::Reject> first_;
};

// `line 3, record 2, column 'population': 'abc' is not an integer`.
std::string Describe(const columnar::Reject& reject);

}  // namespace sluice::ingest
