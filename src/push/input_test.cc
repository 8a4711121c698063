#include "push/input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/testing/matchers.h"
#include "push/position.h"
#include "storage/testing/temp_folder.h"

namespace sluice::push {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

class InputTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_ / name; }
  void Write(const std::string& name, const std::string& text) const { std::ofstream(Path(name)) << text; }
  void Append(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name), std::ios::app) << text;
  }
  std::unique_ptr<Input> Open(const std::vector<std::string>& names) {
    std::vector<std::string> paths;
    for (const std::string& name : names) paths.push_back(Path(name));
    auto input = Input::Open(paths, options_, stop_.get_token());
    EXPECT_THAT(input, IsOk());
    return std::move(*input);
  }
  static std::string NextBody(Input& input) {
    auto batch = input.Next();
    EXPECT_THAT(batch, IsOk());
    return batch.ok() ? batch->body : "?";
  }
  // The bodies of all batches from `position` on; `last_` is the position behind them.
  std::vector<std::string> Rest(Input& input) {
    std::vector<std::string> bodies;
    while (true) {
      auto batch = input.Next();
      EXPECT_THAT(batch, IsOk());
      if (!batch.ok() || batch->rows == 0) return bodies;
      bodies.push_back(batch->body);
      last_ = batch->position;
    }
  }
  std::vector<std::string> All(const std::vector<std::string>& names,
                               const std::optional<std::string>& position = std::nullopt) {
    auto input = Open(names);
    EXPECT_THAT(input->Seek(position), IsOk());
    return Rest(*input);
  }
  Status SeekIn(const std::vector<std::string>& names, const std::string& position) {
    return Open(names)->Seek(position);
  }

  storage::TempFolder folder_;
  // Long enough for two ticks of the clock that files are stamped with.
  static void Pause() { std::this_thread::sleep_for(milliseconds(20)); }

  InputOptions options_{.max_rows = 2,
                        .max_age = milliseconds(30),
                        .poll_interval = milliseconds(10),
                        .rotated_quiet = milliseconds(40)};
  std::stop_source stop_;
  std::string last_;
};

TEST_F(InputTest, CutsBatchesThatDoNotSpanFiles) {
  Write("a", "1\n2\n3\n");
  Write("empty", "");
  Write("b", "4\n\n5");
  EXPECT_THAT(All({"a", "empty", "b"}), ElementsAre("1\n2\n", "3\n", "4\n\n5"));
  options_.max_rows = 100;
  options_.max_bytes = 3;
  EXPECT_THAT(All({"a"}), ElementsAre("1\n2\n", "3\n"));
  EXPECT_EQ(Open({"a", "b"})->total_bytes(), 10u);
}

TEST_F(InputTest, RefusesCompressedFilesSayingWhatToDo) {
  Write("a.gz", "\x1f\x8b\x08\n");
  Write("b.zst", "\x28\xb5\x2f\xfd\n");
  Write("c", "1\n\x1f\x8b\x08\n");
  for (const auto& [name, program] : {std::pair("a.gz", "zcat FILE"), std::pair("b.zst", "zstdcat FILE")}) {
    auto input = Open({name});
    ASSERT_OK(input->Seek(std::nullopt));
    EXPECT_THAT(input->Next(), IsError(ErrorCode::kInvalidArgument, HasSubstr(program)));
  }
  EXPECT_THAT(All({"c"}), ElementsAre("1\n\x1f\x8b\x08\n"));
}

TEST_F(InputTest, GoesOnBehindEveryPosition) {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += std::to_string(i) + "\n";
  Write("a", text);
  Write("b", "x\ny\nz\n");
  options_.max_rows = 700;
  const auto whole = All({"a", "b"});
  auto input = Open({"a", "b"});
  ASSERT_THAT(input->Seek(std::nullopt), IsOk());
  for (size_t i = 0; i < whole.size(); ++i) {
    ASSERT_OK_AND_ASSIGN(const Batch batch, input->Next());
    const auto rest = All({"a", "b"}, batch.position);
    EXPECT_THAT(rest, testing::ElementsAreArray(whole.begin() + static_cast<long>(i) + 1, whole.end()));
  }
}

