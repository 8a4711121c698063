#include "log/segment.h"

#include <fcntl.h>

#include "base/testing/matchers.h"
#include "log/log.h"
#include "storage/testing/temp_folder.h"

namespace sluice::log {
namespace {

using storage::Disk;
using storage::File;
using testing::HasSubstr;
using Outcome = SegmentReader::Outcome;

const SegmentHeader kHeader{
    .log_id = "01890000-0000-7000-8000-000000000001", .number = 3, .first_sequence = 17, .capacity = 4096};

class SegmentTest : public testing::Test {
 protected:
  void Write(const std::string& bytes) {
    auto file = File::Open(Disk::Real(), folder_ / "segment", O_RDWR | O_CREAT | O_TRUNC);
    ASSERT_THAT(file, IsOk());
    file_ = std::move(*file);
    ASSERT_OK(file_->WriteAll(bytes, 0));
  }
  SegmentReader Reader(uint64_t offset) { return {*file_, kHeader, offset, kHeader.capacity}; }

  storage::TempFolder folder_;
  std::unique_ptr<File> file_;
};

TEST_F(SegmentTest, HeaderComesBack) {
  const std::string bytes = EncodeSegmentHeader(kHeader);
  EXPECT_EQ(bytes.size(), kSegmentHeaderBytes);
  ASSERT_OK_AND_ASSIGN(const SegmentHeader header, DecodeSegmentHeader(bytes, "f"));
  EXPECT_EQ(header.log_id, kHeader.log_id);
  EXPECT_EQ(header.number, 3u);
  EXPECT_EQ(header.first_sequence, 17u);
  EXPECT_EQ(header.capacity, 4096u);
}

std::string Hex(std::string_view bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i > 0 && i % 8 == 0) text += ' ';
    text += fmt::format("{:02x}", static_cast<unsigned char>(bytes[i]));
  }
  return text;
}

// The example of docs/formats/log.md.
TEST_F(SegmentTest, BytesAreAsDocumented) {
  EXPECT_EQ(
      Hex(EncodeSegmentHeader(kHeader)),
      "534c5549434c4f47 0100000000000000 3031383930303030 2d303030302d3730 30302d383030302d 3030303030303030 "
      "3030303100000000 0300000000000000 1100000000000000 0010000000000000 0000000000000000 "
      "62e3d518c4e55948");
  std::string record;
  EncodeRecord(kHeader, 96, 1, 17, 16, "hello", record);
  EXPECT_EQ(Hex(record),
            "0500000001000000 1100000000000000 1000000000000000 2e2a05060e37676e 68656c6c6f000000");
}

TEST_F(SegmentTest, EveryDamagedBitOfAHeaderIsNoticed) {
  const std::string good = EncodeSegmentHeader(kHeader);
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bytes = good;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_THAT(DecodeSegmentHeader(bytes, "f"), IsError(ErrorCode::kCorruption, HasSubstr("'f'"))) << bit;
  }
  EXPECT_THAT(DecodeSegmentHeader(good.substr(0, 95), "f"), IsErrorCode(ErrorCode::kCorruption));
}

TEST_F(SegmentTest, RecordsCountOnlyInTheirPlace) {
  std::string bytes(96, '\0');
  EncodeRecord(kHeader, 96, 1, 17, 16, "hello", bytes);
  const std::string record = bytes.substr(96);
  EXPECT_EQ(record.size(), 40u);
  Write(bytes + record);
  SegmentReader reader = Reader(96);
  EXPECT_EQ(reader.Next().value_or(Outcome::kInvalid), Outcome::kRecord);
  EXPECT_EQ(reader.payload(), "hello");
  EXPECT_EQ(reader.header().sequence, 17u);
  EXPECT_EQ(reader.offset(), 136u);
  EXPECT_EQ(reader.Next().value_or(Outcome::kRecord), Outcome::kInvalid) << "the same bytes in another place";
}

TEST_F(SegmentTest, EveryDamagedBitOfARecordIsNoticed) {
  std::string good(96, '\0');
  EncodeRecord(kHeader, 96, 200, 17, 16, "hello", good);
  for (size_t bit = 96 * 8; bit < good.size() * 8; ++bit) {
    std::string bytes = good;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    Write(bytes);
    EXPECT_NE(Reader(96).Next().value_or(Outcome::kInvalid), Outcome::kRecord) << bit;
  }
}

TEST_F(SegmentTest, ZerosAreNothing) {
  Write(std::string(500, '\0'));
  SegmentReader reader = Reader(96);
  EXPECT_EQ(reader.Next().value_or(Outcome::kInvalid), Outcome::kNothing);
  EXPECT_EQ(reader.EndOfBytes().value_or(0), 96u);
  EXPECT_FALSE(reader.FindProofOf(17).value_or(true));
}

TEST(SegmentFileNameTest, ComesBack) {
  EXPECT_EQ(SegmentFileName(42), "00000000000000000042.seg");
  EXPECT_EQ(ParseSegmentFileName(SegmentFileName(42)), 42u);
  for (const char* name : {"42.seg", "0000000000000000004x.seg", "00000000000000000042.log", ""}) {
    EXPECT_EQ(ParseSegmentFileName(name), std::nullopt) << name;
  }
}

TEST(PositionTest, ComesBackAndRefusesNonsense) {
  const Position position{kHeader.log_id, 3, 96, 17};
  ASSERT_OK_AND_ASSIGN(const Position parsed, Position::Parse(position.ToString()));
  EXPECT_EQ(parsed, position);
  for (const std::string& text :
       {std::string(), kHeader.log_id, kHeader.log_id + ":1:2", kHeader.log_id + ":1:2:x",
        kHeader.log_id + ":1:2:3:4", std::string("short:1:2:3")}) {
    EXPECT_THAT(Position::Parse(text), IsErrorCode(ErrorCode::kInvalidArgument)) << text;
  }
}

}  // namespace
}  // namespace sluice::log
