#include "storage/storage.h"

#include "base/testing/matchers.h"
#include "storage/name.h"
#include "storage/testing/conformance.h"
#include "storage/testing/faulty_storage.h"
#include "storage/testing/temp_folder.h"

namespace sluice::storage {
namespace {

TEST(StorageTest, MemoryConforms) { CheckStorage(MakeMemoryStorage); }

TEST(StorageTest, LocalConforms) {
  TempFolder folder;
  int count = 0;
  CheckStorage(
      [&] {
        auto storage = OpenLocalStorage(folder / fmt::format("{}/deep", count++));
        EXPECT_THAT(storage, IsOk());
        return storage.ok() ? std::move(*storage) : nullptr;
      },
      {.has_local_path = true, .swap_needs_lock = true});
}

TEST(StorageTest, FaultyWithoutFaultsConforms) {
  std::vector<std::unique_ptr<Storage>> inner;
  CheckStorage(
      [&] {
        inner.push_back(MakeMemoryStorage());
        return std::make_unique<FaultyStorage>(*inner.back());
      },
      {.swap_needs_lock = true});
}

TEST(NameTest, SplitsNames) {
  EXPECT_EQ(FolderOf("a/b/c"), "a/b");
  EXPECT_EQ(FolderOf("a"), "");
  EXPECT_EQ(BaseOf("a/b/c"), "c");
  EXPECT_EQ(BaseOf("a"), "a");
  const std::string pending = NewPendingName("data");
  EXPECT_EQ(FolderOf(pending), "data");
  EXPECT_TRUE(IsPendingName(BaseOf(pending)));
  EXPECT_EQ(BaseOf(pending).size(), kPendingPrefix.size() + 16);
}

}  // namespace
}  // namespace sluice::storage
