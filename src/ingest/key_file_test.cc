#include "ingest/key_file.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/random.h"
#include "base/testing/matchers.h"

namespace sluice::ingest {
namespace {

namespace fs = std::filesystem;

TEST(KeyFilesTest, GivesZeroedRoomThatHasNoName) {
  const auto folder = fs::temp_directory_path() / ("sluice-keys-" + RandomName(8));
  fs::create_directory(folder);
  std::shared_ptr<uint64_t[]> first, second;
  {
    KeyFiles files(folder.string());
    ASSERT_OK_AND_ASSIGN(first, files.Get(100'000));
    ASSERT_OK_AND_ASSIGN(second, files.Get(5));
  }
  EXPECT_TRUE(fs::is_empty(folder));
  for (size_t i = 0; i < 100'000; i += 997) {
    EXPECT_EQ(first[i], 0u);
    first[i] = i + 1;
  }
  second[4] = 7;
  EXPECT_EQ(first[997], 998u);
  fs::remove_all(folder);
}

TEST(KeyFilesTest, NamesTheFolderThatIsNotThere) {
  KeyFiles files("/nowhere/at/all");
  EXPECT_THAT(files.Get(1), IsError(ErrorCode::kNotFound, testing::HasSubstr("/nowhere/at/all")));
}

}  // namespace
}  // namespace sluice::ingest
