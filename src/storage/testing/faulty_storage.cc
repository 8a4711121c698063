#include "storage/testing/faulty_storage.h"

#include "storage/name.h"

namespace sluice::storage {
namespace {

std::string_view WordOf(FaultyStorage::Step step) {
  switch (step) {
    case FaultyStorage::Step::kRead:
      return "read";
    case FaultyStorage::Step::kWrite:
      return "write";
    case FaultyStorage::Step::kSyncFile:
      return "sync of file";
    case FaultyStorage::Step::kRename:
      return "rename";
    case FaultyStorage::Step::kSyncFolder:
      return "sync of folder";
    case FaultyStorage::Step::kDelete:
      return "removal";
  }
  return "step";
}

}  // namespace

class FaultyStagedFile final : public StagedFile {
 public:
  FaultyStagedFile(FaultyStorage& storage, std::string folder, std::unique_ptr<StagedFile> inner)
      : storage_(storage), folder_(std::move(folder)), inner_(std::move(inner)) {}

  Status Append(std::string_view bytes) override {
    const auto outcome = storage_.Take(FaultyStorage::Step::kWrite, folder_);
    if (outcome.has_effect) {
      RETURN_IF_ERROR(inner_->Append(bytes));
    } else {
      RETURN_IF_ERROR(inner_->Append(bytes.substr(0, bytes.size() / 2)));
    }
    return outcome.status;
  }
  uint64_t size() const override { return inner_->size(); }
  std::string local_path() const override { return inner_->local_path(); }
  Result<std::string> ReadAt(uint64_t offset, uint64_t size) override {
    RETURN_IF_ERROR(storage_.Read(folder_));
    return inner_->ReadAt(offset, size);
  }
  Status Commit(const std::string& name) override {
    RETURN_IF_ERROR(CheckName(name));
    ASSIGN_OR_RETURN(const bool there, storage_.IsThere(name));
    ASSIGN_OR_RETURN(const bool synced, storage_.SyncNew(name));
    if (there) {
      RETURN_IF_ERROR(inner_->Commit(name));
      RETURN_IF_ERROR(storage_.SyncContent(name));
    } else {
      RETURN_IF_ERROR(storage_.Name(name, synced, [&]() -> Status {
        // A name whose sync failed before is made anew.
        ASSIGN_OR_RETURN(const bool stale, storage_.inner_.Exists(name));
        if (stale) RETURN_IF_ERROR(storage_.inner_.Delete(name));
        return inner_->Commit(name);
      }));
    }
    return storage_.SyncFolderOf(name);
  }

