#include "workspace/workspace.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "base/names.h"
#include "base/random.h"
#include "odf/yaml.h"
#include "storage/disk.h"
#include "storage/file_lock.h"
#include "workspace/config.h"
#include "workspace/holding_internal.h"
#include "workspace/secrets.h"

namespace sluice::workspace {
namespace {

namespace fs = std::filesystem;
constexpr char kVersion[] = "1";
constexpr int kLeftoverAgeSeconds = 24 * 3600;
constexpr char kScratchLock[] = ".lock";
constexpr char kNoDataset[] = "query";  // in the place of an id in a scratch folder's name
// All writers of the workspace wait as long.
constexpr std::chrono::milliseconds kReadersPatience{2000};
// Folders of datasets that are not complete yet, and of those that are being removed.
constexpr char kNewPrefix[] = ".new-";
constexpr char kDeletedPrefix[] = ".deleted-";

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

std::string Trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

// A creation without a head. With data there was one once: that is damage, and nothing to remove.
bool IsUnfinished(const fs::path& folder) {
  std::error_code error;
  if (fs::exists(folder / "refs" / "head", error) || error) return false;
  const bool no_data = !fs::exists(folder / "data", error) || fs::is_empty(folder / "data", error);
  return no_data && !error;
}

class LockedFolder final : public Scratch {
 public:
  LockedFolder(std::string folder, std::unique_ptr<storage::FileLock> lock)
      : folder_(std::move(folder)), lock_(std::move(lock)) {}
  ~LockedFolder() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
    fs::remove(folder_ + kScratchLock, ignored);
  }
  const std::string& folder() const override { return folder_; }

 private:
  std::string folder_;
  std::unique_ptr<storage::FileLock> lock_;
};

class LockedIndex final : public index::GuardedIndex {
 public:
  LockedIndex(std::string folder, std::shared_ptr<void> turn, std::shared_ptr<void> workspace,
              std::unique_ptr<storage::FileLock> dataset, std::unique_ptr<Scratch> scratch)
      : folder_(std::move(folder)),
        turn_(std::move(turn)),
        workspace_(std::move(workspace)),
        dataset_(std::move(dataset)),
        scratch_(std::move(scratch)) {}
  ~LockedIndex() override {
    // The index is closed before the lock that guards it is given up.
    if (index_) (void)index_->Close().ok();
    index_.reset();
  }
  Result<index::KeyIndex*> Index() override {
    if (!index_) {
      ASSIGN_OR_RETURN(index_, OpenIndex(folder_));
    }
    return index_.get();
  }

 private:
  std::string folder_;
  std::shared_ptr<void> turn_, workspace_;  // the lock is given up before the turn
  std::unique_ptr<storage::FileLock> dataset_;
  std::unique_ptr<Scratch> scratch_;
  std::unique_ptr<index::KeyIndex> index_;
};

}  // namespace

Result<std::unique_ptr<Workspace>> Workspace::Init(const std::string& folder, bool exists_ok) {
  std::error_code error;
  const fs::path root = (fs::absolute(folder, error) / ".sluice").lexically_normal();
  if (fs::exists(root / "version", error)) {
    if (!exists_ok)
      return MakeError(ErrorCode::kAlreadyExists, "directory is already a sluice workspace: '{}'", folder);
    return std::unique_ptr<Workspace>(new Workspace(root.string()));
  }
  for (const char* name : {"datasets", "derived", "keys", "locks", "tmp"}) {
    RETURN_IF_ERROR(storage::MakeFolders(storage::Disk::Real(), (root / name).string()));
  }
  // Also when an earlier attempt got no further than this and its names may not be durable.
  RETURN_IF_ERROR(storage::SyncFolder(storage::Disk::Real(), root.parent_path().string()));
  for (const char* name : {"keys", "tmp"}) {
    fs::permissions(root / name, fs::perms::owner_all, error);
    if (error)
      return FromErrno(error.value(), fmt::format("cannot protect folder '{}'", (root / name).string()));
  }
  // The version comes last: a workspace without one was not finished.
  ASSIGN_OR_RETURN(auto storage, storage::OpenLocalStorage(root.string()));
  RETURN_IF_ERROR(storage->Replace("version", kVersion));
  return std::unique_ptr<Workspace>(new Workspace(root.string()));
}

