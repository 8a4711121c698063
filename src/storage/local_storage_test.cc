#include "storage/local_storage.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>

#include <filesystem>
#include <fstream>

#include "base/testing/matchers.h"
#include "storage/name.h"
#include "storage/testing/faulty_disk.h"
#include "storage/testing/temp_folder.h"

namespace sluice::storage {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Fault = FaultyDisk::Fault;

class LocalStorageTest : public testing::Test {
 protected:
  void SetUp() override {
    auto storage = OpenLocalStorageOn(disk_, folder_.path());
    ASSERT_THAT(storage, IsOk());
    storage_ = std::move(*storage);
    for (const char* name : {"blocks/0", "data/0", "refs/0"}) ASSERT_OK(storage_->PutIfAbsent(name, name));
    disk_.ClearCalls();
  }

  std::vector<std::string> Calls() { return disk_.Calls(folder_.path() + "/"); }
  std::vector<std::string> FilesOnDisk() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
      if (entry.is_regular_file()) names.push_back(entry.path().string());
    }
    return names;
  }

  TempFolder folder_;
  FaultyDisk disk_;
  std::unique_ptr<Storage> storage_;
};

TEST_F(LocalStorageTest, SyncsFileThenRenamesThenSyncsFolder) {
  ASSERT_OK(storage_->PutIfAbsent("data/a", "content"));
  EXPECT_THAT(Calls(),
              ElementsAre("open data/*", "write data/*", "sync data/*", "rename data/* data/a", "sync data"));
}

TEST_F(LocalStorageTest, SyncsAllFilesBeforeAnyNameAndEachFolderOnce) {
  ASSERT_OK(storage_->PutAllIfAbsent({{"blocks/a", "1"}, {"data/b", "2"}, {"blocks/c", "3"}}));
  // Syncs of files run at the same time, and so do those of folders: their order says nothing.
  auto calls = Calls();
  ASSERT_EQ(calls.size(), 17u);
  std::sort(calls.begin() + 9, calls.begin() + 12);
  std::sort(calls.begin() + 15, calls.end());
  EXPECT_THAT(calls, ElementsAre("open blocks/*", "write blocks/*", "writeback blocks/*", "open data/*",
                                 "write data/*", "writeback data/*", "open blocks/*", "write blocks/*",
                                 "writeback blocks/*", "sync blocks/*", "sync blocks/*", "sync data/*",
                                 "rename blocks/* blocks/a", "rename data/* data/b",
                                 "rename blocks/* blocks/c", "sync blocks", "sync data"));
}

TEST_F(LocalStorageTest, CommitsStagedFilesTogetherWithObjects) {
  ASSERT_OK_AND_ASSIGN(auto file, storage_->Stage("data"));
  ASSERT_OK(file->Append("rows"));
  ASSERT_OK(storage_->CommitAll({{file.get(), "data/s"}}, {{"blocks/b", "block"}}));
  EXPECT_EQ(storage_->Get("data/s").value_or("?"), "rows");
  EXPECT_EQ(storage_->Get("blocks/b").value_or("?"), "block");
  const auto calls = Calls();
  const auto at = [&](const std::string& call) {
    return std::find(calls.begin(), calls.end(), call) - calls.begin();
  };
  EXPECT_LT(at("sync data/*"), at("rename data/* data/s"));
  EXPECT_LT(at("sync blocks/*"), at("rename blocks/* blocks/b"));
  EXPECT_LT(at("rename blocks/* blocks/b"), at("sync blocks"));
  EXPECT_LT(at("rename data/* data/s"), at("sync data"));
  EXPECT_LT(at("sync data"), static_cast<long>(calls.size()));
}

TEST_F(LocalStorageTest, SyncsWhatIsThereAlready) {
  ASSERT_OK(storage_->PutIfAbsent("data/0", "another"));
  EXPECT_THAT(Calls(), ElementsAre("sync data/0", "sync data"));
}