TEST_F(InputTest, GoesOnWhenFilesGrewOrWereMoved) {
  Write("log", "1\n2\n3\n");
  All({"log"});
  Append("log", "4\n");
  EXPECT_THAT(All({"log"}, last_), ElementsAre("4\n"));
  fs::copy_file(Path("log"), Path("copy"));
  fs::remove(Path("log"));
  EXPECT_THAT(All({"copy"}, last_), ElementsAre()) << "found by content";
}

TEST_F(InputTest, FindsRotatedFiles) {
  Write("log", "1\n2\n");
  All({"log"});
  Append("log", "3\n");
  fs::rename(Path("log"), Path("log.2"));
  Write("log.1", "4\n");
  fs::last_write_time(Path("log.1"), fs::last_write_time(Path("log.2")) + std::chrono::seconds(1));
  Write("log.0.gz", "packed");
  Write("logbook", "another\n");
  Write("log", "5\n");
  EXPECT_THAT(All({"log"}, last_), ElementsAre("3\n", "4\n", "5\n"));
}

TEST_F(InputTest, RefusesPositionsThatAreNotInTheInput) {
  Write("a", "1\n2\n3\n");
  All({"a"});
  const std::string position = last_;
  Write("a", "1\n");
  EXPECT_THAT(SeekIn({"a"}, position), IsError(ErrorCode::kPrecondition, HasSubstr("byte 6 of 'a'")));
  Write("a", "1\n9\n3\n4\n");
  EXPECT_THAT(SeekIn({"a"}, position), IsErrorCode(ErrorCode::kPrecondition));
  EXPECT_THAT(SeekIn({"a"}, "some token"), IsErrorCode(ErrorCode::kPrecondition));
}

TEST_F(InputTest, TellsEqualFilesApart) {
  Write("a", "1\n2\n");
  Write("b", "1\n2\n");
  auto input = Open({"a", "b"});
  ASSERT_THAT(input->Seek(std::nullopt), IsOk());
  ASSERT_OK_AND_ASSIGN(const Batch first, input->Next());
  ASSERT_OK_AND_ASSIGN(const Batch second, input->Next());
  EXPECT_THAT(All({"a", "b"}, first.position), ElementsAre("1\n2\n"));
  EXPECT_THAT(All({"a", "b"}, second.position), ElementsAre());
}

TEST_F(InputTest, RepeatsHeaders) {
  options_.format = RecordFormat::kCsv;
  options_.has_header = true;
  Write("a", "id,text\n1,\"a\nb\"\n2,c\n3,d\n");
  Write("b", "text,id\ne,4");
  const auto whole = All({"a", "b"});
  EXPECT_THAT(whole, ElementsAre("id,text\n1,\"a\nb\"\n2,c\n", "id,text\n3,d\n", "text,id\ne,4"));
  auto input = Open({"a", "b"});
  ASSERT_THAT(input->Seek(std::nullopt), IsOk());
  ASSERT_OK_AND_ASSIGN(const Batch first, input->Next());
  EXPECT_EQ(first.bytes, 12u) << "without the header";
  EXPECT_THAT(All({"a", "b"}, first.position), ElementsAre("id,text\n3,d\n", "text,id\ne,4"));
  Write("only", "id,text\n");
  EXPECT_THAT(All({"only"}), ElementsAre());
}

TEST_F(InputTest, MakesBatchesSmaller) {
  options_.max_rows = 10;
  Write("a", "1\n2\n3\n4\n");
  auto input = Open({"a"});
  ASSERT_THAT(input->Seek(std::nullopt), IsOk());
  ASSERT_OK_AND_ASSIGN(const Batch batch, input->Next());
  EXPECT_EQ(batch.rows, 4u);
  EXPECT_TRUE(input->Shrink());
  ASSERT_THAT(input->Seek(std::nullopt), IsOk());
  EXPECT_THAT(Rest(*input), ElementsAre("1\n2\n", "3\n4\n"));
  EXPECT_TRUE(input->Shrink());
  EXPECT_FALSE(input->Shrink());
}

