#include "push/position.h"

#include <algorithm>

#include "base/testing/matchers.h"

namespace sluice::push {
namespace {

std::string Bytes(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 131 + i / 251);
  return bytes;
}

TEST(PositionTest, ComesBackAsVisibleText) {
  PositionTracker tracker;
  tracker.Add("one\ntwo\n");
  Position position = tracker.At();
  position.file = "12-34";
  position.name = "a file; with ümlauts\n" + std::string(1000, 'x');
  EXPECT_OK(ParsePosition(FormatPosition(position)));  // as it was before files were seen
  position.seen_ns = 1'700'000'000'123'456'789;
  const std::string text = FormatPosition(position);
  EXPECT_LT(text.size(), 2000u);
  EXPECT_TRUE(std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; })) << text;
  ASSERT_OK_AND_ASSIGN(const Position parsed, ParsePosition(text));
  EXPECT_EQ(parsed.offset, 8u);
  EXPECT_EQ(parsed.head, position.head);
  EXPECT_EQ(parsed.file, "12-34");
  EXPECT_EQ(parsed.seen_ns, position.seen_ns);
  EXPECT_EQ(parsed.name, position.name.substr(0, 512));
}

TEST(PositionTest, RefusesOtherText) {
  const std::string good = FormatPosition(PositionTracker().At());
  EXPECT_THAT(ParsePosition(good), IsOk());
  for (const std::string& text :
       {std::string(), std::string("1"), "2" + good.substr(1), good + ";x", good + ";1;2", good.substr(0, 20),
        std::string("1;5;4;0000000000000000;0000000000000000;;"),
        std::string("1;x;0;0000000000000000;0000000000000000;;"),
        std::string("1;0;0;000000000000000G;0000000000000000;;")}) {
    EXPECT_THAT(ParsePosition(text), IsErrorCode(ErrorCode::kInvalidArgument)) << text;
  }
}

TEST(PositionTest, DoesNotDependOnHowBytesCame) {
  const std::string bytes = Bytes(20'000);
  for (const size_t size : {0ul, 1ul, 4095ul, 4096ul, 4097ul, 8192ul, 20'000ul}) {
    PositionTracker whole;
    whole.Add(std::string_view(bytes).substr(0, size));
    EXPECT_EQ(whole.At().head, WindowDigest(std::string_view(bytes).substr(0, std::min(size, 4096ul))));
    const size_t from = size - std::min(size, 4096ul);
    EXPECT_EQ(whole.At().tail, WindowDigest(std::string_view(bytes).substr(from, size - from)));
    for (const size_t piece : {1ul, 7ul, 1000ul, 5000ul}) {
      PositionTracker pieces;
      for (size_t at = 0; at < size; at += piece)
        pieces.Add(std::string_view(bytes).substr(at, std::min(piece, size - at)));
      EXPECT_EQ(pieces.At(), whole.At()) << size << " " << piece;
    }
    PositionTracker resumed(size, bytes.substr(0, std::min(size, 4096ul)), bytes.substr(from, size - from));
    resumed.Add("more");
    whole.Add("more");
    EXPECT_EQ(resumed.At(), whole.At());
  }
}

}  // namespace
}  // namespace sluice::push