Result<std::unique_ptr<Workspace>> Workspace::Find(const std::string& from,
                                                   const std::string& override_folder) {
  std::error_code error;
  fs::path folder = fs::absolute(override_folder.empty() ? from : override_folder, error);
  while (true) {
    std::ifstream version(folder / ".sluice" / "version");
    if (version) {
      std::string text;
      version >> text;
      if (text != kVersion) {
        return Unsupported("workspace '{}' has version '{}'; this program knows version {}", folder.string(),
                           text, kVersion);
      }
      std::unique_ptr<Workspace> workspace(new Workspace((folder / ".sluice").string()));
      RETURN_IF_ERROR(workspace->EndReplacement());
      workspace->RemoveLeftovers();
      return workspace;
    }
    if (!override_folder.empty() || folder == folder.parent_path()) break;
    folder = folder.parent_path();
  }
  return NotFound("Directory is not a sluice workspace; make one with 'sluice init'");
}

std::string Workspace::DatasetFolder(const multiformats::DatasetId& id) const {
  return root_ + "/datasets/" + id.ToMultibase();
}

Result<dataset::DatasetStores> Workspace::StoresOf(const multiformats::DatasetId& id) const {
  dataset::DatasetStores stores;
  ASSIGN_OR_RETURN(stores.files, storage::OpenLocalStorage(DatasetFolder(id)));
  ASSIGN_OR_RETURN(stores.derived, storage::OpenLocalStorage(root_ + "/derived/" + id.ToMultibase()));
  std::lock_guard lock(failures_mutex_);
  auto& failures = failures_[id];
  if (!failures) failures = std::make_shared<dataset::SyncFailures>();
  stores.failures = failures;
  return stores;
}

Result<std::unique_ptr<Scratch>> Workspace::MakeScratch(
    const std::optional<multiformats::DatasetId>& id) const {
  const std::string folder =
      fmt::format("{}/{}-{}", temp_folder(), id ? id->ToMultibase() : kNoDataset, RandomName(16));
  std::error_code error;
  while (true) {
    auto lock = storage::FileLock::Acquire(folder + kScratchLock, lock_timeout_, stop_);
    if (!lock.ok()) {  // the file may have been made all the same
      fs::remove(folder + kScratchLock, error);
      return std::move(lock).error();
    }
    // Whoever met the file before it was locked has removed it.
    if (!fs::exists(folder + kScratchLock, error) && !error) continue;
    fs::create_directory(folder, error);
    if (error) return FromErrno(error.value(), fmt::format("cannot make folder '{}'", folder));
    return std::unique_ptr<Scratch>(std::make_unique<LockedFolder>(folder, *std::move(lock)));
  }
}

// Scratch folders whose process is gone, and what it left in its dataset. Failures wait for the next command.
void Workspace::RemoveLeftovers() const {
  std::error_code ignored;
  std::vector<fs::path> paths;
  for (fs::directory_iterator it(temp_folder(), ignored), end; !ignored && it != end; it.increment(ignored)) {
    paths.push_back(it->path());
  }
  const auto limit = fs::file_time_type::clock::now() - std::chrono::seconds(kLeftoverAgeSeconds);
  for (const auto& path : paths) {
    if (path.extension() != kScratchLock) {
      // A folder whose lock's turn comes, or another program's.
      const auto changed = fs::last_write_time(path, ignored);
      if (!ignored && changed < limit && !fs::exists(path.string() + kScratchLock, ignored))
        fs::remove_all(path, ignored);
      continue;
    }
    const std::string name = path.filename().string();
    const auto id = multiformats::DatasetId::ParseMultibase(name.substr(0, name.find('-')));
    auto lock = storage::FileLock::Acquire(path.string(), std::chrono::milliseconds(0));
    if (!lock.ok() || (!id.ok() && !name.starts_with(kNoDataset))) continue;
    if (id.ok() && fs::exists(DatasetFolder(*id), ignored)) {
      auto stores = StoresOf(*id);
      if (!stores.ok() || !stores->files->RemoveLeftovers(0).ok()) continue;
    }
    fs::remove_all(fs::path(path).replace_extension(), ignored);
    fs::remove(path, ignored);
  }
}