TEST_F(InputTest, FollowsAGrowingFile) {
  options_.follow = true;
  Write("log", "1\n");
  auto input = Open({"log"});
  ASSERT_THAT(input->Seek(std::nullopt), IsOk());
  ASSERT_OK_AND_ASSIGN(Batch batch, input->Next());
  EXPECT_EQ(batch.body, "1\n") << "of its age, not of its size";
  std::jthread writer([&] {
    std::this_thread::sleep_for(milliseconds(30));
    Append("log", "2");
    std::this_thread::sleep_for(milliseconds(60));
    Append("log", "2\n");
  });
  ASSERT_OK_AND_ASSIGN(batch, input->Next());
  EXPECT_EQ(batch.body, "22\n") << "whole records only";
}

TEST_F(InputTest, FollowsOverRotationsAndTruncation) {
  options_.follow = true;
  options_.max_rows = 1;
  Write("log", "1\n");
  auto input = Open({"log"});
  ASSERT_THAT(input->Seek(std::nullopt), IsOk());
  std::vector<std::string> seen;
  const auto next = [&] { seen.push_back(NextBody(*input)); };
  next();
  Append("log", "2\n3");  // not ended, and never will be
  fs::rename(Path("log"), Path("log.2"));
  Write("log.1", "4\n");  // rotated before anybody looked
  fs::last_write_time(Path("log.1"), fs::last_write_time(Path("log.2")) + std::chrono::seconds(1));
  Write("log", "5\n");
  for (int i = 0; i < 4; ++i) next();
  fs::resize_file(Path("log"), 0);
  std::this_thread::sleep_for(milliseconds(30));
  std::jthread writer([&] {
    std::this_thread::sleep_for(milliseconds(50));
    Append("log", "6\n");
  });
  next();
  EXPECT_THAT(seen, ElementsAre("1\n", "2\n", "3", "4\n", "5\n", "6\n"));
  std::jthread stopper([&] {
    std::this_thread::sleep_for(milliseconds(30));
    stop_.request_stop();
  });
  EXPECT_THAT(input->Next(), IsErrorCode(ErrorCode::kCancelled));
}

TEST_F(InputTest, FindsWhatItHadNotReadWhenAFileIsCopiedAndTruncated) {
  options_.follow = true;
  for (const bool is_longer : {false, true}) {
    fs::remove(Path("log.1"));
    Write("log", "1\n2\n");
    auto input = Open({"log"});
    ASSERT_THAT(input->Seek(std::nullopt), IsOk());
    EXPECT_EQ(NextBody(*input), "1\n2\n");
    Append("log", "3\n");  // while it stands
    fs::copy_file(Path("log"), Path("log.1"));
    fs::resize_file(Path("log"), 0);
    Append("log", is_longer ? "4\n5\n6\n7\n" : "4\n");
    std::string seen = NextBody(*input);
    const std::string all = is_longer ? "3\n4\n5\n6\n7\n" : "3\n4\n";
    while (seen.size() < all.size()) seen += NextBody(*input);
    EXPECT_EQ(seen, all);
  }
  // Nothing says where it is: what the file holds now is new.
  fs::remove(Path("log.1"));
  Write("log", "1\n2\n");
  auto input = Open({"log"});
  ASSERT_THAT(input->Seek(std::nullopt), IsOk());
  EXPECT_EQ(NextBody(*input), "1\n2\n");
  fs::resize_file(Path("log"), 0);
  Append("log", "8\n9\n0\n");
  std::string seen;
  while (seen.size() < 6) seen += NextBody(*input);
  EXPECT_EQ(seen, "8\n9\n0\n");
}

TEST_F(InputTest, ReadsWhatIsWrittenLateIntoARotatedFile) {
  options_.follow = true;
  options_.rotated_quiet = milliseconds(400);
  for (const bool is_resumed : {false, true}) {
    fs::remove(Path("log.1"));
    Write("log", "1\n");
    auto input = Open({"log"});
    ASSERT_THAT(input->Seek(std::nullopt), IsOk());
    ASSERT_OK_AND_ASSIGN(const Batch first, input->Next());
    std::ofstream writer(Path("log"), std::ios::app);  // its writer has it open
    fs::rename(Path("log"), Path("log.1"));
    Write("log", "4\n");
    std::jthread late([&] {
      for (const char* line : {"2\n", "3\n"}) {
        std::this_thread::sleep_for(milliseconds(120));
        writer << line << std::flush;
      }
    });
    if (is_resumed) {
      input = Open({"log"});
      ASSERT_THAT(input->Seek(first.position), IsOk());
    }
    std::string seen;
    while (seen.size() < 6) seen += NextBody(*input);
    EXPECT_EQ(seen, "2\n3\n4\n");
  }
}

