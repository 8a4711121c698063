#include "workspace/workspace.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/testing/matchers.h"

namespace sluice::workspace {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class WorkspaceTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "sluice-workspace-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    ASSERT_OK_AND_ASSIGN(workspace_, Workspace::Init(folder_, false));
  }
  void TearDown() override {
    workspace_.reset();
    fs::remove_all(folder_);
  }

  Entry Create(const std::string& name) {
    odf::DatasetSnapshot snapshot;
    snapshot.name = name;
    snapshot.metadata.push_back(odf::SetInfo{"a test", std::nullopt});
    auto entry = workspace_->Create(snapshot, clock_);
    EXPECT_OK(entry);
    return *entry;
  }
  // A new process.
  void Reopen() {
    workspace_.reset();
    auto found = Workspace::Find(folder_, "");
    ASSERT_OK(found);
    workspace_ = std::move(*found);
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    auto entries = workspace_->List();
    EXPECT_OK(entries);
    for (const auto& entry : *entries) names.push_back(entry.alias);
    return names;
  }
  std::string Datasets(const std::string& name) const { return folder_ + "/.sluice/datasets/" + name; }
  // What a crash leaves in the middle of replacing `old_entry` by `new_entry`, which was made under another
  // name.
  void LeaveReplacement(const Entry& new_entry, const Entry& old_entry) {
    const std::string name = new_entry.id.ToMultibase();
    std::ofstream(Datasets(name) + "/info/alias") << old_entry.alias;
    fs::rename(Datasets(name), Datasets(".new-" + name));
    std::ofstream(folder_ + "/.sluice/replacing") << name << " " << old_entry.id.ToMultibase() << "\n";
  }

  std::string folder_;
  FixedClock clock_{Instant{1700000000, 0}};
  std::unique_ptr<Workspace> workspace_;
};

TEST_F(WorkspaceTest, FinishesReplacementThatWasCutShortBeforeItsRenames) {
  const Entry old_entry = Create("a");
  const Entry new_entry = Create("b");
  LeaveReplacement(new_entry, old_entry);
  Reopen();
  EXPECT_THAT(Names(), testing::ElementsAre("a"));
  ASSERT_OK_AND_ASSIGN(auto found, workspace_->Resolve("a"));
  EXPECT_EQ(found.id, new_entry.id);
  EXPECT_OK(workspace_->Open(found));
}

TEST_F(WorkspaceTest, FinishesReplacementThatWasCutShortBetweenItsRenames) {
  const Entry old_entry = Create("a");
  const Entry new_entry = Create("b");
  LeaveReplacement(new_entry, old_entry);
  fs::rename(Datasets(old_entry.id.ToMultibase()), Datasets(".deleted-" + old_entry.id.ToMultibase()));
  Reopen();
  ASSERT_OK_AND_ASSIGN(auto found, workspace_->Resolve("a"));
  EXPECT_EQ(found.id, new_entry.id);
  // The next creation sweeps up what is left of the old one.
  Create("c");
  EXPECT_THAT(Names(), testing::ElementsAre("a", "c"));
  EXPECT_FALSE(fs::exists(Datasets(".deleted-" + old_entry.id.ToMultibase())));
}

TEST_F(WorkspaceTest, KeepsTheOldDatasetWhenTheNewOneIsNotWhole) {
  const Entry old_entry = Create("a");
  const Entry new_entry = Create("b");
  LeaveReplacement(new_entry, old_entry);
  fs::remove(Datasets(".new-" + new_entry.id.ToMultibase()) + "/refs/head");
  Reopen();
  ASSERT_OK_AND_ASSIGN(auto found, workspace_->Resolve("a"));
  EXPECT_EQ(found.id, old_entry.id);
}

TEST_F(WorkspaceTest, ReplacesUnderTheSameName) {
  const Entry old_entry = Create("a");
  odf::DatasetSnapshot snapshot;
  snapshot.name = "a";
  ASSERT_OK_AND_ASSIGN(auto key, multiformats::KeyPair::Generate());
  std::vector<NewDataset> datasets;
  datasets.push_back({snapshot, std::move(key), old_entry});
  ASSERT_OK_AND_ASSIGN(auto entries, workspace_->CreateAll(datasets, clock_));
  EXPECT_NE(entries[0].id, old_entry.id);
  EXPECT_THAT(Names(), testing::ElementsAre("a"));
  EXPECT_FALSE(fs::exists(folder_ + "/.sluice/replacing"));
  EXPECT_FALSE(fs::exists(folder_ + "/.sluice/keys/" + old_entry.id.ToMultibase()));
}