TEST_F(LocalStorageTest, SwapsWithSyncedFileAndFolder) {
  ASSERT_OK(storage_->CompareAndSwap("refs/0", "refs/0", "new"));
  EXPECT_THAT(Calls(),
              ElementsAre("open refs/*", "write refs/*", "sync refs/*", "rename refs/* refs/0", "sync refs"));
}

TEST_F(LocalStorageTest, SyncsTheFileSystemOnce) {
  ASSERT_OK(storage_->ReplaceUnsynced("data/derived", "x"));
  ASSERT_OK(storage_->SyncAll());
  EXPECT_THAT(Calls(), ElementsAre("open data/*", "write data/*", "rename data/* data/derived",
                                   "syncfs " + folder_.path()));
}

TEST_F(LocalStorageTest, MakesNewFoldersDurable) {
  ASSERT_OK(storage_->PutIfAbsent("x/y/a", "1"));
  EXPECT_THAT(Calls(), testing::IsSupersetOf({"folder x", "folder x/y", "sync x", "sync x/y"}));
}

TEST_F(LocalStorageTest, MakesAFolderAgainThatWentAway) {
  std::filesystem::remove_all(folder_ / "data");
  ASSERT_OK(storage_->PutIfAbsent("data/a", "1"));
  EXPECT_EQ(storage_->Get("data/a").value_or("?"), "1");
}

TEST_F(LocalStorageTest, StartsWritebackOfLargeFilesEarly) {
  ASSERT_OK_AND_ASSIGN(auto staged, storage_->Stage("data"));
  const std::string piece(4 << 20, 'x');
  for (int i = 0; i < 4; ++i) ASSERT_OK(staged->Append(piece));
  EXPECT_EQ(std::ranges::count(Calls(), "writeback data/*"), 2);
  ASSERT_OK(staged->Commit("data/big"));
  EXPECT_EQ(storage_->Size("data/big").value_or(0), 16u << 20);
}

TEST_F(LocalStorageTest, CoalescesSmallAppends) {
  ASSERT_OK_AND_ASSIGN(auto staged, storage_->Stage("data"));
  for (int i = 0; i < 1000; ++i) ASSERT_OK(staged->Append("a line of text\n"));
  ASSERT_OK(staged->Commit("data/a"));
  EXPECT_EQ(std::ranges::count(Calls(), "write data/*"), 1);
}

// Fails the n-th call for every n: the put reports it, leaves no temporary file, and another put makes it
// good.
TEST_F(LocalStorageTest, PutSurvivesAFaultAtEveryCall) {
  for (uint64_t n = 1;; ++n) {
    SCOPED_TRACE(n);
    const std::string name = fmt::format("data/{}", n);
    disk_.SetPlan({.at_call = n, .fault = Fault::kTornWrite, .error = ENOSPC});
    const Status outcome = storage_->PutIfAbsent(name, "content");
    if (!disk_.fired()) {
      EXPECT_EQ(n, 6u);
      EXPECT_OK(outcome);
      break;
    }
    EXPECT_THAT(outcome, IsErrorCode(ErrorCode::kResourceExhausted));
    disk_.SetPlan({});
    for (const std::string& file : FilesOnDisk()) EXPECT_THAT(file, testing::Not(HasSubstr(".pending-")));
    ASSERT_OK(storage_->PutIfAbsent(name, "content"));
    EXPECT_EQ(storage_->Get(name).value_or("?"), "content");
  }
}

TEST_F(LocalStorageTest, WritesAnewWhatCouldNotBeSynced) {
  // The fifth call is the folder's sync: the name is there, and not to be relied on.
  disk_.SetPlan({.at_call = 5});
  EXPECT_THAT(storage_->PutIfAbsent("data/a", "content"), IsErrorCode(ErrorCode::kUnavailable));
  disk_.SetPlan({});
  EXPECT_THAT(storage_->Sync({"data/a"}), IsError(ErrorCode::kUnavailable, HasSubstr("written anew")));
  disk_.ClearCalls();
  ASSERT_OK(storage_->PutIfAbsent("data/a", "content"));
  EXPECT_THAT(Calls(),
              ElementsAre("open data/*", "write data/*", "sync data/*", "rename data/* data/a", "sync data"));
  EXPECT_OK(storage_->Sync({"data/a"}));
}