Result<std::vector<Entry>> Workspace::List() const {
  std::vector<Entry> entries;
  std::error_code error;
  for (fs::directory_iterator it(root_ + "/datasets", error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.empty() || name[0] == '.') continue;
    auto id = multiformats::DatasetId::ParseMultibase(name);
    if (!id.ok()) continue;  // not a dataset's folder
    std::error_code absent;
    if (!fs::exists(it->path() / "refs" / "head", absent)) continue;  // a creation that did not finish
    std::ifstream file(it->path() / "info" / "alias");
    std::string alias((std::istreambuf_iterator<char>(file)), {});
    alias = Trim(alias);
    entries.push_back({alias.empty() ? id->ToMultibase() : alias, *id});
  }
  if (error) return FromErrno(error.value(), fmt::format("cannot list '{}/datasets'", root_));
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return Lower(a.alias) < Lower(b.alias); });
  return entries;
}

Result<Entry> Workspace::Resolve(std::string_view ref) const {
  ASSIGN_OR_RETURN(auto entries, List());
  std::optional<multiformats::DatasetId> id;
  if (auto parsed = multiformats::DatasetId::Parse(ref); parsed.ok()) id = *parsed;
  if (auto parsed = multiformats::DatasetId::ParseMultibase(ref); parsed.ok()) id = *parsed;
  std::vector<std::string> names;
  for (const auto& entry : entries) {
    if ((id && entry.id == *id) || Lower(entry.alias) == Lower(ref)) return entry;
    names.push_back(entry.alias);
  }
  const auto near = NearNames(ref, names);
  return NotFound("Dataset not found: {}{}", ref,
                  near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near.front()));
}

Result<std::vector<Entry>> Workspace::ResolvePattern(std::string_view ref) const {
  if (ref.find('%') == std::string_view::npos) {
    ASSIGN_OR_RETURN(auto entry, Resolve(ref));
    return std::vector<Entry>{entry};
  }
  ASSIGN_OR_RETURN(auto entries, List());
  std::erase_if(entries, [&](const Entry& entry) { return !MatchesPattern(entry.alias, ref); });
  return entries;
}

Result<std::unique_ptr<dataset::Dataset>> Workspace::Open(const Entry& entry) const {
  ASSIGN_OR_RETURN(auto stores, StoresOf(entry.id));
  auto dataset = dataset::Dataset::Open(stores);
  if (!dataset.ok()) {
    // Blocks that a compaction took away meanwhile look like damage; those of its own head stay.
    ASSIGN_OR_RETURN(auto hold, HoldFiles(entry.id));
    dataset = dataset::Dataset::Open(std::move(stores));
  }
  if (!dataset.ok()) return std::move(dataset).error().With(fmt::format("dataset '{}'", entry.alias));
  return dataset;
}

std::string Workspace::ReadersLock(const multiformats::DatasetId& id) const {
  return root_ + "/locks/" + id.ToMultibase() + ".readers";
}

Result<std::unique_ptr<storage::FileLock>> Workspace::HoldFiles(const multiformats::DatasetId& id) const {
  return storage::FileLock::AcquireShared(ReadersLock(id), lock_timeout_, stop_);
}

Result<std::unique_ptr<storage::FileLock>> Workspace::ExcludeReaders(
    const multiformats::DatasetId& id) const {
  return storage::FileLock::Acquire(ReadersLock(id), std::min(lock_timeout_, kReadersPatience), stop_);
}

Result<std::unique_ptr<index::GuardedIndex>> Workspace::BeginCommit(const multiformats::DatasetId& id) const {
  if (!holding_ && before_commit_) RETURN_IF_ERROR(before_commit_(id));
  ASSIGN_OR_RETURN(auto root, LockRoot(id));
  ASSIGN_OR_RETURN(auto dataset,
                   storage::FileLock::Acquire(root_ + "/locks/" + id.ToMultibase(), lock_timeout_, stop_));
  if (holding_) return holding_->Begin(std::move(dataset));
  ASSIGN_OR_RETURN(auto scratch, MakeScratch(id));
  // Readers write there too, and leave no trace elsewhere.
  ASSIGN_OR_RETURN(auto stores, StoresOf(id));
  RETURN_IF_ERROR(stores.derived->RemoveLeftovers(0));
  return std::unique_ptr<index::GuardedIndex>(std::make_unique<LockedIndex>(
      root_ + "/index", std::move(root.turn), std::move(root.lock), std::move(dataset), std::move(scratch)));
}