TEST_F(InputTest, WaitsForNobodyWhenARotatedFileIsClosed) {
  options_.follow = true;
  options_.rotated_quiet = std::chrono::hours(1);
  Write("log", "1\n");
  auto input = Open({"log"});
  ASSERT_THAT(input->Seek(std::nullopt), IsOk());
  EXPECT_EQ(NextBody(*input), "1\n");
  Append("log", "2");
  fs::rename(Path("log"), Path("log.1"));
  Write("log", "3\n");
  EXPECT_EQ(NextBody(*input), "2");
  EXPECT_EQ(NextBody(*input), "3\n");
}

TEST_F(InputTest, PushesNoCopyAgainOfAFileThatWasTruncated) {
  options_.follow = true;
  for (const bool is_resumed : {false, true}) {
    for (const char* name : {"log.1", "log.2"}) fs::remove(Path(name));
    Write("log", "1\n");
    auto input = Open({"log"});
    ASSERT_THAT(input->Seek(std::nullopt), IsOk());
    EXPECT_EQ(NextBody(*input), "1\n");
    fs::copy_file(Path("log"), Path("log.1"));
    fs::resize_file(Path("log"), 0);
    if (is_resumed) Pause();
    Append("log", "22\n");
    ASSERT_OK_AND_ASSIGN(const Batch batch, input->Next());
    EXPECT_EQ(batch.body, "22\n");
    // Made after the file that is now behind it in time.
    fs::rename(Path("log"), Path("log.2"));
    Write("log", "3\n");
    if (is_resumed) {
      input = Open({"log"});
      ASSERT_THAT(input->Seek(batch.position), IsOk());
    }
    EXPECT_EQ(NextBody(*input), "3\n");
  }
}

TEST_F(InputTest, GoesBackToFilesThatWereReadAlready) {
  options_.follow = true;
  Write("log", "1\n");
  auto input = Open({"log"});
  ASSERT_THAT(input->Seek(std::nullopt), IsOk());
  ASSERT_OK_AND_ASSIGN(const Batch first, input->Next());
  for (const char* text : {"2\n", "3\n"}) {
    fs::rename(Path("log"), Path(text[0] == '2' ? "log.2" : "log.1"));
    Pause();
    Write("log", text);
    EXPECT_EQ(NextBody(*input), text);
  }
  ASSERT_THAT(input->Seek(first.position), IsOk());
  EXPECT_EQ(NextBody(*input), "2\n");
  EXPECT_EQ(NextBody(*input), "3\n");
}

TEST_F(InputTest, PushesNoOldFileAgainThatWasTouchedOrCopied) {
  options_.follow = true;
  Write("log", "1\n");
  auto input = Open({"log"});
  ASSERT_THAT(input->Seek(std::nullopt), IsOk());
  std::vector<std::string> seen;
  const auto next = [&] {
    seen.push_back(NextBody(*input));
    std::this_thread::sleep_for(milliseconds(20));  // no two files are made in one tick of the clock
  };
  next();
  fs::rename(Path("log"), Path("log.1"));
  Write("log", "2\n");
  next();
  fs::last_write_time(Path("log.1"), fs::last_write_time(Path("log")) + std::chrono::seconds(1));
  fs::copy_file(Path("log"), Path("log.0"));
  fs::rename(Path("log"), Path("log.2"));
  Write("log", "3\n");
  next();
  EXPECT_THAT(seen, ElementsAre("1\n", "2\n", "3\n"));
}