 private:
  FaultyStorage& storage_;
  const std::string folder_;
  std::unique_ptr<StagedFile> inner_;
};

void FaultyStorage::SetPlan(Plan plan) {
  MutexLock lock(mutex_);
  plan_ = std::move(plan);
  calls_.clear();
  fired_ = false;
}

uint64_t FaultyStorage::calls() const {
  MutexLock lock(mutex_);
  return calls_.size();
}

bool FaultyStorage::fired() const {
  MutexLock lock(mutex_);
  return fired_;
}

std::vector<FaultyStorage::Call> FaultyStorage::Calls() const {
  MutexLock lock(mutex_);
  return calls_;
}

std::vector<std::string> FaultyStorage::NotDurable() const {
  std::vector<std::string> names;
  MutexLock lock(mutex_);
  for (const auto& [name, state] : unsettled_) names.push_back(name);
  return names;
}

FaultyStorage::Outcome FaultyStorage::Take(Step step, const std::string& name) const {
  Call call{0, step, name};
  std::function<void(const Call&)> before;
  Outcome outcome;
  {
    MutexLock lock(mutex_);
    const auto failure = [&]() NO_THREAD_SAFETY_ANALYSIS {
      return MakeError(plan_.code, "injected fault at call {}: {} '{}'", call.number, WordOf(step), name);
    };
    if (fired_ && (plan_.fault == Fault::kHalt || plan_.fault == Fault::kLate)) {
      call.number = calls_.size();
      return {failure(), false};
    }
    if (step == Step::kRead && !plan_.count_reads) return outcome;
    call.number = calls_.size() + 1;
    calls_.push_back(call);
    before = plan_.before;
    if (call.number == plan_.at_call) {
      fired_ = true;
      const bool is_sync = step == Step::kSyncFile || step == Step::kSyncFolder;
      if (plan_.fault == Fault::kForget) {
        outcome.has_effect = !is_sync;
      } else {
        outcome = {failure(), plan_.fault == Fault::kLate};
      }
    }
  }
  if (before) before(call);
  return outcome;
}

template <class Effect>
Status FaultyStorage::Run(Step step, const std::string& name, Effect effect) const {
  const Outcome outcome = Take(step, name);
  if (outcome.has_effect) RETURN_IF_ERROR(effect());
  return outcome.status;
}

Status FaultyStorage::Read(const std::string& name) const {
  return Run(Step::kRead, name, [] { return OkStatus(); });
}

Result<std::string> FaultyStorage::Get(const std::string& name) const {
  RETURN_IF_ERROR(Read(name));
  return inner_.Get(name);
}

Result<std::string> FaultyStorage::GetRange(const std::string& name, uint64_t offset, uint64_t size) const {
  RETURN_IF_ERROR(Read(name));
  return inner_.GetRange(name, offset, size);
}

Result<uint64_t> FaultyStorage::Size(const std::string& name) const {
  RETURN_IF_ERROR(Read(name));
  return inner_.Size(name);
}

Result<bool> FaultyStorage::Exists(const std::string& name) const {
  RETURN_IF_ERROR(Read(name));
  return inner_.Exists(name);
}

Result<std::vector<std::string>> FaultyStorage::List(const std::string& prefix) const {
  RETURN_IF_ERROR(Read(prefix));
  return inner_.List(prefix);
}

Result<bool> FaultyStorage::IsThere(const std::string& name) const {
  {
    MutexLock lock(mutex_);
    auto it = unsettled_.find(name);
    if (it != unsettled_.end() && it->second.distrusted) return false;
  }
  return inner_.Exists(name);
}

Result<bool> FaultyStorage::SyncNew(const std::string& name) {
  bool synced = false;
  RETURN_IF_ERROR(Run(Step::kSyncFile, name, [&] {
    synced = true;
    return OkStatus();
  }));
  return synced;
}

Result<bool> FaultyStorage::WriteAndSync(const std::string& name) {
  RETURN_IF_ERROR(Run(Step::kWrite, name, [] { return OkStatus(); }));
  return SyncNew(name);
}

void FaultyStorage::Begin(const std::string& name, bool content_synced) {
  auto current = inner_.Get(name);
  MutexLock lock(mutex_);
  auto [it, is_new] = unsettled_.try_emplace(name);
  if (is_new && current.ok()) it->second.durable = std::move(current).value();
  it->second.content_synced = content_synced;
  it->second.name_synced = false;
  it->second.distrusted = false;
}

Status FaultyStorage::Name(const std::string& name, bool content_synced,
                           const std::function<Status()>& change) {
  return Run(Step::kRename, name, [&]() -> Status {
    Begin(name, content_synced);
    return change();
  });
}

Status FaultyStorage::SyncContent(const std::string& name) {
  const Outcome outcome = Take(Step::kSyncFile, name);
  MutexLock lock(mutex_);
  auto it = unsettled_.find(name);
  if (it != unsettled_.end()) {
    if (!outcome.status.ok()) it->second.distrusted = true;
    if (outcome.has_effect && !it->second.distrusted) it->second.content_synced = true;
  }
  return outcome.status;
}

Status FaultyStorage::SyncFolderOf(const std::string& name) {
  const std::string folder(FolderOf(name));
  const Outcome outcome = Take(Step::kSyncFolder, folder);
  MutexLock lock(mutex_);
  for (auto it = unsettled_.begin(); it != unsettled_.end();) {
    Unsettled& state = it->second;
    if (FolderOf(it->first) == folder) {
      if (!outcome.status.ok()) state.distrusted = true;
      if (outcome.has_effect && !state.distrusted) state.name_synced = true;
    }
    it = state.name_synced && state.content_synced ? unsettled_.erase(it) : std::next(it);
  }
  return outcome.status;
}

Status FaultyStorage::SyncFolders(const std::set<std::string>& folders) {
  for (const std::string& folder : folders) {
    RETURN_IF_ERROR(SyncFolderOf(folder.empty() ? "x" : folder + "/x"));
  }
  return {};
}

Status FaultyStorage::PutIfAbsent(const std::string& name, std::string_view bytes) {
  return PutAllIfAbsent({{name, std::string(bytes)}});
}

Status FaultyStorage::PutAllIfAbsent(const std::vector<std::pair<std::string, std::string>>& objects) {
  std::set<std::string> folders;
  for (const auto& [name, bytes] : objects) RETURN_IF_ERROR(CheckName(name));
  std::vector<std::pair<const std::pair<std::string, std::string>*, bool>> written;
  for (const auto& object : objects) {
    folders.emplace(FolderOf(object.first));
    ASSIGN_OR_RETURN(const bool there, IsThere(object.first));
    if (there) {
      RETURN_IF_ERROR(SyncContent(object.first));
    } else {
      RETURN_IF_ERROR(Run(Step::kWrite, object.first, [] { return OkStatus(); }));
      written.emplace_back(&object, false);
    }
  }
  for (auto& [object, synced] : written) {
    ASSIGN_OR_RETURN(synced, SyncNew(object->first));
  }
  for (const auto& [object, synced] : written) {
    const auto& [name, bytes] = *object;
    ASSIGN_OR_RETURN(const bool there, IsThere(name));  // twice in one list
    if (there) continue;
    RETURN_IF_ERROR(Name(name, synced, [&] { return inner_.Replace(name, bytes); }));
  }
  return SyncFolders(folders);
}

Status FaultyStorage::Replace(const std::string& name, std::string_view bytes) {
  RETURN_IF_ERROR(CheckName(name));
  ASSIGN_OR_RETURN(const bool synced, WriteAndSync(name));
  RETURN_IF_ERROR(Name(name, synced, [&] { return inner_.Replace(name, bytes); }));
  return SyncFolderOf(name);
}

Status FaultyStorage::ReplaceUnsynced(const std::string& name, std::string_view bytes) {
  RETURN_IF_ERROR(CheckName(name));
  RETURN_IF_ERROR(Run(Step::kWrite, name, [] { return OkStatus(); }));
  return Name(name, false, [&] { return inner_.Replace(name, bytes); });
}

Status FaultyStorage::CompareAndSwap(const std::string& name, const std::optional<std::string>& expected,
                                     std::string_view bytes) {
  RETURN_IF_ERROR(CheckName(name));
  RETURN_IF_ERROR(Read(name));
  std::optional<std::string> found;
  ASSIGN_OR_RETURN(const bool exists, inner_.Exists(name));
  if (exists) {
    ASSIGN_OR_RETURN(found, inner_.Get(name));
  }
  if (found != expected) return ConflictOf(name, expected, found);
  ASSIGN_OR_RETURN(const bool synced, WriteAndSync(name));
  Status outcome = Name(name, synced, [&] { return inner_.Replace(name, bytes); });
  if (outcome.ok()) outcome = SyncFolderOf(name);
  if (outcome.ok()) return outcome;
  return MakeError(ErrorCode::kCommitUnknown, "it is not known whether '{}' was changed: {}", name,
                   outcome.error().ToString());
}

Result<std::unique_ptr<StagedFile>> FaultyStorage::Stage(const std::string& folder) {
  ASSIGN_OR_RETURN(auto inner, inner_.Stage(folder));
  return std::unique_ptr<StagedFile>(std::make_unique<FaultyStagedFile>(*this, folder, std::move(inner)));
}

Status FaultyStorage::Sync(const std::vector<std::string>& names) {
  std::set<std::string> folders;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const bool exists, inner_.Exists(name));
    if (!exists) return NotFound("no '{}'", name);
    RETURN_IF_ERROR(SyncContent(name));
    folders.emplace(FolderOf(name));
  }
  return SyncFolders(folders);
}

