#include <filesystem>

#include "workspace/holding_internal.h"
#include "workspace/workspace.h"

namespace sluice::workspace {

Result<std::unique_ptr<index::KeyIndex>> OpenIndex(const std::string& folder) {
  ASSIGN_OR_RETURN(auto index, index::KeyIndex::Open(folder));
  // Any call opens the database. One that is damaged is derived anew: everything in it is in the datasets.
  auto opened = index->ListSets(multiformats::DatasetId());
  if (opened.ok()) return index;
  if (opened.error().code() != ErrorCode::kCorruption) return std::move(opened).error();
  (void)index->Close().ok();
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  if (error) return FromErrno(error.value(), fmt::format("cannot remove the damaged key index '{}'", folder));
  return index::KeyIndex::Open(folder);
}

// One commit of the holder: the dataset's lock, and from its first use the index's turn.
class HeldIndex final : public index::GuardedIndex {
 public:
  HeldIndex(Holding& holding, std::unique_ptr<storage::FileLock> dataset)
      : holding_(holding), dataset_(std::move(dataset)) {}
  Result<index::KeyIndex*> Index() override {
    if (!turn_.owns_lock()) turn_ = std::unique_lock(holding_.index_mutex_);
    if (!holding_.index_) {
      ASSIGN_OR_RETURN(holding_.index_, OpenIndex(holding_.index_folder_));
    }
    return holding_.index_.get();
  }

 private:
  Holding& holding_;
  std::unique_ptr<storage::FileLock> dataset_;
  std::unique_lock<std::mutex> turn_;
};

Holding::~Holding() {
  // The index is closed before the lock that guards it is given up.
  if (index_) (void)index_->Close().ok();
  index_.reset();
}

Result<std::unique_lock<std::timed_mutex>> Holding::LockNames(std::chrono::milliseconds wait) {
  std::unique_lock lock(names_, wait);
  if (!lock.owns_lock())
    return MakeError(ErrorCode::kUnavailable, "another change of the workspace takes too long; try again");
  return lock;
}

std::unique_ptr<index::GuardedIndex> Holding::Begin(std::unique_ptr<storage::FileLock> dataset) {
  return std::make_unique<HeldIndex>(*this, std::move(dataset));
}

Status Workspace::Hold() {
  if (holding_) return {};
  ASSIGN_OR_RETURN(auto lock, storage::FileLock::Acquire(root_ + "/locks/workspace", lock_timeout_, stop_));
  holding_ = std::make_shared<Holding>(root_ + "/index", std::move(lock));
  return {};
}

void Workspace::Release() { holding_.reset(); }

Result<Workspace::RootLock> Workspace::LockRoot(const std::optional<multiformats::DatasetId>& dataset) const {
  RootLock root;
  if (holding_) {
    if (dataset) return root;  // the dataset's own lock is enough
    ASSIGN_OR_RETURN(auto held, holding_->LockNames(lock_timeout_));
    root.lock = std::make_shared<std::unique_lock<std::timed_mutex>>(std::move(held));
    return root;
  }
  const std::string path = root_ + "/locks/workspace";
  auto lock = storage::FileLock::Acquire(path, std::chrono::milliseconds(0), stop_);
  if (!lock.ok() && ask_for_turn_) {
    auto turn = ask_for_turn_(dataset);
    if (!turn.ok() && turn.error().code() != ErrorCode::kNotFound) return std::move(turn).error();
    if (turn.ok()) root.turn = std::move(*turn);
  }
  if (!lock.ok()) lock = storage::FileLock::Acquire(path, lock_timeout_, stop_);
  if (!lock.ok()) return std::move(lock).error();
  root.lock = std::shared_ptr<storage::FileLock>(std::move(*lock));
  return root;
}

}  // namespace sluice::workspace
