#include "poll/workspace_pull.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "base/mutex.h"
#include "multiformats/multihash.h"
#include "poll/last_pull.h"
#include "storage/file_lock.h"

namespace sluice::poll {

namespace {
std::string PullLockPath(const workspace::Workspace& workspace, const workspace::Entry& entry) {
  return workspace.root() + "/locks/pull-" + entry.id.ToMultibase();
}
}  // namespace

struct HeldDataset::Holds {
  const workspace::Workspace& workspace;
  const workspace::Entry entry;
  std::unique_ptr<storage::FileLock> lock;
  std::unique_ptr<workspace::Scratch> scratch;
  std::unique_ptr<dataset::Dataset> dataset;
};

HeldDataset::~HeldDataset() = default;

std::string SavepointsFolder(const workspace::Workspace& workspace) {
  return workspace.root() + "/cache/fetch";
}

std::string SavepointsFolder(const workspace::Workspace& workspace, const std::string& alias) {
  // Of the name, not the id: a dataset that is replaced by a better manifest needs no second download.
  return SavepointsFolder(workspace) + "/" + multiformats::Sha3Multihash(alias).ToString();
}

Result<uint64_t> DropAllSavepoints(const workspace::Workspace& workspace) {
  namespace fs = std::filesystem;
  std::vector<std::unique_ptr<storage::FileLock>> idle;
  std::vector<std::string> busy;
  ASSIGN_OR_RETURN(const auto entries, workspace.List());
  for (const auto& entry : entries) {
    auto lock = storage::FileLock::Acquire(PullLockPath(workspace, entry), std::chrono::milliseconds(0));
    if (lock.ok()) idle.push_back(std::move(*lock));
    if (!lock.ok()) busy.push_back(SavepointsFolder(workspace, entry.alias));
  }
  uint64_t bytes = 0;
  std::error_code error;
  for (fs::directory_iterator it(SavepointsFolder(workspace), error), end; !error && it != end;
       it.increment(error)) {
    const auto folder = it->path();
    if (std::find(busy.begin(), busy.end(), folder.string()) != busy.end()) continue;
    std::error_code ignored;
    for (fs::directory_iterator file(folder, ignored), last; !ignored && file != last;
         file.increment(ignored))
      bytes += file->is_regular_file(ignored) ? file->file_size(ignored) : 0;
    RETURN_IF_ERROR(fetch::DropSavepoints(folder.string()));
  }
  return bytes;
}

Result<std::unique_ptr<HeldDataset>> HeldDataset::Take(const workspace::Workspace& workspace,
                                                       const workspace::Entry& entry,
                                                       std::chrono::milliseconds wait, std::stop_token stop) {
  std::unique_ptr<HeldDataset> held(new HeldDataset());
  held->holds_.reset(new Holds{workspace, entry, nullptr, nullptr, nullptr});
  auto& holds = *held->holds_;
  const std::string folder_name = entry.id.ToMultibase();
  auto lock = storage::FileLock::Acquire(PullLockPath(workspace, entry), wait, stop);
  if (!lock.ok() && lock.error().code() == ErrorCode::kCancelled) return std::move(lock).error();
  if (!lock.ok())
    return std::move(lock).error().With(fmt::format("another pull of dataset '{}' is running", entry.alias));
  holds.lock = std::move(*lock);
  ASSIGN_OR_RETURN(holds.scratch, workspace.MakeScratch(entry.id));
  ASSIGN_OR_RETURN(holds.dataset, workspace.Open(entry));
  auto& target = held->target_;
  target.alias = entry.alias;
  target.dataset = holds.dataset.get();
  target.begin_commit = [&workspace, dataset_id = entry.id] { return workspace.BeginCommit(dataset_id); };
  target.scratch_folder = holds.scratch->folder();
  target.savepoint_folder = SavepointsFolder(workspace, entry.alias);
  target.taken_files_path = workspace.root() + "/derived/" + folder_name + "/taken-files";
  return held;
}

namespace {

Status PullOne(const workspace::Entry& entry, const PullAllOptions& options, Mutex& mutex,
               PullOutcome* outcome) {
  std::unique_ptr<workspace::Workspace> workspace;
  PullSettings settings;
  PullProgress* progress = nullptr;
  {
    MutexLock lock(mutex);
    ASSIGN_OR_RETURN(workspace, options.open_workspace());
    ASSIGN_OR_RETURN(settings, options.settings_for(entry));
    if (options.progress_for) progress = options.progress_for(entry);
  }
  ASSIGN_OR_RETURN(const auto held, HeldDataset::Take(*workspace, entry, options.lock_timeout, options.stop));
  return held->Pull(settings, progress, outcome);
}

}  // namespace

Status HeldDataset::Pull(const PullSettings& settings, PullProgress* progress, PullOutcome* outcome) const {
  LastPull last;
  last.start = settings.clock->Now();
  auto status = poll::Pull(target_, settings, progress, outcome);
  last.end = settings.clock->Now();
  if (!status.ok()) last.error = status.error().ToString();
  // One that was interrupted says nothing of the source, and a dataset without one was not pulled.
  const bool is_told = status.ok() ? outcome->has_source : status.error().code() != ErrorCode::kCancelled;
  if (is_told) SaveLastPull(holds_->workspace, holds_->entry, last);
  return status;
}

bool MayBePulled(const workspace::Workspace& workspace, const workspace::Entry& entry) {
  const auto dataset = workspace.Open(entry);
  return !dataset.ok() || (*dataset)->state().polling_source.has_value();
}

void PullAll(const std::vector<workspace::Entry>& entries, const PullAllOptions& options) {
  Mutex mutex;
  std::atomic<size_t> next{0};
  auto work = [&] {
    for (size_t i = next++; i < entries.size(); i = next++) {
      PullOutcome outcome;
      const auto status = PullOne(entries[i], options, mutex, &outcome);
      MutexLock lock(mutex);
      options.on_done(entries[i], status, outcome);
    }
  };
  std::vector<std::jthread> threads;
  const size_t count = std::min<size_t>(static_cast<size_t>(std::max(1, options.jobs)), entries.size());
  for (size_t i = 1; i < count; ++i) threads.emplace_back(work);
  work();
}

}  // namespace sluice::poll
