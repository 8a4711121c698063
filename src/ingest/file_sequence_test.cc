#include "ingest/file_sequence.h"

#include <fstream>

#include "base/testing/matchers.h"
#include "ingest/testing/push_fixture.h"

namespace sluice::ingest {
namespace {

class FileSequenceTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = folder_.path() + "/" + name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  static odf::SourceState State(const std::string& value) { return {"default", "sluice/file", value}; }
  static void ReadThrough(FileSequence& files, size_t index) {
    auto source = files.Open(index);
    ASSERT_OK(source);
    char buffer[7];
    while (true) {
      auto n = (*source)->Read(buffer, sizeof(buffer));
      ASSERT_OK(n);
      if (*n == 0) break;
    }
  }

  testing::TempFolder folder_;
};

TEST_F(FileSequenceTest, ValueIsTheSameStreamedOrReadAfterwards) {
  const std::vector<std::string> paths = {Write("a", "hello, "), Write("b", std::string(100000, 'x'))};
  FileSequence streamed(paths), later(paths);
  ReadThrough(streamed, 0);
  ReadThrough(streamed, 1);
  ASSERT_OK_AND_ASSIGN(const auto value, streamed.ValueAfter(1));
  ASSERT_OK_AND_ASSIGN(const auto other, later.ValueAfter(1));
  EXPECT_EQ(value, other);
  EXPECT_EQ(value.substr(0, 9), "2:100007:");
  EXPECT_EQ(value.size(), 9u + 32u);
}

TEST_F(FileSequenceTest, CountsFilesThatAreTaken) {
  const std::vector<std::string> paths = {Write("a", "one"), Write("b", "two"), Write("c", "three")};
  FileSequence files(paths);
  ASSERT_OK_AND_ASSIGN(const auto two, files.ValueAfter(1));
  FileSequence again(paths);
  EXPECT_EQ(again.CountTaken(State(two)).value(), 2u);
  EXPECT_EQ(again.CountTaken(std::nullopt).value(), 0u);
  // Other bytes of the same length, other cuts, fewer files, nonsense.
  Write("b", "TWO");
  EXPECT_EQ(FileSequence(paths).CountTaken(State(two)).value(), 0u);
  Write("b", "two");
  EXPECT_EQ(FileSequence({paths[0]}).CountTaken(State(two)).value(), 0u);
  EXPECT_EQ(FileSequence({paths[1], paths[0]}).CountTaken(State(two)).value(), 0u);
  for (const char* value : {"", "2", "2:", "2:6", "x:6:y", "0:0:", "99999999999999999999999:1:x", "2:6:0"}) {
    EXPECT_EQ(FileSequence(paths).CountTaken(State(value)).value(), 0u) << value;
  }
  EXPECT_EQ(FileSequence({paths[0], folder_.path() + "/none"}).CountTaken(State(two)).value(), 0u);
}

TEST_F(FileSequenceTest, OpeningAgainForgetsWhatWasRead) {
  const auto path = Write("a", "one");
  FileSequence files({path});
  ReadThrough(files, 0);
  ASSERT_OK_AND_ASSIGN(const auto before, files.ValueAfter(0));
  Write("a", "other");
  ReadThrough(files, 0);
  ASSERT_OK_AND_ASSIGN(const auto after, files.ValueAfter(0));
  EXPECT_NE(before, after);
}

}  // namespace
}  // namespace sluice::ingest