Status FaultyStorage::SyncAll() {
  const Outcome outcome = Take(Step::kSyncFolder, "");
  MutexLock lock(mutex_);
  for (auto it = unsettled_.begin(); it != unsettled_.end();) {
    if (!outcome.status.ok()) it->second.distrusted = true;
    it = outcome.has_effect && !it->second.distrusted ? unsettled_.erase(it) : std::next(it);
  }
  return outcome.status;
}

Status FaultyStorage::Delete(const std::string& name) {
  ASSIGN_OR_RETURN(const bool exists, inner_.Exists(name));
  if (!exists) return {};
  RETURN_IF_ERROR(Run(Step::kDelete, name, [&]() -> Status {
    Begin(name, true);
    return inner_.Delete(name);
  }));
  return SyncFolderOf(name);
}

Status FaultyStorage::Crash(Keep keep) {
  std::map<std::string, Unsettled> unsettled;
  {
    MutexLock lock(mutex_);
    unsettled.swap(unsettled_);
    plan_ = {};
    calls_.clear();
    fired_ = false;
  }
  if (keep == Keep::kAll) return {};
  for (const auto& [name, state] : unsettled) {
    ASSIGN_OR_RETURN(const bool exists, inner_.Exists(name));
    if (state.name_synced || keep == Keep::kNames) {
      if (!exists || state.content_synced) continue;
      ASSIGN_OR_RETURN(const std::string content, inner_.Get(name));
      RETURN_IF_ERROR(inner_.Replace(name, std::string_view(content).substr(0, content.size() / 2)));
    } else if (state.durable) {
      RETURN_IF_ERROR(inner_.Replace(name, *state.durable));
    } else if (exists) {
      RETURN_IF_ERROR(inner_.Delete(name));
    }
  }
  return {};
}

}  // namespace sluice::storage