TEST_F(LocalStorageTest, SwapFailsCleanlyBeforeTheRenameAndIsUnknownAfter) {
  for (uint64_t n = 1; n <= 5; ++n) {
    SCOPED_TRACE(n);
    ASSERT_OK(storage_->Replace("refs/head", "old"));
    disk_.SetPlan({.at_call = n});
    const Status outcome = storage_->CompareAndSwap("refs/head", "old", "new");
    EXPECT_THAT(outcome, IsErrorCode(n < 4 ? ErrorCode::kUnavailable : ErrorCode::kCommitUnknown));
    disk_.SetPlan({});
    EXPECT_EQ(storage_->Get("refs/head").value_or("?"), n < 5 ? "old" : "new");
  }
}

TEST_F(LocalStorageTest, ASwapThatWorksMakesUpForOneThatDidNot) {
  disk_.SetPlan({.at_call = 5});
  EXPECT_THAT(storage_->CompareAndSwap("refs/0", "refs/0", "one"), IsErrorCode(ErrorCode::kCommitUnknown));
  EXPECT_THAT(storage_->Sync({"refs/0"}), IsErrorCode(ErrorCode::kUnavailable));
  ASSERT_OK(storage_->CompareAndSwap("refs/0", "one", "two"));
  EXPECT_OK(storage_->Sync({"refs/0"}));
}

TEST_F(LocalStorageTest, SwapsAgainAndAgainInTwoFiles) {
  ASSERT_OK(storage_->Replace("refs/head", "a"));
  ASSERT_OK(storage_->CompareAndSwap("refs/head", "a", "b, which is longer"));
  ASSERT_OK(storage_->CompareAndSwap("refs/head", "b, which is longer", "c"));
  disk_.ClearCalls();
  ASSERT_OK(storage_->CompareAndSwap("refs/head", "c", "d"));
  EXPECT_THAT(Calls(), ElementsAre("write refs/*", "truncate refs/*", "sync refs/*",
                                   "exchange refs/* refs/head", "sync refs"));
  EXPECT_EQ(storage_->Get("refs/head").value_or("?"), "d");
  EXPECT_EQ(storage_->List("refs").value().size(), 2u) << "refs/0 and refs/head";
}

TEST_F(LocalStorageTest, WhoStillReadsAnOldContentKeepsIt) {
  ASSERT_OK(storage_->Replace("refs/head", "0"));
  ASSERT_OK(storage_->CompareAndSwap("refs/head", "0", "1"));
  std::vector<std::unique_ptr<File>> readers;
  for (int i = 1; i < 6; ++i) {
    ASSERT_OK_AND_ASSIGN(auto reader, File::Open(Disk::Real(), folder_ / "refs/head", O_RDONLY));
    readers.push_back(std::move(reader));
    ASSERT_OK(storage_->CompareAndSwap("refs/head", std::to_string(i), std::to_string(i + 1)));
  }
  for (int i = 1; i < 6; ++i) {
    ASSERT_OK_AND_ASSIGN(const std::string seen, readers[static_cast<size_t>(i - 1)]->ReadSome(0, 10));
    EXPECT_EQ(seen, std::to_string(i));
  }
}

TEST_F(LocalStorageTest, ASpareFileThatWasRemovedIsMadeAnew) {
  ASSERT_OK(storage_->Replace("refs/head", "0"));
  for (int i = 0; i < 6; ++i) {
    if (i % 2 == 1) {
      ASSERT_OK(storage_->RemoveLeftovers(0));
    }
    ASSERT_OK(storage_->CompareAndSwap("refs/head", std::to_string(i), std::to_string(i + 1)));
  }
  EXPECT_EQ(storage_->Get("refs/head").value_or("?"), "6");
}

