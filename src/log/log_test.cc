#include "log/log.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/testing/matchers.h"
#include "log/segment.h"
#include "storage/testing/temp_folder.h"

namespace sluice::log {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::string ReadFile(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

void WriteFile(const std::string& path, const std::string& bytes) { std::ofstream(path) << bytes; }

std::vector<std::string> Payloads(const Log& log, const Position& from) {
  std::vector<std::string> payloads;
  const Status outcome = log.Replay(from, [&](const Record& record) {
    payloads.push_back(record.payload);
    return OkStatus();
  });
  EXPECT_THAT(outcome, IsOk());
  return payloads;
}

class LogTest : public testing::Test {
 protected:
  Result<std::unique_ptr<Log>> Open() { return Log::Open(folder_ / "log", options_); }
  void OpenInto(std::unique_ptr<Log>& log) {
    log.reset();
    auto opened = Open();
    ASSERT_THAT(opened, IsOk());
    log = std::move(*opened);
  }
  std::string SegmentPath(uint64_t number) { return folder_ / ("log/" + SegmentFileName(number)); }

  storage::TempFolder folder_;
  LogOptions options_{.segment_bytes = 4096};
};

TEST_F(LogTest, KeepsRecordsOverReopening) {
  std::unique_ptr<Log> log;
  OpenInto(log);
  const std::string id = log->id();
  EXPECT_EQ(log->begin(), log->end());
  EXPECT_THAT(Payloads(*log, log->begin()), IsEmpty());
  ASSERT_OK_AND_ASSIGN(const Position first, log->Append(7, "one"));
  ASSERT_OK(log->Append(7, ""));
  EXPECT_EQ(first, log->begin());
  OpenInto(log);
  EXPECT_EQ(log->id(), id);
  ASSERT_OK(log->Append(9, "three"));
  EXPECT_THAT(Payloads(*log, log->begin()), ElementsAre("one", "", "three"));
  ASSERT_OK_AND_ASSIGN(const Record record, log->Read(first));
  EXPECT_EQ(record.payload, "one");
  EXPECT_EQ(record.type, 7);
  EXPECT_EQ(record.position, first);
  EXPECT_THAT(Payloads(*log, record.next), ElementsAre("", "three"));
  EXPECT_THAT(Payloads(*log, log->end()), IsEmpty());
}

TEST_F(LogTest, ClosingMarksTheEndOnceAndRefusesMore) {
  std::unique_ptr<Log> log;
  OpenInto(log);
  ASSERT_OK(log->Append(1, "one"));
  ASSERT_OK(log->Close());
  ASSERT_OK(log->Close());
  EXPECT_THAT(log->Append(1, "two"), IsError(ErrorCode::kUnavailable, HasSubstr("closed")));
  OpenInto(log);
  EXPECT_EQ(log->recovery().records, 2u);
  const Position end = log->end();
  ASSERT_OK(log->Close());
  OpenInto(log);
  EXPECT_EQ(log->end(), end) << "no second marker";
  EXPECT_THAT(Payloads(*log, log->begin()), ElementsAre("one"));
}

TEST_F(LogTest, GoesOnInFurtherSegments) {
  std::unique_ptr<Log> log;
  OpenInto(log);
  std::vector<std::string> expected;
  std::vector<Position> positions;
  for (int i = 0; i < 20; ++i) {
    expected.push_back(std::string(900, static_cast<char>('a' + i)));
    ASSERT_OK_AND_ASSIGN(positions.emplace_back(), log->Append(1, expected.back()));
  }
  EXPECT_EQ(positions.back().segment, 5u);
  EXPECT_EQ(log->size_bytes(), 5u * 4096);
  OpenInto(log);
  EXPECT_EQ(Payloads(*log, log->begin()), expected);
  for (size_t i = 0; i < positions.size(); ++i) {
    EXPECT_THAT(Payloads(*log, positions[i]), SizeIs(20 - i));
    ASSERT_OK_AND_ASSIGN(const Record record, log->Read(positions[i]));
    EXPECT_EQ(record.payload, expected[i]);
    EXPECT_THAT(Payloads(*log, record.next), SizeIs(19 - i)) << "also from behind a segment's last record";
  }
}

TEST_F(LogTest, GivesALargeRecordAFileOfItsOwn) {
  std::unique_ptr<Log> log;
  OpenInto(log);
  ASSERT_OK(log->Append(1, "small"));
  const std::string large(3 << 20, 'x');
  ASSERT_OK(log->Append(1, large));
  ASSERT_OK(log->Append(1, "small again"));
  OpenInto(log);
  EXPECT_EQ(Payloads(*log, log->begin()), (std::vector<std::string>{"small", large, "small again"}));
}

TEST_F(LogTest, RefusesWhatIsOverItsLimits) {
  options_.max_record_bytes = 1000;
  options_.max_log_bytes = 2 * 4096;
  std::unique_ptr<Log> log;
  OpenInto(log);
  EXPECT_THAT(log->Append(1, std::string(1001, 'x')), IsErrorCode(ErrorCode::kTooLarge));
  EXPECT_THAT(log->Append(0, "x"), IsErrorCode(ErrorCode::kInvalidArgument));
  const std::string record(900, 'x');
  for (int i = 0; i < 8; ++i) ASSERT_OK(log->Append(1, record));
  EXPECT_THAT(log->Append(1, record), IsError(ErrorCode::kResourceExhausted, HasSubstr("8192")));
  ASSERT_OK(log->Append(1, "a small one still fits"));
  ASSERT_OK(log->DeleteUpTo(log->end()));
  EXPECT_OK(log->Append(1, record)) << "freed";
}

TEST_F(LogTest, DeletesWholeSegmentsBeforeAPosition) {
  std::unique_ptr<Log> log;
  OpenInto(log);
  std::vector<Position> positions;
  for (int i = 0; i < 12; ++i) {
    ASSERT_OK_AND_ASSIGN(positions.emplace_back(), log->Append(1, std::string(900, 'x')));
  }
  ASSERT_OK(log->DeleteUpTo(positions[5]));
  EXPECT_EQ(log->begin(), positions[4]) << "the segment of the position stays whole";
  EXPECT_THAT(Payloads(*log, log->begin()), SizeIs(8));
  EXPECT_THAT(log->Read(positions[3]), IsError(ErrorCode::kNotFound, HasSubstr("deleted")));
  EXPECT_THAT(log->Replay(positions[0], [](const Record&) { return OkStatus(); }),
              IsErrorCode(ErrorCode::kNotFound));
  ASSERT_OK(log->DeleteUpTo(log->end()));
  OpenInto(log);
  EXPECT_EQ(log->begin(), positions[8]);
  EXPECT_THAT(Payloads(*log, log->begin()), SizeIs(4));
}

TEST_F(LogTest, RefusesAnotherOrAMissingLog) {
  std::unique_ptr<Log> log;
  OpenInto(log);
  ASSERT_OK_AND_ASSIGN(Position position, log->Append(1, "x"));
  position.log_id = "01890000-0000-7000-8000-000000000001";
  EXPECT_THAT(log->Read(position), IsError(ErrorCode::kPrecondition, HasSubstr(log->id())));
  EXPECT_THAT(log->Replay(position, [](const Record&) { return OkStatus(); }),
              IsErrorCode(ErrorCode::kPrecondition));
  EXPECT_THAT(log->DeleteUpTo(position), IsErrorCode(ErrorCode::kPrecondition));
  EXPECT_THAT(log->WaitFor(position), IsErrorCode(ErrorCode::kPrecondition));
  options_.expected_id = log->id();
  OpenInto(log);
  options_.expected_id = position.log_id;
  EXPECT_THAT(Open(), IsError(ErrorCode::kPrecondition, HasSubstr(position.log_id)));
  std::filesystem::remove_all(folder_ / "log");
  EXPECT_THAT(Open(), IsError(ErrorCode::kPrecondition, HasSubstr("missing")));
  options_ = {.create_if_missing = false};
  EXPECT_THAT(Open(), IsErrorCode(ErrorCode::kNotFound));
}

TEST_F(LogTest, RefusesPositionsBeyondItsEnd) {
  std::unique_ptr<Log> log;
  OpenInto(log);
  ASSERT_OK(log->Append(1, "x"));
  Position position = log->end();
  EXPECT_THAT(log->Read(position), IsErrorCode(ErrorCode::kNotFound));
  EXPECT_THAT(log->WaitFor(position), IsErrorCode(ErrorCode::kNotFound));
  ++position.sequence;
  EXPECT_THAT(log->Replay(position, [](const Record&) { return OkStatus(); }),
              IsErrorCode(ErrorCode::kNotFound));
  position = log->begin();
  position.offset += 8;
  EXPECT_THAT(log->Read(position), IsErrorCode(ErrorCode::kCorruption));
}

TEST_F(LogTest, StopsReplayAtTheVisitorsError) {
  std::unique_ptr<Log> log;
  OpenInto(log);
  for (int i = 0; i < 3; ++i) ASSERT_OK(log->Append(1, "x"));
  int count = 0;
  EXPECT_THAT(log->Replay(log->begin(),
                          [&](const Record&) -> Status {
                            if (++count == 2) return Error(ErrorCode::kCancelled, "enough");
                            return {};
                          }),
              IsErrorCode(ErrorCode::kCancelled));
  EXPECT_EQ(count, 2);
}

// The last record cut at every byte, the rest of the file zeros or garbage: it is gone, all before it is
// there, and the log goes on.
TEST_F(LogTest, CutsATornTailAtEveryByte) {
  std::unique_ptr<Log> log;
  OpenInto(log);
  ASSERT_OK(log->Append(1, "first"));
  ASSERT_OK(log->Append(1, "second"));
  ASSERT_OK_AND_ASSIGN(const Position last, log->Append(1, "the third, which is torn"));
  const uint64_t end = log->end().offset;
  log.reset();
  const std::string whole = ReadFile(SegmentPath(1));
  for (uint64_t cut = last.offset; cut < end; ++cut) {
    for (const int fill : {0, 0xff, -1}) {
      SCOPED_TRACE(fmt::format("cut at {}, filled with {}", cut, fill));
      std::string torn = whole.substr(0, cut);
      if (fill >= 0) torn += std::string(end - cut, static_cast<char>(fill)) + whole.substr(end);
      if (torn == whole) continue;  // a padding byte
      WriteFile(SegmentPath(1), torn);
      OpenInto(log);
      EXPECT_EQ(log->end(), last);
      EXPECT_THAT(Payloads(*log, log->begin()), ElementsAre("first", "second"));
      ASSERT_OK(log->Append(1, "another third"));
      OpenInto(log);
      EXPECT_EQ(log->recovery().cut_bytes, 0u);
      EXPECT_THAT(Payloads(*log, log->begin()), ElementsAre("first", "second", "another third"));
      EXPECT_EQ(std::filesystem::file_size(SegmentPath(1)), 4096u);
    }
  }
}

// Pages of one group may reach the disk in any order: a record behind a missing one is no proof of damage
// when both were written together.
TEST_F(LogTest, CutsAGroupOfWhichOnlyTheEndArrived) {
  std::unique_ptr<Log> log;
  OpenInto(log);
  ASSERT_OK(log->Append(1, "durable"));
  ASSERT_OK_AND_ASSIGN(const Position lost, log->Enqueue(1, "lost"));
  ASSERT_OK_AND_ASSIGN(const Position arrived, log->Enqueue(1, "arrived"));
  ASSERT_OK(log->WaitFor(arrived));
  log.reset();
  std::string bytes = ReadFile(SegmentPath(1));
  bytes.replace(lost.offset, arrived.offset - lost.offset, std::string(arrived.offset - lost.offset, '\0'));
  WriteFile(SegmentPath(1), bytes);
  OpenInto(log);
  EXPECT_EQ(log->end(), lost);
  EXPECT_GT(log->recovery().cut_bytes, 0u);
  EXPECT_THAT(Payloads(*log, log->begin()), ElementsAre("durable"));
}

TEST_F(LogTest, ReportsDamageToAcknowledgedRecords) {
  std::unique_ptr<Log> log;
  OpenInto(log);
  ASSERT_OK(log->Append(1, "first"));
  ASSERT_OK_AND_ASSIGN(const Position second, log->Append(1, "second"));
  ASSERT_OK(log->Append(1, "third"));
  log.reset();
  const std::string whole = ReadFile(SegmentPath(1));
  for (const bool zeroed : {false, true}) {
    std::string bytes = whole;
    bytes.replace(second.offset, zeroed ? 40 : 1, std::string(zeroed ? 40 : 1, zeroed ? '\0' : '\x7f'));
    WriteFile(SegmentPath(1), bytes);
    EXPECT_THAT(Open(), IsError(ErrorCode::kCorruption,
                                HasSubstr(fmt::format("offset {}: record 2", second.offset))));
    EXPECT_EQ(ReadFile(SegmentPath(1)), bytes) << "nothing is cut";
  }
}

TEST_F(LogTest, ReportsDamageToTheLastRecordOfAClosedLog) {
  std::unique_ptr<Log> log;
  OpenInto(log);
  ASSERT_OK_AND_ASSIGN(const Position last, log->Append(1, "last"));
  ASSERT_OK(log->Close());
  log.reset();
  std::string bytes = ReadFile(SegmentPath(1));
  bytes[last.offset + kRecordHeaderBytes] ^= 1;
  WriteFile(SegmentPath(1), bytes);
  EXPECT_THAT(Open(), IsErrorCode(ErrorCode::kCorruption));
}

TEST_F(LogTest, ReportsDamageToAnEarlierSegmentOnReplay) {
  std::unique_ptr<Log> log;
  OpenInto(log);
  std::vector<Position> positions;
  for (int i = 0; i < 8; ++i) {
    ASSERT_OK_AND_ASSIGN(positions.emplace_back(), log->Append(1, std::string(900, 'x')));
  }
  log.reset();
  const std::string whole = ReadFile(SegmentPath(1));
  // The segment's last record too: the next segment's header says how many there were.
  for (const Position& damaged : {positions[1], positions[3]}) {
    std::string bytes = whole;
    bytes.replace(damaged.offset, 936, std::string(936, '\0'));
    WriteFile(SegmentPath(1), bytes);
    OpenInto(log);
    EXPECT_THAT(log->Replay(log->begin(), [](const Record&) { return OkStatus(); }),
                IsError(ErrorCode::kCorruption, HasSubstr(fmt::format("record {}", damaged.sequence))));
    EXPECT_THAT(log->Replay(damaged, [](const Record&) { return OkStatus(); }),
                IsErrorCode(ErrorCode::kCorruption));
    EXPECT_THAT(Payloads(*log, positions[4]), SizeIs(4));
  }
}

TEST_F(LogTest, ReportsMissingAndForeignSegments) {
  std::unique_ptr<Log> log;
  OpenInto(log);
  for (int i = 0; i < 12; ++i) ASSERT_OK(log->Append(1, std::string(900, 'x')));
  log.reset();
  const std::string second = ReadFile(SegmentPath(2));
  std::filesystem::remove(SegmentPath(2));
  EXPECT_THAT(Open(), IsError(ErrorCode::kCorruption, HasSubstr("00000000000000000002.seg")));
  WriteFile(SegmentPath(2), ReadFile(SegmentPath(1)));
  EXPECT_THAT(Open(), IsError(ErrorCode::kCorruption, HasSubstr("segment 1")));
  WriteFile(SegmentPath(2), EncodeSegmentHeader({.log_id = "01890000-0000-7000-8000-000000000001",
                                                 .number = 2,
                                                 .first_sequence = 5,
                                                 .capacity = 4096}));
  EXPECT_THAT(Open(), IsError(ErrorCode::kCorruption, HasSubstr("belongs to log")));
  WriteFile(SegmentPath(2), second);
  EXPECT_THAT(Open(), IsOk());
}

TEST_F(LogTest, RemovesAHalfMadeSegment) {
  std::unique_ptr<Log> log;
  OpenInto(log);
  log.reset();
  const std::string pending = folder_ / "log/.pending-0123456789abcdef";
  WriteFile(pending, "half");
  OpenInto(log);
  EXPECT_FALSE(std::filesystem::exists(pending));
}

}  // namespace
}  // namespace sluice::log