// A push that comes between the settling of the queue and the replacement would go with the old dataset.
TEST_F(WorkspaceTest, ReplacesInTheTurnThatSettledTheOldDataset) {
  const Entry old_entry = Create("a");
  std::vector<std::string> told;
  ASSERT_OK_AND_ASSIGN(auto node, Workspace::Find(folder_, ""));
  ASSERT_OK(node->Hold());
  workspace_->set_before_commit([&](const multiformats::DatasetId& id) -> Status {
    told.push_back(id == old_entry.id ? "settled" : "another");
    return {};
  });
  workspace_->set_ask_for_turn([&](const auto& dataset) -> Result<std::shared_ptr<void>> {
    told.push_back(dataset == old_entry.id ? "turn" : "turn of no dataset");
    node->Release();
    return std::shared_ptr<void>(this, [&](void*) {
      told.push_back(workspace_->Resolve("a")->id == old_entry.id ? "ended early" : "ended");
    });
  });
  odf::DatasetSnapshot snapshot;
  snapshot.name = "a";
  ASSERT_OK_AND_ASSIGN(auto key, multiformats::KeyPair::Generate());
  std::vector<NewDataset> datasets;
  datasets.push_back({snapshot, std::move(key), old_entry});
  ASSERT_OK(workspace_->CreateAll(datasets, clock_));
  EXPECT_THAT(told, testing::ElementsAre("settled", "turn", "ended"));
}

TEST_F(WorkspaceTest, NamesAreUniqueWithoutCase) {
  Create("River.Gauges");
  odf::DatasetSnapshot snapshot;
  snapshot.name = "river.gauges";
  EXPECT_THAT(workspace_->Create(snapshot, clock_),
              IsError(ErrorCode::kAlreadyExists, HasSubstr("River.Gauges")));
  EXPECT_THAT(workspace_->Resolve("river.gaugs"), IsError(ErrorCode::kNotFound, HasSubstr("River.Gauges")));
}

TEST_F(WorkspaceTest, FindsByNameIdAndPattern) {
  const Entry entry = Create("acme/a-1");
  Create("b");
  for (const std::string& ref : {std::string("ACME/A-1"), entry.id.ToString(), entry.id.ToMultibase()}) {
    ASSERT_OK_AND_ASSIGN(auto found, workspace_->Resolve(ref));
    EXPECT_EQ(found.id, entry.id) << ref;
  }
  ASSERT_OK_AND_ASSIGN(auto all, workspace_->ResolvePattern("%"));
  EXPECT_EQ(all.size(), 2u);
  ASSERT_OK_AND_ASSIGN(auto some, workspace_->ResolvePattern("ac%"));
  EXPECT_EQ(some.size(), 1u);
}

TEST_F(WorkspaceTest, RemovesScratchFoldersOfProcessesThatAreGone) {
  const Entry entry = Create("a");
  const std::string folder = workspace_->temp_folder();
  ASSERT_OK_AND_ASSIGN(auto living, workspace_->MakeScratch());
  // What killed ones leave: a lock that nobody holds, and a folder with spills.
  for (const std::string& name : {std::string("query-1"), entry.id.ToMultibase() + "-2"}) {
    std::ofstream lock(folder + "/" + name + ".lock");
    fs::create_directory(folder + "/" + name);
    std::ofstream(folder + "/" + name + "/spill") << "rows";
  }
  Reopen();
  EXPECT_TRUE(fs::exists(living->folder()));
  std::vector<std::string> names;
  for (const auto& left : fs::directory_iterator(folder)) names.push_back(left.path().string());
  EXPECT_THAT(names, testing::UnorderedElementsAre(living->folder(), living->folder() + ".lock"));
}

// What was accepted before a stop is still committed, and that needs a scratch folder.
TEST_F(WorkspaceTest, AScratchFolderAfterAStopLeavesNothing) {
  std::stop_source stop;
  workspace_->set_stop(stop.get_token());
  stop.request_stop();
  {
    ASSERT_OK_AND_ASSIGN(auto scratch, workspace_->MakeScratch());
    EXPECT_TRUE(fs::is_directory(scratch->folder()));
  }
  EXPECT_TRUE(fs::is_empty(workspace_->temp_folder()));
}

TEST_F(WorkspaceTest, KeysAreTheOwnersAlone) {
  const Entry entry = Create("a");
  struct stat info;
  ASSERT_EQ(stat((folder_ + "/.sluice/keys/" + entry.id.ToMultibase()).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_OK_AND_ASSIGN(auto key, workspace_->LoadKey(entry.id));
  EXPECT_EQ(key.id(), entry.id);
}

TEST_F(WorkspaceTest, DeletedDatasetsLeaveNothing) {
  const Entry entry = Create("a");
  ASSERT_OK(workspace_->Delete(entry));
  EXPECT_THAT(Names(), testing::IsEmpty());
  for (const char* part : {"datasets", "derived", "keys"}) {
    EXPECT_TRUE(fs::is_empty(folder_ + "/.sluice/" + part)) << part;
  }
  EXPECT_THAT(workspace_->Rename(entry, "b"), IsErrorCode(ErrorCode::kNotFound));
}

TEST(AliasTest, AcceptsHostNamesWithAnAccount) {
  for (const char* name : {"a", "a.b", "a-1.b-2", "acme/river.gauges", "9"})
    EXPECT_OK(CheckAlias(name)) << name;
  for (const char* name : {"", "a_b", ".a", "a.", "a--b", "a..b", "-a", "a/b/c", "/a", "a/", "a b"}) {
    EXPECT_THAT(CheckAlias(name), IsErrorCode(ErrorCode::kInvalidArgument)) << name;
  }
}

}  // namespace
}  // namespace sluice::workspace
