// Who checks which file when. A file has two jobs: its bytes are hashed, together with those of other files
// in the lanes of one Keccak, and its content is read. Starting to hash a group offers its slices for
// reading, and reading goes before starting another group, so that a file's bytes come from the disk once
// even where a dataset is larger than memory.
#include <algorithm>
#include <deque>
#include <optional>
#include <thread>

#include "dataset/verify_internal.h"
#include "multiformats/sha3.h"

namespace sluice::dataset {
namespace {

constexpr size_t kLanes = 8;
// More files than lanes keep the lanes busy to the end; together they should still be in memory when they are
// read for their content.
constexpr size_t kMostFiles = 2 * kLanes;
constexpr uint64_t kGroupBytes = uint64_t{2} << 30;
constexpr uint64_t kPieceBytes = 512 << 10;

using Group = std::vector<const FileClaim*>;

class FileChecker {
 public:
  FileChecker(const storage::Storage& storage, const VerifyOptions& options,
              const std::function<void(uint64_t)>& done, Findings& findings)
      : storage_(storage), options_(options), done_(done), findings_(findings) {}

  Status Run(const std::vector<FileClaim>& files) {
    RETURN_IF_ERROR(Arrange(files));
    const size_t threads = std::clamp<size_t>(static_cast<size_t>(std::max(1, options_.threads)), 1, 256);
    {
      std::vector<std::jthread> workers;
      for (size_t i = 1; i < threads; ++i) workers.emplace_back([this] { Work(); });
      Work();
    }
    MutexLock lock(mutex_);
    if (error_) return *error_;
    return {};
  }

 private:
  struct Job {
    Group group;                       // to hash, or
    const FileClaim* slice = nullptr;  // to read
  };

  // Makes groups of files that are alike in size, of those that exist.
  Status Arrange(const std::vector<FileClaim>& files);
  void Work();
  std::optional<Job> Next() EXCLUDES(mutex_);
  Status Hash(const Group& group);
  Status CheckStop() const {
    if (options_.stop.stop_requested()) return MakeError(ErrorCode::kCancelled, "verification was stopped");
    return {};
  }

  const storage::Storage& storage_;
  const VerifyOptions& options_;
  const std::function<void(uint64_t)>& done_;
  Findings& findings_;
  Mutex mutex_;
  std::deque<Group> groups_ GUARDED_BY(mutex_);
  std::deque<const FileClaim*> slices_ GUARDED_BY(mutex_);
  std::optional<Error> error_ GUARDED_BY(mutex_);
};

Status FileChecker::Arrange(const std::vector<FileClaim>& files) {
  std::vector<const FileClaim*> present;
  for (const FileClaim& file : files) {
    RETURN_IF_ERROR(CheckStop());
    auto size = storage_.Size(file.name);
    if (!size.ok()) {
      if (size.error().code() != ErrorCode::kNotFound) return std::move(size).error();
      findings_.Add(file, rule::kFileMissing, "the block refers to a file that is not there");
      continue;
    }
    if (*size != file.size) {
      findings_.Add(file, rule::kSize, fmt::format("{} bytes where the block records {}", *size, file.size));
    }
    present.push_back(&file);
  }
  std::stable_sort(present.begin(), present.end(),
                   [](const FileClaim* a, const FileClaim* b) { return a->size > b->size; });
  // Half of the threads hash while the others read.
  const size_t hashing = static_cast<size_t>(std::max(1, options_.threads / 2));
  const size_t most = std::clamp<size_t>((present.size() + hashing - 1) / hashing, 1, kMostFiles);
  MutexLock lock(mutex_);
  for (auto at = present.begin(); at != present.end();) {
    Group group;
    uint64_t bytes = 0;
    while (at != present.end() && group.size() < most &&
           (group.size() < kLanes || bytes + (*at)->size <= kGroupBytes)) {
      bytes += (*at)->size;
      group.push_back(*at++);
    }
    groups_.push_back(std::move(group));
  }
  return {};
}

std::optional<FileChecker::Job> FileChecker::Next() {
  MutexLock lock(mutex_);
  if (error_) return std::nullopt;
  if (!slices_.empty()) {
    Job job{{}, slices_.front()};
    slices_.pop_front();
    return job;
  }
  if (groups_.empty()) return std::nullopt;
  Job job{std::move(groups_.front()), nullptr};
  groups_.pop_front();
  for (const FileClaim* file : job.group) {
    if (file->slice) slices_.push_back(file);
  }
  return job;
}

void FileChecker::Work() {
  while (auto job = Next()) {
    const Status status =
        job->slice ? CheckSlice(storage_, *job->slice, options_.stop, done_, findings_) : Hash(job->group);
    if (status.ok()) continue;
    MutexLock lock(mutex_);
    if (!error_) error_ = status.error();
    return;
  }
}

Status FileChecker::Hash(const Group& group) {
  multiformats::Sha3Lanes lanes(group.size());
  std::vector<std::string> pieces(group.size());
  std::vector<std::string_view> inputs(group.size());
  for (uint64_t at = 0;; at += kPieceBytes) {
    RETURN_IF_ERROR(CheckStop());
    uint64_t bytes = 0;
    for (size_t i = 0; i < group.size(); ++i) {
      // A piece that is not full was the last one.
      if (at > 0 && pieces[i].size() < kPieceBytes) {
        inputs[i] = {};
        continue;
      }
      auto piece = storage_.GetRange(group[i]->name, at, kPieceBytes);
      if (!piece.ok()) return std::move(piece).error().With(group[i]->name);
      pieces[i] = *std::move(piece);
      inputs[i] = pieces[i];
      bytes += inputs[i].size();
    }
    if (bytes == 0) break;
    lanes.Update(inputs);
    done_(bytes);
  }
  const auto digests = lanes.Finish();
  for (size_t i = 0; i < group.size(); ++i) {
    const Multihash actual(multiformats::HashCode::kSha3_256, digests[i]);
    if (actual == group[i]->physical_hash) continue;
    findings_.Add(*group[i], rule::kPhysicalHash, fmt::format("the file hashes to {}", actual.ToString()));
  }
  return {};
}

}  // namespace

Status CheckFiles(const storage::Storage& storage, const std::vector<FileClaim>& files,
                  const VerifyOptions& options, const std::function<void(uint64_t bytes)>& done,
                  Findings& findings) {
  RETURN_IF_ERROR(FileChecker(storage, options, done, findings).Run(files));
  const std::vector<FileClaim> objects = findings.TakeObjects();
  return FileChecker(storage, options, done, findings).Run(objects);
}

}  // namespace sluice::dataset
