// The commit path with a fault at the n-th call of the storage, for every n until none fires, and a power cut
// after it.
#include <iostream>

#include "base/testing/matchers.h"
#include "dataset/testing/sample.h"
#include "dataset/verify.h"
#include "storage/testing/faulty_storage.h"

namespace sluice::dataset {
namespace {

using storage::FaultyStorage;
using Fault = FaultyStorage::Fault;
using Keep = FaultyStorage::Keep;
using namespace dataset::testing;  // NOLINT: the vocabulary of these tests

constexpr uint64_t kMaxCalls = 200;  // far more than a commit takes: the loop has to end before

// One dataset, its storage, and what a commit under a fault did to it.
struct Trial {
  std::unique_ptr<storage::Storage> inner = storage::MakeMemoryStorage();
  std::shared_ptr<FaultyStorage> files = std::make_shared<FaultyStorage>(*inner);
  std::shared_ptr<storage::Storage> derived = storage::MakeMemoryStorage();
  std::unique_ptr<Dataset> dataset;
  Multihash old_head;

  void Prepare() {
    auto created = CreateSample({files, derived});
    ASSERT_OK(created);
    dataset = std::move(created).value();
    ASSERT_OK(CommitRows(*dataset, 5));
    old_head = dataset->head();
  }
  std::unique_ptr<Dataset> Open(bool with_cache) {
    auto opened = Dataset::Open({files, with_cache ? derived : storage::MakeMemoryStorage()});
    EXPECT_OK(opened);
    return opened.ok() ? std::move(opened).value() : nullptr;
  }
};

// Two slices and three blocks with one head move.
Result<CommitResult> CommitGroup(Dataset& dataset) {
  CommitRequest request;
  request.system_time = SampleTime(100);
  uint64_t start = *dataset.state().last_offset() + 1;
  for (int i = 0; i < 2; ++i, start += 4) {
    ASSIGN_OR_RETURN(auto written,
                     WriteSlice(dataset.files(), SampleRows(start, 4, request.system_time), start));
    odf::AddData data = NextData(dataset.state(), written.slice);
    data.prev_offset = start - 1;
    request.events.push_back(std::move(data));
    request.slices.push_back(std::move(written.staged));
  }
  odf::SetInfo info;
  info.description = "group";
  request.events.push_back(std::move(info));
  return dataset.Commit(std::move(request));
}

void ExpectHolds(const Trial& trial) {
  auto report = Verify({trial.files, trial.derived}, {.threads = 1, .stop = {}, .progress = {}});
  ASSERT_OK(report);
  for (const Violation& violation : report->violations) ADD_FAILURE() << violation.ToString();
}

// All of the group is in the chain, or nothing of it.
void ExpectWhole(Trial& trial, const Dataset& dataset, bool acknowledged) {
  const bool moved = dataset.head() != trial.old_head;
  EXPECT_EQ(dataset.state().data_records, moved ? 13u : 5u);
  EXPECT_EQ(dataset.state().sequence, moved ? 5u : 2u);
  EXPECT_TRUE(moved || !acknowledged) << "an acknowledged commit is gone";
  ExpectHolds(trial);
}

std::string Describe(uint64_t n, Fault fault, Keep keep) {
  return fmt::format("call {}, fault {}, keep {}", n, static_cast<int>(fault), static_cast<int>(keep));
}

// Runs the group under `plan`; returns false when no fault fired.
bool RunGroup(Trial& trial, uint64_t n, Fault fault, bool count_reads, bool* acknowledged) {
  trial.files->SetPlan({.at_call = n, .fault = fault, .count_reads = count_reads, .before = {}});
  const auto result = CommitGroup(*trial.dataset);
  *acknowledged = result.ok();
  return trial.files->fired();
}

class CommitPowerCutTest : public ::testing::TestWithParam<std::tuple<Fault, Keep>> {};

TEST_P(CommitPowerCutTest, LeavesAllOrNothingAfterAPowerCut) {
  const auto [fault, keep] = GetParam();
  uint64_t n = 1;
  for (; n < kMaxCalls; ++n) {
    SCOPED_TRACE(Describe(n, fault, keep));
    Trial trial;
    ASSERT_NO_FATAL_FAILURE(trial.Prepare());
    bool acknowledged = false;
    const bool fired = RunGroup(trial, n, fault, false, &acknowledged);
    trial.dataset.reset();
    ASSERT_OK(trial.files->Crash(keep));
    for (bool with_cache : {true, false}) {
      const auto reopened = trial.Open(with_cache);
      ASSERT_NE(reopened, nullptr);
      ExpectWhole(trial, *reopened, acknowledged);
    }
    // And life goes on.
    const auto reopened = trial.Open(true);
    ASSERT_OK(CommitRows(*reopened, 3));
    ExpectHolds(trial);
    EXPECT_TRUE(trial.files->NotDurable().empty());
    if (HasFailure()) return;
    if (!fired) break;
    EXPECT_FALSE(acknowledged && fault == Fault::kFail) << "a failure was swallowed";
  }
  EXPECT_GT(n, 12u) << "the commit takes more calls than that";
  EXPECT_LT(n, kMaxCalls);
}

INSTANTIATE_TEST_SUITE_P(Faults, CommitPowerCutTest,
                         ::testing::Combine(::testing::Values(Fault::kFail, Fault::kTruncate, Fault::kHalt,
                                                              Fault::kLate),
                                            ::testing::Values(Keep::kNothing, Keep::kNames, Keep::kAll)));

TEST(CommitFaultTest, TheSameProcessFindsOutAndGoesOn) {
  for (const bool count_reads : {false, true}) {
    uint64_t n = 1;
    for (; n < kMaxCalls; ++n) {
      SCOPED_TRACE(Describe(n, Fault::kFail, Keep::kAll));
      Trial trial;
      ASSERT_NO_FATAL_FAILURE(trial.Prepare());
      const ChainState before = trial.dataset->state();
      trial.files->SetPlan({.at_call = n, .count_reads = count_reads, .before = {}});
      const auto result = CommitGroup(*trial.dataset);
      const bool fired = trial.files->fired();
      trial.files->SetPlan({});
      if (!result.ok()) {
        EXPECT_EQ(trial.dataset->state(), before) << "a failed commit changes nothing in the object";
        const bool unknown = result.error().code() == ErrorCode::kCommitUnknown;
        ASSERT_OK_AND_ASSIGN(const bool moved, trial.dataset->Refresh());
        EXPECT_TRUE(unknown || !moved) << "the head moved and the error did not say that it might have";
        if (moved) {
          ASSERT_OK(trial.dataset->EnsureDurable());
          EXPECT_THAT(trial.files->NotDurable(), ::testing::IsEmpty())
              << "its sync failed: it is answered from once its files are written anew";
        } else {
          ASSERT_OK(CommitGroup(*trial.dataset));
        }
      }
      EXPECT_EQ(trial.dataset->state().data_records, 13u);
      ExpectHolds(trial);
      if (HasFailure()) return;
      if (!fired) break;
    }
    EXPECT_LT(n, kMaxCalls);
  }
}

TEST(CommitFaultTest, ACreationLeavesAllOrNothing) {
  for (const Fault fault : {Fault::kFail, Fault::kTruncate, Fault::kHalt, Fault::kLate}) {
    uint64_t n = 1;
    for (; n < kMaxCalls; ++n) {
      SCOPED_TRACE(Describe(n, fault, Keep::kNothing));
      Trial trial;
      trial.files->SetPlan({.at_call = n, .fault = fault, .before = {}});
      const bool created = CreateSample({trial.files, trial.derived}).ok();
      const bool fired = trial.files->fired();
      ASSERT_OK(trial.files->Crash(Keep::kNothing));
      const auto opened = Dataset::Open({trial.files, trial.derived});
      if (opened.ok()) {
        EXPECT_EQ((*opened)->state().sequence, 1u);
        ExpectHolds(trial);
      } else {
        EXPECT_THAT(opened, IsErrorCode(ErrorCode::kNotFound));
        EXPECT_FALSE(created);
        EXPECT_OK(CreateSample({trial.files, trial.derived})) << "it can be made again";
      }
      if (HasFailure()) return;
      if (!fired) break;
    }
    EXPECT_LT(n, kMaxCalls);
  }
}

TEST(CommitFaultTest, AResetMovesTheHeadOrDoesNot) {
  for (const Fault fault : {Fault::kFail, Fault::kHalt, Fault::kLate}) {
    uint64_t n = 1;
    for (; n < kMaxCalls; ++n) {
      SCOPED_TRACE(Describe(n, fault, Keep::kNothing));
      Trial trial;
      ASSERT_NO_FATAL_FAILURE(trial.Prepare());
      ASSERT_OK(CommitInfo(*trial.dataset, "to be withdrawn"));
      const Multihash newest = trial.dataset->head();
      trial.files->SetPlan({.at_call = n, .fault = fault, .before = {}});
      const bool acknowledged = trial.dataset->Reset(trial.old_head).ok();
      const bool fired = trial.files->fired();
      EXPECT_EQ(trial.dataset->head(), acknowledged ? trial.old_head : newest);
      ASSERT_OK(trial.files->Crash(Keep::kNothing));
      const auto reopened = trial.Open(true);
      ASSERT_NE(reopened, nullptr);
      EXPECT_TRUE(reopened->head() == trial.old_head || (!acknowledged && reopened->head() == newest));
      ExpectHolds(trial);
      if (HasFailure()) return;
      if (!fired) break;
    }
    EXPECT_LT(n, kMaxCalls);
  }
}

// A disk that says it synced and did not cannot be made up for; what it does is found out, not passed over.
TEST(CommitFaultTest, ALyingDiskIsFoundOut) {
  int damaged = 0;
  uint64_t n = 1;
  for (; n < kMaxCalls; ++n) {
    SCOPED_TRACE(Describe(n, Fault::kForget, Keep::kNothing));
    Trial trial;
    ASSERT_NO_FATAL_FAILURE(trial.Prepare());
    bool acknowledged = false;
    const bool fired = RunGroup(trial, n, Fault::kForget, false, &acknowledged);
    EXPECT_TRUE(acknowledged);
    ASSERT_OK(trial.files->Crash(Keep::kNothing));
    ASSERT_OK_AND_ASSIGN(const VerifyReport report, Verify({trial.files, trial.derived}, {}));
    const auto reopened = Dataset::Open({trial.files, storage::MakeMemoryStorage()});
    if (!reopened.ok()) {
      EXPECT_THAT(reopened, IsErrorCode(ErrorCode::kCorruption));
      EXPECT_FALSE(report.violations.empty());
    }
    damaged += report.violations.empty() ? 0 : 1;
    if (!fired) break;
  }
  EXPECT_LT(n, kMaxCalls);
  EXPECT_GT(damaged, 0) << "every sync of a block or slice counts";
}

TEST(CommitFaultTest, TheHeadMovesLast) {
  Trial trial;
  ASSERT_NO_FATAL_FAILURE(trial.Prepare());
  std::vector<std::string> unsettled;
  bool head_written = false;
  trial.files->SetPlan({.before = [&](const FaultyStorage::Call& call) {
    if (call.step != FaultyStorage::Step::kRename || call.name != kHeadName) return;
    head_written = true;
    unsettled = trial.files->NotDurable();
  }});
  ASSERT_OK(CommitGroup(*trial.dataset));
  trial.files->SetPlan({});
  EXPECT_TRUE(head_written);
  EXPECT_THAT(unsettled, ::testing::IsEmpty()) << "what the head refers to is durable before it moves";
}

}  // namespace
}  // namespace sluice::dataset