TEST_F(LocalStorageTest, LeavesNoSpareFileBehind) {
  ASSERT_OK(storage_->Replace("refs/head", "0"));
  for (int i = 0; i < 4; ++i)
    ASSERT_OK(storage_->CompareAndSwap("refs/head", std::to_string(i), std::to_string(i + 1)));
  storage_.reset();
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "refs"))
    EXPECT_FALSE(IsPendingName(entry.path().filename().native())) << entry.path();
}

TEST_F(LocalStorageTest, ASwapWithASpareFileFailsAsTheFirstDoes) {
  for (uint64_t n = 1; n <= 5; ++n) {
    SCOPED_TRACE(n);
    ASSERT_OK(storage_->Replace("refs/head", "0"));
    for (int i = 0; i < 3; ++i)
      ASSERT_OK(storage_->CompareAndSwap("refs/head", std::to_string(i), std::to_string(i + 1)));
    disk_.SetPlan({.at_call = n});
    const Status outcome = storage_->CompareAndSwap("refs/head", "3", "4");
    disk_.SetPlan({});
    const std::string now = storage_->Get("refs/head").value_or("?");
    if (outcome.ok()) {
      EXPECT_EQ(now, "4");
    } else if (outcome.error().code() != ErrorCode::kCommitUnknown) {
      EXPECT_EQ(now, "3");
    }
    ASSERT_OK(storage_->CompareAndSwap("refs/head", now, "after"));
    EXPECT_EQ(storage_->Get("refs/head").value_or("?"), "after");
  }
}

TEST_F(LocalStorageTest, StagedFilesAreUselessAfterAnError) {
  ASSERT_OK_AND_ASSIGN(auto staged, storage_->Stage("data"));
  disk_.SetPlan({.at_call = 1, .fault = Fault::kTornWrite, .error = ENOSPC});
  EXPECT_THAT(staged->Append(std::string(2 << 20, 'x')), IsErrorCode(ErrorCode::kResourceExhausted));
  EXPECT_THAT(staged->Append("more"), IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_THAT(staged->Commit("data/a"), IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_FALSE(storage_->Exists("data/a").value_or(true));
}

TEST_F(LocalStorageTest, RemovesOldLeftoversOnly) {
  std::ofstream(folder_ / "data/.pending-0123456789abcdef") << "old";
  std::ofstream(folder_ / "blocks/.pending-fresh56789abcdef") << "fresh";
  std::filesystem::last_write_time(folder_ / "data/.pending-0123456789abcdef",
                                   std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
  EXPECT_EQ(storage_->RemoveLeftovers(3600).value_or(-1), 1);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "data/.pending-0123456789abcdef"));
  EXPECT_EQ(storage_->RemoveLeftovers(0).value_or(-1), 1);
  EXPECT_TRUE(storage_->Exists("data/0").value_or(false));
}

// A real limit of the kernel instead of a fake one: the child may write no file larger than 64 KiB.
TEST_F(LocalStorageTest, ReportsAFullDisk) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{65536, 65536};
    setrlimit(RLIMIT_FSIZE, &limit);
    const Status outcome = storage_->PutIfAbsent("data/large", std::string(100'000, 'x'));
    const bool clean =
        !storage_->Exists("data/large").value_or(true) && storage_->PutIfAbsent("data/small", "x").ok();
    _exit(!outcome.ok() && outcome.error().code() == ErrorCode::kResourceExhausted && clean ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  for (const std::string& file : FilesOnDisk()) EXPECT_THAT(file, testing::Not(HasSubstr(".pending-")));
}

TEST(OpenLocalStorageTest, RefusesWhatIsNoFolder) {
  TempFolder folder;
  std::ofstream(folder / "file") << "x";
  EXPECT_THAT(OpenLocalStorage(folder / "file"), IsError(ErrorCode::kInvalidArgument, HasSubstr("/file'")));
  EXPECT_THAT(OpenLocalStorage(""), IsErrorCode(ErrorCode::kInvalidArgument));
}

}  // namespace
}  // namespace sluice::storage
