#include "ingest/rejects.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

namespace sluice::ingest {
namespace {

constexpr size_t kKept = 100;
constexpr size_t kShown = 5;

}  // namespace

Result<std::unique_ptr<RejectLog>> RejectLog::Open(OnError policy, const std::string& path) {
  std::FILE* file = nullptr;
  if (!path.empty()) {
    file = std::fopen(path.c_str(), "ae");
    if (!file) return FromErrno(errno, fmt::format("cannot open rejects file '{}'", path));
  }
  return std::unique_ptr<RejectLog>(new RejectLog(policy, path, file));
}

RejectLog::~RejectLog() {
  if (file_) std::fclose(file_);
}

Status RejectLog::Add(const std::string& input, const std::vector<columnar::Reject>& rejects) {
  count_ += static_cast<int64_t>(rejects.size());
  for (const auto& reject : rejects) {
    if (first_.size() < kKept) first_.push_back(reject);
    if (!file_ || policy_ != OnError::kSkip) continue;
    nlohmann::ordered_json row = {
        {"input", input},        {"record", reject.record}, {"line", reject.line}, {"column", reject.column},
        {"value", reject.value}, {"reason", reject.reason}, {"raw", reject.raw}};
    if (reject.of_result) row["of"] = "result of the query";
    const std::string text = row.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    if (std::fwrite(text.data(), 1, text.size(), file_) != text.size()) {
      return FromErrno(errno, fmt::format("cannot write rejects file '{}'", path_));
    }
  }
  return {};
}

RejectLog::Mark RejectLog::mark() const {
  Mark mark{count_, first_.size(), -1};
  if (file_ && std::fflush(file_) == 0) mark.file_bytes = lseek(fileno(file_), 0, SEEK_END);
  return mark;
}

void RejectLog::BackTo(const Mark& mark) {
  if (count_ == mark.count) return;
  count_ = mark.count;
  first_.resize(std::min(first_.size(), mark.kept));
  if (!file_ || mark.file_bytes < 0 || std::fflush(file_) != 0) return;
  if (ftruncate(fileno(file_), mark.file_bytes) != 0) errno = 0;
}

Status RejectLog::Sync() {
  if (!file_) return {};
  if (std::fflush(file_) != 0) return FromErrno(errno, fmt::format("cannot write rejects file '{}'", path_));
  // A pipe or a terminal has nothing to sync.
  if (fsync(fileno(file_)) != 0 && errno != EINVAL && errno != EROFS) {
    return FromErrno(errno, fmt::format("cannot sync rejects file '{}'", path_));
  }
  return {};
}

std::string Describe(const columnar::Reject& reject) {
  std::string text;
  if (reject.line > 0) text += fmt::format("line {}, ", reject.line);
  text += reject.of_result ? fmt::format("row {} of the query's result", reject.record)
                           : fmt::format("record {}", reject.record);
  if (!reject.column.empty()) text += fmt::format(", column '{}'", reject.column);
  text += ": ";
  if (!reject.value.empty() && reject.reason.find(reject.value) == std::string::npos) {
    text += fmt::format("'{}': ", reject.value);
  }
  return text + reject.reason;
}

Error RejectLog::ToError(const std::string& input) const {
  std::string text = count_ == 1 ? "1 record does not fit the source"
                                 : fmt::format("{} records do not fit the source", count_);
  for (size_t i = 0; i < first_.size() && i < kShown; ++i) text += "\n  " + Describe(first_[i]);
  if (count_ > static_cast<int64_t>(kShown))
    text += fmt::format("\n  and {} more", count_ - static_cast<int64_t>(kShown));
  text += "\nnothing of it was committed; --on-error skip --rejects FILE keeps the good records";
  return Error(ErrorCode::kInvalidRecords, text).With(input);
}

}  // namespace sluice::ingest
