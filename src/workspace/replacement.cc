#include <filesystem>
#include <sstream>

#include "dataset/dataset.h"
#include "workspace/workspace.h"

// Datasets come into sight, and those that they replace go, by several renames. What is to be done is written
// down first, durably, in `.sluice/replacing`: one line `NEW OLD` a dataset, OLD `-` for none. Whoever finds
// the file does the rest, so that a crash between two renames loses neither the old dataset nor the new one.
namespace sluice::workspace {
namespace {

namespace fs = std::filesystem;
constexpr char kPlanName[] = "replacing";
constexpr std::chrono::milliseconds kPause{20};

bool HasHead(const std::string& folder) {
  std::error_code ignored;
  return fs::exists(folder + "/" + dataset::kHeadName, ignored);
}

}  // namespace

bool Workspace::HasReplacementPlan() const {
  std::error_code ignored;
  return fs::exists(root_ + "/" + kPlanName, ignored);
}

Status Workspace::EndReplacement() const {
  const auto end = std::chrono::steady_clock::now() + lock_timeout_;
  while (HasReplacementPlan()) {
    auto lock = storage::FileLock::Acquire(root_ + "/locks/workspace", kPause, stop_);
    if (lock.ok()) return FinishReplacement();
    const bool wait =
        lock.error().code() == ErrorCode::kUnavailable && std::chrono::steady_clock::now() < end;
    if (!wait) return std::move(lock).error();
  }
  return {};
}

Status Workspace::PlanReplacement(const std::vector<NewDataset>& datasets) const {
  std::string plan;
  for (const auto& dataset : datasets) {
    plan += fmt::format("{} {}\n", dataset.key.id().ToMultibase(),
                        dataset.replaces ? dataset.replaces->id.ToMultibase() : "-");
  }
  ASSIGN_OR_RETURN(auto storage, storage::OpenLocalStorage(root_));
  return storage->Replace(kPlanName, plan);
}

Status Workspace::FinishReplacement() const {
  ASSIGN_OR_RETURN(auto storage, storage::OpenLocalStorage(root_));
  auto plan = storage->Get(kPlanName);
  if (!plan.ok()) return plan.error().code() == ErrorCode::kNotFound ? OkStatus() : Status(plan.error());
  std::istringstream lines(*plan);
  std::string new_name, old_name;
  while (lines >> new_name >> old_name) {
    ASSIGN_OR_RETURN(auto id, multiformats::DatasetId::ParseMultibase(new_name));
    // Nothing is taken away for a dataset that is not there whole.
    const bool hidden = HasHead(HiddenFolder(id));
    if (!hidden && !HasHead(DatasetFolder(id))) continue;
    if (old_name != "-") {
      ASSIGN_OR_RETURN(auto old_id, multiformats::DatasetId::ParseMultibase(old_name));
      auto gone = Hide(old_id);
      if (!gone.ok() && gone.error().code() != ErrorCode::kNotFound) return std::move(gone).error();
    }
    if (!hidden) continue;
    std::error_code error;
    fs::rename(HiddenFolder(id), DatasetFolder(id), error);
    if (error) return FromErrno(error.value(), fmt::format("cannot make folder '{}'", DatasetFolder(id)));
  }
  RETURN_IF_ERROR(SyncDatasets());
  return storage->Delete(kPlanName);
}

}  // namespace sluice::workspace