Status Workspace::CheckNameFree(const std::string& alias,
                                const std::optional<multiformats::DatasetId>& except) const {
  ASSIGN_OR_RETURN(auto entries, List());
  for (const auto& entry : entries) {
    if (Lower(entry.alias) == Lower(alias) && entry.id != except) {
      return MakeError(ErrorCode::kAlreadyExists, "dataset '{}' already exists", entry.alias);
    }
  }
  return {};
}

// The dataset's folder goes last: while it is there, the rest can be found again.
Status Workspace::RemoveFiles(const multiformats::DatasetId& id, const std::string& folder) const {
  std::error_code error;
  fs::remove_all(root_ + "/derived/" + id.ToMultibase(), error);
  if (!error) fs::remove(root_ + "/keys/" + id.ToMultibase(), error);
  if (!error) fs::remove(root_ + "/locks/" + id.ToMultibase(), error);
  if (!error) fs::remove(ReadersLock(id), error);
  if (!error) fs::remove_all(folder, error);
  if (error) return FromErrno(error.value(), fmt::format("cannot remove dataset folder '{}'", folder));
  return {};
}

// Creations and deletions that were cut short. The caller holds the workspace's lock.
Status Workspace::RemoveAbortedCreations() const {
  RETURN_IF_ERROR(FinishReplacement());
  ASSIGN_OR_RETURN(auto keys, storage::OpenLocalStorage(root_ + "/keys"));
  RETURN_IF_ERROR(keys->RemoveLeftovers(0));
  std::error_code error;
  std::vector<fs::path> folders;
  // The note of a replacement is written beside the folders, with the lock.
  for (fs::directory_iterator it(root_, error), end; !error && it != end; it.increment(error)) {
    if (it->path().filename().string().starts_with(".pending-")) folders.push_back(it->path());
  }
  for (const auto& pending : folders) fs::remove(pending, error);
  folders.clear();
  for (fs::directory_iterator it(root_ + "/datasets", error), end; !error && it != end; it.increment(error)) {
    folders.push_back(it->path());
  }
  for (const auto& folder : folders) {
    std::string name = folder.filename().string();
    bool hidden = false;
    for (const std::string_view prefix : {kNewPrefix, kDeletedPrefix}) {
      if (!name.starts_with(prefix)) continue;
      hidden = true;
      name.erase(0, prefix.size());
    }
    const auto id = multiformats::DatasetId::ParseMultibase(name);
    if (!id.ok()) continue;  // not ours
    if (hidden || IsUnfinished(folder)) RETURN_IF_ERROR(RemoveFiles(*id, folder.string()));
  }
  return {};
}

// Nobody else can read the key, not even while it is written.
Status Workspace::WriteKey(const multiformats::KeyPair& key) const {
  auto& disk = storage::Disk::Real();
  const std::string folder = root_ + "/keys";
  const std::string path = folder + "/" + key.id().ToMultibase();
  RETURN_IF_ERROR(storage::MakeFolders(disk, folder));
  ASSIGN_OR_RETURN(auto file, storage::File::Open(disk, path, O_WRONLY | O_CREAT | O_EXCL, 0600));
  RETURN_IF_ERROR(file->WriteAll(key.PrivateKeyText(), 0));
  RETURN_IF_ERROR(file->Sync());
  return storage::SyncFolder(disk, folder);
}

Status Workspace::SyncDatasets() const {
  return storage::SyncFolder(storage::Disk::Real(), root_ + "/datasets");
}

std::string Workspace::HiddenFolder(const multiformats::DatasetId& id) const {
  return root_ + "/datasets/" + kNewPrefix + id.ToMultibase();
}

