#include <latch>
#include <map>
#include <thread>

#include "base/testing/matchers.h"
#include "log/log.h"
#include "storage/testing/faulty_disk.h"
#include "storage/testing/temp_folder.h"

namespace sluice::log {
namespace {

using storage::FaultyDisk;

// A disk whose syncs wait until told, so that a group forms without any sleep.
class GatedDisk final : public storage::Disk {
 public:
  int SyncData(int fd) override {
    {
      MutexLock lock(mutex_);
      ++syncs_;
      changed_.NotifyAll();
      changed_.Wait(mutex_, [this]() NO_THREAD_SAFETY_ANALYSIS { return is_open_; });
    }
    return Disk::SyncData(fd);
  }
  void WaitForSync() {
    MutexLock lock(mutex_);
    changed_.Wait(mutex_, [this]() NO_THREAD_SAFETY_ANALYSIS { return syncs_ > 0; });
  }
  void Open() {
    MutexLock lock(mutex_);
    is_open_ = true;
    changed_.NotifyAll();
  }
  using Disk::Open;
  int syncs() {
    MutexLock lock(mutex_);
    return syncs_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int syncs_ GUARDED_BY(mutex_) = 0;
  bool is_open_ GUARDED_BY(mutex_) = false;
};

TEST(LogThreadTest, ManyAppendersShareOneSync) {
  storage::TempFolder folder;
  GatedDisk disk;
  ASSERT_OK_AND_ASSIGN(auto log, Log::OpenOn(disk, folder / "log", {.segment_bytes = 1 << 20}));
  {
    std::jthread first([&] { EXPECT_THAT(log->Append(1, "first"), IsOk()); });
    disk.WaitForSync();
    // While the first one's sync is under way, a hundred more take their places.
    for (int i = 0; i < 100; ++i) ASSERT_OK(log->Enqueue(1, "more"));
    EXPECT_EQ(log->end(), log->begin()) << "nothing is durable yet";
    std::jthread last([&] { EXPECT_THAT(log->Append(1, "last"), IsOk()); });
    disk.Open();
  }
  EXPECT_LE(disk.syncs(), 3);
  EXPECT_EQ(log->end().sequence, 103u);
}

TEST(LogThreadTest, KeepsEachThreadsOrder) {
  constexpr int kThreads = 8;
  constexpr int kEach = 50;
  storage::TempFolder folder;
  const LogOptions options{.segment_bytes = 16 << 10, .max_pending_bytes = 4 << 10};
  {
    ASSERT_OK_AND_ASSIGN(auto log, Log::Open(folder / "log", options));
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&log, t] {
        for (int i = 0; i < kEach; ++i) {
          const std::string payload = fmt::format("{}:{}", t, std::string(static_cast<size_t>(i * 20), 'x'));
          if (i % 3 == 0) {
            EXPECT_THAT(log->Append(1, payload), IsOk());
          } else {
            auto position = log->Enqueue(1, payload);
            ASSERT_THAT(position, IsOk());
            EXPECT_TRUE(i % 3 == 2 || log->WaitFor(*position).ok());
          }
        }
      });
    }
    threads.clear();
    ASSERT_OK(log->Close());
  }
  ASSERT_OK_AND_ASSIGN(auto log, Log::Open(folder / "log", options));
  std::map<char, size_t> next;
  uint64_t sequence = 1;
  ASSERT_OK(log->Replay(log->begin(), [&](const Record& record) {
    EXPECT_EQ(record.position.sequence, sequence++);
    EXPECT_EQ(record.payload.size(), 2 + 20 * next[record.payload[0]]++);
    return OkStatus();
  }));
  EXPECT_EQ(next.size(), static_cast<size_t>(kThreads));
  EXPECT_EQ(sequence, 1u + kThreads * kEach);
}

TEST(LogThreadTest, EveryWaiterHearsOfAFailedSync) {
  storage::TempFolder folder;
  FaultyDisk disk;
  ASSERT_OK_AND_ASSIGN(auto log, Log::OpenOn(disk, folder / "log", {.segment_bytes = 1 << 20}));
  disk.SetPlan({.at_call = 1, .fault = FaultyDisk::Fault::kHalt, .only = "datasync"});
  std::latch start(8);
  std::vector<std::jthread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      start.arrive_and_wait();
      EXPECT_THAT(log->Append(1, "x"), IsErrorCode(ErrorCode::kUnavailable));
    });
  }
  threads.clear();
  EXPECT_EQ(log->end(), log->begin());
}

// Reads run beside appends and see only what is durable.
TEST(LogThreadTest, ReplaysWhileAppending) {
  storage::TempFolder folder;
  ASSERT_OK_AND_ASSIGN(auto log, Log::Open(folder / "log", {.segment_bytes = 8 << 10}));
  std::jthread appender([&] {
    for (int i = 0; i < 200; ++i) EXPECT_THAT(log->Append(1, std::string(200, 'x')), IsOk());
  });
  uint64_t seen = 0;
  while (seen < 200) {
    uint64_t count = 0;
    ASSERT_OK(log->Replay(log->begin(), [&](const Record&) {
      ++count;
      return OkStatus();
    }));
    ASSERT_GE(count, seen);
    seen = count;
  }
}

}  // namespace
}  // namespace sluice::log
