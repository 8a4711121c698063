#include "storage/testing/faulty_storage.h"

#include "base/testing/matchers.h"

namespace sluice::storage {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Fault = FaultyStorage::Fault;
using Keep = FaultyStorage::Keep;
using Step = FaultyStorage::Step;

class FaultyStorageTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(inner_->Replace("refs/head", "old")); }
  std::string Head() { return inner_->Get("refs/head").value_or("nothing"); }

  std::unique_ptr<Storage> inner_ = MakeMemoryStorage();
  FaultyStorage storage_{*inner_};
};

TEST_F(FaultyStorageTest, CountsTheStepsOfAPut) {
  ASSERT_OK(storage_.PutIfAbsent("data/a", "x"));
  std::vector<Step> steps;
  for (const auto& call : storage_.Calls()) steps.push_back(call.step);
  EXPECT_THAT(steps, ElementsAre(Step::kWrite, Step::kSyncFile, Step::kRename, Step::kSyncFolder));
  EXPECT_THAT(storage_.NotDurable(), IsEmpty());
}

TEST_F(FaultyStorageTest, EveryFaultIsReportedAndACrashLeavesAllOrNothing) {
  for (const Fault fault : {Fault::kFail, Fault::kTruncate, Fault::kHalt, Fault::kLate}) {
    for (const Keep keep : {Keep::kNothing, Keep::kNames, Keep::kAll}) {
      for (uint64_t n = 1;; ++n) {
        ASSERT_OK(inner_->Replace("refs/head", "old"));
        storage_.SetPlan({.at_call = n, .fault = fault});
        const Status outcome = storage_.Replace("refs/head", "new");
        const bool fired = storage_.fired();
        EXPECT_EQ(outcome.ok(), !fired);
        ASSERT_OK(storage_.Crash(keep));
        EXPECT_EQ(Head() == "old" || Head() == "new", true) << Head();
        EXPECT_TRUE(fired || Head() == "new");
        if (!fired) break;
      }
    }
  }
}

TEST_F(FaultyStorageTest, AForgottenFileSyncTearsTheContent) {
  storage_.SetPlan({.at_call = 2, .fault = Fault::kForget});
  ASSERT_OK(storage_.PutIfAbsent("data/a", "content!"));
  EXPECT_THAT(storage_.NotDurable(), ElementsAre("data/a"));
  ASSERT_OK(storage_.Crash(Keep::kNothing));
  EXPECT_EQ(inner_->Get("data/a").value_or("?"), "cont");
}

TEST_F(FaultyStorageTest, AForgottenFolderSyncLosesTheName) {
  storage_.SetPlan({.at_call = 4, .fault = Fault::kForget});
  ASSERT_OK(storage_.Replace("refs/head", "new"));
  EXPECT_EQ(Head(), "new");
  ASSERT_OK(storage_.Crash(Keep::kNothing));
  EXPECT_EQ(Head(), "old");
}

TEST_F(FaultyStorageTest, AnUnsyncedReplaceLastsOnlyOnceAllIsSynced) {
  ASSERT_OK(storage_.ReplaceUnsynced("refs/head", "new1"));
  ASSERT_OK(storage_.PutIfAbsent("refs/other", "x"));
  ASSERT_OK(storage_.Crash(Keep::kNothing));
  EXPECT_EQ(Head(), "ne") << "the folder was synced, the content was not";
  ASSERT_OK(storage_.ReplaceUnsynced("refs/head", "new2"));
  ASSERT_OK(storage_.SyncAll());
  ASSERT_OK(storage_.Crash(Keep::kNothing));
  EXPECT_EQ(Head(), "new2");
}

TEST_F(FaultyStorageTest, ADeletionNeedsItsFolderSynced) {
  storage_.SetPlan({.at_call = 2, .fault = Fault::kFail});
  EXPECT_THAT(storage_.Delete("refs/head"), IsErrorCode(ErrorCode::kUnavailable));
  ASSERT_OK(storage_.Crash(Keep::kNothing));
  EXPECT_EQ(Head(), "old");
  ASSERT_OK(storage_.Delete("refs/head"));
  ASSERT_OK(storage_.Crash(Keep::kNothing));
  EXPECT_EQ(Head(), "nothing");
}

TEST_F(FaultyStorageTest, ASecondSyncProvesNothingAndANewPutDoes) {
  storage_.SetPlan({.at_call = 4});
  EXPECT_THAT(storage_.PutIfAbsent("data/a", "x"), IsErrorCode(ErrorCode::kUnavailable));
  storage_.SetPlan({});
  EXPECT_OK(storage_.Sync({"data/a"}));
  EXPECT_THAT(storage_.NotDurable(), ElementsAre("data/a"));
  ASSERT_OK(storage_.PutIfAbsent("data/a", "x"));
  EXPECT_THAT(storage_.NotDurable(), IsEmpty());
}

TEST_F(FaultyStorageTest, SwapIsUnknownFromTheRenameOn) {
  for (uint64_t n = 1; n <= 4; ++n) {
    storage_.SetPlan({.at_call = n});
    EXPECT_THAT(storage_.CompareAndSwap("refs/head", "old", "new"),
                IsErrorCode(n < 3 ? ErrorCode::kUnavailable : ErrorCode::kCommitUnknown));
    ASSERT_OK(storage_.Crash(Keep::kNothing));
    EXPECT_EQ(Head(), "old");
  }
}

TEST_F(FaultyStorageTest, StagedFilesFailToo) {
  for (uint64_t n = 1;; ++n) {
    storage_.SetPlan({.at_call = n});
    const Status outcome = [&]() -> Status {
      ASSIGN_OR_RETURN(auto staged, storage_.Stage("data"));
      RETURN_IF_ERROR(staged->Append("one"));
      RETURN_IF_ERROR(staged->Append("two"));
      return staged->Commit("data/a");
    }();
    const bool fired = storage_.fired();
    EXPECT_EQ(outcome.ok(), !fired);
    ASSERT_OK(storage_.Crash(Keep::kNothing));
    EXPECT_EQ(inner_->Exists("data/a").value_or(fired), !fired);
    if (!fired) break;
  }
}

TEST_F(FaultyStorageTest, LetsTheTestActBeforeACall) {
  storage_.SetPlan({.count_reads = true, .before = [&](const FaultyStorage::Call& call) {
                      EXPECT_TRUE(call.step != Step::kRead ||
                                  inner_->Replace("refs/head", "somebody else's").ok());
                    }});
  EXPECT_THAT(storage_.CompareAndSwap("refs/head", "old", "new"), IsErrorCode(ErrorCode::kConflict));
}

}  // namespace
}  // namespace sluice::storage