Status Workspace::MakeHidden(const NewDataset& dataset, const Clock& clock) const {
  const auto id = dataset.key.id();
  for (const char* name : {"blocks", "refs", "data", "checkpoints", "info"}) {
    RETURN_IF_ERROR(storage::MakeFolders(storage::Disk::Real(), HiddenFolder(id) + "/" + name));
  }
  // After the folder, by which a creation that was cut short is found.
  RETURN_IF_ERROR(WriteKey(dataset.key));
  dataset::DatasetStores stores;
  ASSIGN_OR_RETURN(stores.files, storage::OpenLocalStorage(HiddenFolder(id)));
  ASSIGN_OR_RETURN(stores.derived, storage::OpenLocalStorage(root_ + "/derived/" + id.ToMultibase()));
  RETURN_IF_ERROR(stores.files->Replace("info/alias", dataset.snapshot.name));
  ASSIGN_OR_RETURN(auto created,
                   dataset::Dataset::Create(std::move(stores), odf::Seed{id, dataset.snapshot.kind},
                                            dataset.snapshot.metadata, clock.Now()));
  return {};
}

Result<std::string> Workspace::Hide(const multiformats::DatasetId& id) const {
  std::string hidden = root_ + "/datasets/" + kDeletedPrefix + id.ToMultibase();
  std::error_code error;
  fs::rename(DatasetFolder(id), hidden, error);
  if (error == std::errc::no_such_file_or_directory) return NotFound("Dataset not found: {}", id.ToString());
  if (error) return FromErrno(error.value(), fmt::format("cannot remove '{}'", DatasetFolder(id)));
  return hidden;
}

Result<Entry> Workspace::Create(const odf::DatasetSnapshot& snapshot, const Clock& clock) {
  ASSIGN_OR_RETURN(auto key, multiformats::KeyPair::Generate());
  std::vector<NewDataset> one;
  one.push_back({snapshot, std::move(key), std::nullopt});
  ASSIGN_OR_RETURN(auto entries, CreateAll(one, clock));
  return entries.front();
}

Result<std::vector<Entry>> Workspace::CreateAll(const std::vector<NewDataset>& datasets, const Clock& clock) {
  // What is queued for datasets that go is settled, or given up, before they do. A node that is asked for its
  // turn holds up the last of them until the turn ends, so that nothing is taken for it in between.
  std::optional<multiformats::DatasetId> last;
  for (const auto& dataset : datasets) {
    if (!dataset.replaces || holding_) continue;
    if (last) {
      ASSIGN_OR_RETURN(const auto turn, LockRoot(last));
    }
    last = dataset.replaces->id;
    if (before_commit_) RETURN_IF_ERROR(before_commit_(*last));
  }
  ASSIGN_OR_RETURN(auto lock, LockRoot(last));
  RETURN_IF_ERROR(RemoveAbortedCreations());
  std::vector<std::unique_ptr<storage::FileLock>> replaced_locks;
  size_t made = 0;
  auto make = [&]() -> Status {
    for (const auto& dataset : datasets) {
      RETURN_IF_ERROR(CheckAlias(dataset.snapshot.name));
      std::optional<multiformats::DatasetId> replaced;
      if (dataset.replaces) replaced = dataset.replaces->id;
      RETURN_IF_ERROR(CheckNameFree(dataset.snapshot.name, replaced));
      for (size_t i = 0; i < made; ++i) {
        if (Lower(datasets[i].snapshot.name) == Lower(dataset.snapshot.name)) {
          return MakeError(ErrorCode::kAlreadyExists, "dataset '{}' is given twice", dataset.snapshot.name);
        }
      }
      if (replaced) {
        ASSIGN_OR_RETURN(
            auto replaced_lock,
            storage::FileLock::Acquire(root_ + "/locks/" + replaced->ToMultibase(), lock_timeout_, stop_));
        replaced_locks.push_back(std::move(replaced_lock));
      }
      ++made;
      auto status = MakeHidden(dataset, clock);
      if (!status.ok())
        return std::move(status).error().With(fmt::format("dataset '{}'", dataset.snapshot.name));
    }
    RETURN_IF_ERROR(SyncDatasets());
    return PlanReplacement(datasets);
  };
  if (auto status = make(); !status.ok()) {
    // What cannot be removed now is removed by the next creation.
    for (size_t i = 0; i < made; ++i)
      (void)RemoveFiles(datasets[i].key.id(), HiddenFolder(datasets[i].key.id())).ok();
    return std::move(status).error();
  }
  RETURN_IF_ERROR(FinishReplacement());
  std::vector<Entry> entries;
  for (const auto& dataset : datasets) entries.push_back({dataset.snapshot.name, dataset.key.id()});
  // What is left of the replaced ones; where this fails the next creation does it.
  (void)RemoveAbortedCreations().ok();
  return entries;
}

