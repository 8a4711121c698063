#include "storage/file_lock.h"

#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/testing/matchers.h"
#include "storage/testing/temp_folder.h"

namespace sluice::storage {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

std::string ReadText(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(FileLockTest, IsExclusiveWithinAProcessAndNamesTheHolder) {
  TempFolder folder;
  const std::string path = folder / "locks/a";
  {
    ASSERT_OK_AND_ASSIGN(auto lock, FileLock::Acquire(path, milliseconds(0)));
    EXPECT_EQ(ReadText(path), fmt::format("{}\n", getpid()));
    EXPECT_THAT(FileLock::Acquire(path, milliseconds(5)),
                IsError(ErrorCode::kUnavailable,
                        HasSubstr(fmt::format("'{}' is held by process {}", path, getpid()))));
  }
  EXPECT_TRUE(std::filesystem::exists(path)) << "the file stays in place";
  EXPECT_EQ(ReadText(path), "");
  EXPECT_OK(FileLock::Acquire(path, milliseconds(0)));
}

TEST(FileLockTest, WaitsUntilReleased) {
  TempFolder folder;
  ASSERT_OK_AND_ASSIGN(auto lock, FileLock::Acquire(folder / "a", milliseconds(0)));
  std::jthread releaser([&] { lock.reset(); });
  EXPECT_OK(FileLock::Acquire(folder / "a", milliseconds(60'000)));
}

TEST(FileLockTest, IsSharedByReadersAndNotWithAWriter) {
  TempFolder folder;
  const std::string path = folder / "a";
  {
    ASSERT_OK_AND_ASSIGN(auto one, FileLock::AcquireShared(path, milliseconds(0)));
    ASSERT_OK_AND_ASSIGN(auto two, FileLock::AcquireShared(path, milliseconds(0)));
    EXPECT_THAT(FileLock::Acquire(path, milliseconds(5)), IsErrorCode(ErrorCode::kUnavailable));
  }
  ASSERT_OK_AND_ASSIGN(auto alone, FileLock::Acquire(path, milliseconds(0)));
  EXPECT_THAT(FileLock::AcquireShared(path, milliseconds(5)), IsErrorCode(ErrorCode::kUnavailable));
}

TEST(FileLockTest, IsNotWantedByReadersWhereNothingCanBeWritten) {
  TempFolder folder;
  EXPECT_OK(FileLock::AcquireShared(folder / "missing/a", milliseconds(0)));
}

TEST(FileLockTest, StopsWaitingWhenAsked) {
  TempFolder folder;
  ASSERT_OK_AND_ASSIGN(auto lock, FileLock::Acquire(folder / "a", milliseconds(0)));
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_THAT(FileLock::Acquire(folder / "a", milliseconds(60'000), stop.get_token()),
              IsErrorCode(ErrorCode::kCancelled));
  stopper.join();
  EXPECT_OK(FileLock::Acquire(folder / "free", milliseconds(0), stop.get_token())) << "it need not wait";
}

TEST(FileLockTest, SaysWhatCannotBeOpened) {
  TempFolder folder;
  std::filesystem::create_directory(folder / "a");
  EXPECT_THAT(FileLock::Acquire(folder / "a", milliseconds(0)),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("/a'")));
}

// A child takes the lock, says so through a pipe and dies by SIGKILL when told: the kernel releases, nobody
// breaks it.
TEST(FileLockTest, IsHeldByAnotherProcessUntilItIsKilled) {
  TempFolder folder;
  const std::string path = folder / "a";
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto lock = FileLock::Acquire(path, milliseconds(1000));
    const char answer = lock.ok() ? 'y' : 'n';
    if (write(ready[1], &answer, 1) != 1) _exit(1);
    while (true) pause();
  }
  char answer = 0;
  ASSERT_EQ(read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  EXPECT_THAT(FileLock::Acquire(path, milliseconds(20)),
              IsError(ErrorCode::kUnavailable, HasSubstr(fmt::format("process {}", child))));
  kill(child, SIGKILL);
  EXPECT_OK(FileLock::Acquire(path, milliseconds(60'000)));
  int status = 0;
  waitpid(child, &status, 0);
  close(ready[0]);
  close(ready[1]);
}

// Two processes count in one file without any other protection: no step is lost.
TEST(FileLockTest, SerialisesTwoProcesses) {
  TempFolder folder;
  const std::string counter = folder / "counter";
  std::ofstream(counter) << 0;
  const auto count = [&] {
    for (int i = 0; i < 50; ++i) {
      auto lock = FileLock::Acquire(folder / "lock", milliseconds(60'000));
      if (!lock.ok()) return false;
      const int value = std::stoi(ReadText(counter));
      std::ofstream(counter) << value + 1;
    }
    return true;
  };
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(count() ? 0 : 1);
  EXPECT_TRUE(count());
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(ReadText(counter), "100");
}

}  // namespace
}  // namespace sluice::storage
