#include <set>

#include "base/bounded_queue.h"
#include "base/clock.h"
#include "base/instant.h"
#include "base/names.h"
#include "base/random.h"
#include "base/testing/matchers.h"

namespace sluice {
namespace {

TEST(ErrorTest, TableIsTotalAndInEnumOrder) {
  std::set<std::string_view> names;
  for (int i = 0; i < kErrorCodeCount; ++i) {
    const auto& info = InfoOf(static_cast<ErrorCode>(i));
    EXPECT_EQ(static_cast<int>(info.code), i);
    EXPECT_GE(info.http_status, 400);
    EXPECT_GT(info.exit_code, 0);
    names.insert(info.name);
  }
  EXPECT_EQ(names.size(), static_cast<size_t>(kErrorCodeCount));
}

TEST(ErrorTest, ShowsContextFromTheOutsideIn) {
  Error error = InvalidArgument("'x' is not a number").With("line 3").With("file 'a.csv'");
  EXPECT_EQ(error.ToString(), "file 'a.csv': line 3: 'x' is not a number");
}

TEST(InstantTest, ParsesOffsetsAndFractions) {
  ASSERT_OK_AND_ASSIGN(Instant t, ParseInstant("2022-09-25T01:02:03.5-01:00"));
  EXPECT_EQ(FormatInstant(t), "2022-09-25T02:02:03.500Z");
  ASSERT_OK_AND_ASSIGN(t, ParseInstant("1969-12-31T23:59:59.999999999Z"));
  EXPECT_EQ(t.ToMillis(), -1);
  EXPECT_EQ(FormatInstant(t), "1969-12-31T23:59:59.999999999Z");
}

TEST(InstantTest, RefusesWhatIsNotATime) {
  for (const char* text : {"2020-01-01", "2020-13-01T00:00:00Z", "2021-02-29T00:00:00Z",
                           "2020-01-01T00:00:00", "2020-01-01T24:00:00Z", "2020-01-01T00:00:00Zx", ""}) {
    EXPECT_THAT(ParseInstant(text), IsErrorCode(ErrorCode::kInvalidArgument)) << text;
  }
}

TEST(InstantTest, CivilDaysRoundTrip) {
  for (int64_t day = -800000; day < 800000; day += 97) {
    CivilDate d = CivilFromDays(day);
    EXPECT_EQ(DaysFromCivil(d.year, d.month, d.day), day);
  }
}

TEST(BoundedQueueTest, DrainsAfterClose) {
  BoundedQueue<int> queue(2);
  EXPECT_TRUE(queue.Push(1));
  EXPECT_TRUE(queue.Push(2));
  queue.Close();
  EXPECT_FALSE(queue.Push(3));
  EXPECT_EQ(queue.Pop(), 1);
  EXPECT_EQ(queue.Pop(), 2);
  EXPECT_EQ(queue.Pop(), std::nullopt);
}

TEST(NamesTest, FindsNearNames) {
  EXPECT_THAT(NearNames("primarKey", {"primaryKey", "compareColumns"}), testing::ElementsAre("primaryKey"));
}

TEST(RandomTest, UuidsAreVersionSevenAndDiffer) {
  std::string a = NewUuid(), b = NewUuid();
  EXPECT_NE(a, b);
  EXPECT_EQ(a.size(), 36u);
  EXPECT_EQ(a[14], '7');
}

}  // namespace
}  // namespace sluice