// Before the name changes: until then whatever fails has changed nothing that counts.
Status Workspace::CopyVariables(const std::string& alias, const std::string& to) const {
  ASSIGN_OR_RETURN(auto secrets, Secrets::Load(root_, SecretsKeySource::FromEnvironment()));
  RETURN_IF_ERROR(secrets.Copy(alias, to));
  ASSIGN_OR_RETURN(auto config, Config::Load(root_));
  return config.CopyVariables(alias, to);
}

// Another dataset that gets the name must not find them.
Status Workspace::DropVariables(const std::string& alias) const {
  ASSIGN_OR_RETURN(auto secrets, Secrets::Load(root_, SecretsKeySource::FromEnvironment()));
  RETURN_IF_ERROR(secrets.RemoveAll(alias));
  ASSIGN_OR_RETURN(auto config, Config::Load(root_));
  return config.UnsetVariables(alias);
}

Status Workspace::Rename(const Entry& entry, const std::string& new_alias) {
  RETURN_IF_ERROR(CheckAlias(new_alias));
  ASSIGN_OR_RETURN(auto lock, LockRoot(std::nullopt));
  RETURN_IF_ERROR(CheckNameFree(new_alias, entry.id));
  std::error_code error;
  if (!fs::exists(DatasetFolder(entry.id) + "/" + dataset::kHeadName, error)) {
    return NotFound("Dataset not found: {}", entry.alias);  // deleted meanwhile
  }
  ASSIGN_OR_RETURN(auto stores, StoresOf(entry.id));
  if (new_alias == entry.alias) return {};
  RETURN_IF_ERROR(CopyVariables(entry.alias, new_alias));
  RETURN_IF_ERROR(stores.files->Replace("info/alias", new_alias));
  return DropVariables(entry.alias);
}

Result<std::vector<Entry>> Workspace::Dependants(const multiformats::DatasetId& id) const {
  ASSIGN_OR_RETURN(auto entries, List());
  std::vector<Entry> dependants;
  for (const auto& entry : entries) {
    if (entry.id == id) continue;
    ASSIGN_OR_RETURN(auto dataset, Open(entry));
    const auto& transform = dataset->state().transform;
    if (!transform) continue;
    const bool uses = std::any_of(transform->inputs.begin(), transform->inputs.end(),
                                  [&](const auto& input) { return input.dataset_ref == id.ToString(); });
    if (uses) dependants.push_back(entry);
  }
  return dependants;
}

Status Workspace::Delete(const Entry& entry) {
  ASSIGN_OR_RETURN(auto guard, BeginCommit(entry.id));
  RETURN_IF_ERROR(DropVariables(entry.alias));
  // A crash half-way leaves a folder that is no dataset and is removed by the next creation.
  ASSIGN_OR_RETURN(auto hidden, Hide(entry.id));
  RETURN_IF_ERROR(SyncDatasets());
  std::error_code error;
  if (fs::exists(root_ + "/index", error)) {
    // The dataset is gone whatever becomes of its index: ids do not come again.
    auto index = guard->Index();
    if (index.ok()) (void)(*index)->DropDataset(entry.id).ok();
  }
  return RemoveFiles(entry.id, hidden);
}

Status Workspace::Reset(const Entry& entry, const odf::Multihash& hash) {
  ASSIGN_OR_RETURN(auto guard, BeginCommit(entry.id));
  ASSIGN_OR_RETURN(auto dataset, Open(entry));
  RETURN_IF_ERROR(dataset->Reset(hash));
  std::error_code error;
  if (!fs::exists(root_ + "/index", error)) return {};
  // Its head is not in the chain any more, which the next use would notice too.
  auto index = guard->Index();
  if (index.ok()) (void)(*index)->DropDataset(entry.id).ok();
  return {};
}

Result<multiformats::KeyPair> Workspace::LoadKey(const multiformats::DatasetId& id) const {
  std::ifstream file(root_ + "/keys/" + id.ToMultibase());
  if (!file) {
    return NotFound("no private key for '{}' in this workspace: only datasets made here can be signed for",
                    id.ToString());
  }
  std::string text;
  file >> text;
  return multiformats::KeyPair::ParsePrivateKey(text);
}

}  // namespace sluice::workspace
