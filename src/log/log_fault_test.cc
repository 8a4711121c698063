#include <set>

#include "base/testing/matchers.h"
#include "log/log.h"
#include "storage/testing/faulty_disk.h"
#include "storage/testing/temp_folder.h"

namespace sluice::log {
namespace {

using storage::FaultyDisk;
using testing::ElementsAre;
using testing::HasSubstr;
using Fault = FaultyDisk::Fault;

constexpr int kRecords = 5;

std::string PayloadOf(int i) { return fmt::format("{} {}", i, std::string(300, 'x')); }

// Appends until the first error; returns how many were acknowledged.
int AppendAll(Log& log) {
  for (int i = 0; i < kRecords; ++i) {
    if (!log.Append(1, PayloadOf(i)).ok()) return i;
  }
  return kRecords;
}

// Whatever goes wrong at whichever call: after opening anew, every acknowledged record is there, in order and
// once; at most the one in flight is there besides; and the log goes on.
TEST(LogFaultTest, LosesNothingAcknowledgedWhicheverCallFails) {
  const LogOptions options{.segment_bytes = 1200};
  for (const Fault fault : {Fault::kFail, Fault::kTornWrite, Fault::kShortWrite, Fault::kHalt}) {
    for (uint64_t n = 1;; ++n) {
      SCOPED_TRACE(fmt::format("fault {} at call {}", static_cast<int>(fault), n));
      storage::TempFolder folder;
      FaultyDisk disk;
      disk.SetPlan({.at_call = n, .fault = fault});
      int acknowledged = 0;
      if (auto log = Log::OpenOn(disk, folder / "log", options); log.ok()) {
        acknowledged = AppendAll(**log);
        (void)(*log)->Close();
      }
      const bool fired = disk.fired();
      auto log = Log::Open(folder / "log", options);
      ASSERT_THAT(log, IsOk());
      int found = 0;
      ASSERT_OK((*log)->Replay((*log)->begin(), [&](const Record& record) {
        EXPECT_EQ(record.payload, PayloadOf(found++));
        return OkStatus();
      }));
      EXPECT_GE(found, acknowledged);
      EXPECT_LE(found, acknowledged + 1);
      EXPECT_OK((*log)->Append(1, "goes on"));
      if (!fired) {
        EXPECT_EQ(acknowledged, kRecords);
        break;
      }
    }
  }
}

TEST(LogFaultTest, IsBrokenAfterAFailedSync) {
  storage::TempFolder folder;
  FaultyDisk disk;
  ASSERT_OK_AND_ASSIGN(auto log, Log::OpenOn(disk, folder / "log", {.segment_bytes = 4096}));
  ASSERT_OK(log->Append(1, "one"));
  disk.SetPlan({.at_call = 1, .only = "datasync"});
  EXPECT_THAT(log->Append(1, "two"), IsError(ErrorCode::kUnavailable, HasSubstr("fdatasync")));
  EXPECT_THAT(log->Append(1, "three"), IsError(ErrorCode::kUnavailable, HasSubstr("takes no more records")));
  EXPECT_THAT(log->Close(), IsErrorCode(ErrorCode::kUnavailable));
  EXPECT_EQ(log->end().sequence, 2u);
}

// What nobody knows to be durable is written again before it is relied on: a second sync alone would prove
// nothing.
TEST(LogFaultTest, WritesUnprovenRecordsAnewOnOpening) {
  storage::TempFolder folder;
  FaultyDisk disk;
  {
    ASSERT_OK_AND_ASSIGN(auto log, Log::OpenOn(disk, folder / "log", {.segment_bytes = 4096}));
    ASSERT_OK(log->Append(1, "one"));
    ASSERT_OK(log->Append(1, "two"));
  }
  disk.ClearCalls();
  ASSERT_OK_AND_ASSIGN(auto log, Log::OpenOn(disk, folder / "log", {.segment_bytes = 4096}));
  EXPECT_THAT(disk.Calls(folder / "log"),
              ElementsAre("write /00000000000000000001.seg", "sync /00000000000000000001.seg", "sync "));
}

TEST(LogFaultTest, StaysUsableWhenTheDiskIsFullForANewSegment) {
  storage::TempFolder folder;
  FaultyDisk disk;
  ASSERT_OK_AND_ASSIGN(auto log, Log::OpenOn(disk, folder / "log", {.segment_bytes = 1200}));
  for (int i = 0; i < 3; ++i) ASSERT_OK(log->Append(1, PayloadOf(i)));
  disk.SetPlan({.at_call = 1, .error = ENOSPC, .only = "allocate"});
  EXPECT_THAT(log->Append(1, PayloadOf(3)), IsErrorCode(ErrorCode::kResourceExhausted));
  disk.SetPlan({});
  ASSERT_OK(log->Append(1, PayloadOf(3)));
  int count = 0;
  ASSERT_OK(log->Replay(log->begin(), [&](const Record& record) {
    EXPECT_EQ(record.payload, PayloadOf(count++));
    return OkStatus();
  }));
  EXPECT_EQ(count, 4);
}

}  // namespace
}  // namespace sluice::log
