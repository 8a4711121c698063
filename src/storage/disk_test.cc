#include "storage/disk.h"

#include <fcntl.h>

#include <filesystem>

#include "base/testing/matchers.h"
#include "storage/testing/faulty_disk.h"
#include "storage/testing/temp_folder.h"

namespace sluice::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Fault = FaultyDisk::Fault;

TEST(DiskTest, ContinuesShortWrites) {
  TempFolder folder;
  FaultyDisk disk;
  ASSERT_OK_AND_ASSIGN(auto file, File::Open(disk, folder / "a", O_RDWR | O_CREAT));
  disk.SetPlan({.at_call = 1, .fault = Fault::kShortWrite});
  ASSERT_OK(file->WriteAll("0123456789", 0));
  EXPECT_EQ(disk.calls(), 2u);
  EXPECT_EQ(file->ReadSome(0, 100).value_or("?"), "0123456789");
}

TEST(DiskTest, RepeatsInterruptedWrites) {
  TempFolder folder;
  FaultyDisk disk;
  ASSERT_OK_AND_ASSIGN(auto file, File::Open(disk, folder / "a", O_RDWR | O_CREAT));
  disk.SetPlan({.at_call = 1, .fault = Fault::kInterrupt});
  ASSERT_OK(file->WriteAll("0123456789", 0));
  EXPECT_TRUE(disk.fired());
  EXPECT_EQ(file->ReadSome(0, 100).value_or("?"), "0123456789");
}

TEST(DiskTest, NeverRetriesAFailedSync) {
  TempFolder folder;
  FaultyDisk disk;
  ASSERT_OK_AND_ASSIGN(auto file, File::Open(disk, folder / "a", O_RDWR | O_CREAT));
  disk.SetPlan({.at_call = 1, .fault = Fault::kFail, .only = "sync"});
  EXPECT_THAT(file->Sync(), IsError(ErrorCode::kUnavailable, HasSubstr("fsync")));
  EXPECT_THAT(file->Sync(), IsErrorCode(ErrorCode::kUnavailable));
  EXPECT_THAT(file->SyncData(), IsErrorCode(ErrorCode::kUnavailable));
  EXPECT_EQ(disk.calls(), 1u);
}

TEST(DiskTest, MakesFoldersDurableInTheirParents) {
  TempFolder folder;
  FaultyDisk disk;
  ASSERT_OK(MakeFolders(disk, folder / "a/b"));
  EXPECT_THAT(disk.Calls(folder.path()),
              ElementsAre("folder /a/b", "folder /a", "sync ", "folder /a/b", "sync /a"));
  disk.ClearCalls();
  ASSERT_OK(MakeFolders(disk, folder / "a/b"));
  EXPECT_THAT(disk.Calls(folder.path()), ElementsAre("folder /a/b"));
}

TEST(DiskTest, RefusesAFileInTheFoldersPlace) {
  TempFolder folder;
  ASSERT_OK(File::Open(Disk::Real(), folder / "a", O_RDWR | O_CREAT));
  EXPECT_THAT(MakeFolders(Disk::Real(), folder / "a"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("not a folder")));
}

TEST(DiskTest, KnowsParents) {
  EXPECT_EQ(ParentPath("/a/b"), "/a");
  EXPECT_EQ(ParentPath("/a/b/"), "/a");
  EXPECT_EQ(ParentPath("/a"), "/");
  EXPECT_EQ(ParentPath("a"), ".");
  EXPECT_EQ(ParentPath("a//b"), "a");
}

}  // namespace
}  // namespace sluice::storage