TEST_F(InputTest, PushesNoBackupAgainWhenItBeginsAnew) {
  options_.max_rows = 1;
  const auto pause = [] { std::this_thread::sleep_for(milliseconds(20)); };
  Write("log", "1\n");
  pause();
  fs::copy_file(Path("log"), Path("log.0"));  // while it was written
  pause();
  Append("log", "2\n");
  EXPECT_THAT(All({"log"}), ElementsAre("1\n", "2\n"));
  fs::rename(Path("log"), Path("log.1"));
  pause();
  fs::copy_file(Path("log.1"), Path("log.1.bak"));  // when it was rotated already
  fs::copy_file(Path("log.1"), Path("log.1~"));
  pause();
  Write("log", "3\n");
  EXPECT_THAT(All({"log"}, last_), ElementsAre("3\n"));
}

TEST_F(InputTest, TakesEqualFilesForWhatTheyAre) {
  options_.max_rows = 1;
  const auto pause = [] { std::this_thread::sleep_for(milliseconds(20)); };
  Write("log", "1\n");
  EXPECT_THAT(All({"log"}), ElementsAre("1\n"));
  // Rotated three times meanwhile, each time with the same in it; the oldest got its name last.
  fs::rename(Path("log"), Path("log.1"));
  pause();
  Write("log", "1\n");
  fs::rename(Path("log.1"), Path("log.2"));
  fs::rename(Path("log"), Path("log.1"));
  pause();
  Write("log", "1\n");
  pause();
  fs::rename(Path("log.2"), Path("log.3"));
  fs::rename(Path("log.1"), Path("log.2"));
  fs::rename(Path("log"), Path("log.1"));
  pause();
  Write("log", "2\n");
  EXPECT_THAT(All({"log"}, last_), ElementsAre("1\n", "1\n", "2\n"));
}

// A pipe with a name, fed by a thread.
class PipeTest : public InputTest {
 protected:
  void SetUp() override { ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0); }
  // Opening a FIFO waits for the other side: Check and Seek open it once each.
  std::vector<std::string> Piped(const std::string& text, const std::optional<std::string>& position) {
    auto keep = ::open(Path("pipe").c_str(), O_RDWR);
    auto input = Open({"pipe"});
    std::jthread writer(
        [&] { EXPECT_EQ(::write(keep, text.data(), text.size()), static_cast<ssize_t>(text.size())); });
    status_ = OkStatus();
    std::vector<std::string> bodies;
    std::jthread closer([&, fd = keep] {
      std::this_thread::sleep_for(milliseconds(100));
      ::close(fd);
    });
    status_ = input->Seek(position);
    if (status_.ok()) bodies = Rest(*input);
    return bodies;
  }
  Status status_;
};

TEST_F(PipeTest, TakesWhatBeginsAsBeforeForARepeat) {
  const std::string text = "1\n2\n3\n4\n5";
  EXPECT_THAT(Piped(text, std::nullopt), ElementsAre("1\n2\n", "3\n4\n", "5"));
  EXPECT_THAT(Piped(text, last_), ElementsAre());
  EXPECT_THAT(Piped(text + "\n6\n", last_), ElementsAre("\n6\n"));
  EXPECT_THAT(Piped("7\n8\n", last_), ElementsAre("7\n8\n")) << "new input";
}

TEST_F(InputTest, RefusesPipesAmongFiles) {
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  const int keep = ::open(Path("pipe").c_str(), O_RDWR);
  Write("a", "1\n");
  EXPECT_THAT(Input::Open({Path("a"), Path("pipe")}, options_, {}), IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_THAT(Input::Open({Path("none")}, options_, {}), IsErrorCode(ErrorCode::kNotFound));
  EXPECT_THAT(Input::Open({folder_.path()}, options_, {}), IsErrorCode(ErrorCode::kInvalidArgument));
  ::close(keep);
}

TEST_F(InputTest, RefusesRecordsWithoutEnd) {
  options_.format = RecordFormat::kCsv;
  options_.max_record_bytes = 1000;
  Write("a", "1,x\n2,\"never closed" + std::string(2000, 'x'));
  options_.max_rows = 1;
  auto input = Open({"a"});
  ASSERT_THAT(input->Seek(std::nullopt), IsOk());
  ASSERT_THAT(input->Next(), IsOk());
  EXPECT_THAT(input->Next(), IsError(ErrorCode::kInvalidRecords, HasSubstr("at byte 4")));
}

}  // namespace
}  // namespace sluice::push
