#include "columnar/sorter.h"

#include <arrow/array.h>
#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <optional>
#include <random>

#include "base/testing/matchers.h"
#include "columnar/testing/batches.h"

namespace sluice::columnar {
namespace {

using testing::BatchFromJson;
using ::testing::HasSubstr;
using testing::ToText;

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

struct Row {
  std::optional<int64_t> number;
  std::optional<std::string> text;
  int64_t place = 0;

  bool operator==(const Row&) const = default;
};

std::shared_ptr<arrow::Schema> RowSchema() {
  return arrow::schema({arrow::field("number", arrow::int64()), arrow::field("text", arrow::utf8()),
                        arrow::field("place", arrow::int64())});
}

BatchPtr ToBatch(const std::vector<Row>& rows) {
  arrow::Int64Builder number, place;
  arrow::StringBuilder text;
  for (const Row& row : rows) {
    EXPECT_TRUE(number.AppendOrNull(row.number).ok());
    EXPECT_TRUE((row.text ? text.Append(*row.text) : text.AppendNull()).ok());
    EXPECT_TRUE(place.Append(row.place).ok());
  }
  return arrow::RecordBatch::Make(RowSchema(), static_cast<int64_t>(rows.size()),
                                  arrow::ArrayVector{number.Finish().ValueOrDie(), text.Finish().ValueOrDie(),
                                                     place.Finish().ValueOrDie()});
}

void AppendRows(const arrow::RecordBatch& batch, std::vector<Row>* rows) {
  const auto& number = static_cast<const arrow::Int64Array&>(*batch.column(0));
  const auto& text = static_cast<const arrow::StringArray&>(*batch.column(1));
  const auto& place = static_cast<const arrow::Int64Array&>(*batch.column(2));
  for (int64_t i = 0; i < batch.num_rows(); ++i) {
    Row row;
    if (!number.IsNull(i)) row.number = number.Value(i);
    if (!text.IsNull(i)) row.text = text.GetString(i);
    row.place = place.Value(i);
    rows->push_back(std::move(row));
  }
}

std::vector<Row> RandomRows(std::mt19937* random, size_t count, int64_t range) {
  std::vector<Row> rows(count);
  for (size_t i = 0; i < count; ++i) {
    const int64_t value = static_cast<int64_t>((*random)() % static_cast<uint64_t>(range)) - range / 2;
    if (value % 7 != 0) rows[i].number = value;
    if ((*random)() % 5 != 0)
      rows[i].text = std::string((*random)() % 11, static_cast<char>('a' + (*random)() % 3));
    rows[i].place = static_cast<int64_t>(i);
  }
  return rows;
}

struct Case {
  std::vector<SortKey> keys;
  bool (*less)(const Row&, const Row&);
};

// std::optional orders as we do: nothing first.
const Case kCases[] = {
    {{{"number"}}, [](const Row& a, const Row& b) { return a.number < b.number; }},
    {{{"text"}}, [](const Row& a, const Row& b) { return a.text < b.text; }},
    {{{"text"}, {"number"}},
     [](const Row& a, const Row& b) { return std::tie(a.text, a.number) < std::tie(b.text, b.number); }},
};

class SorterTest : public ::testing::Test {
 protected:
  SorterTest() : folder_(::testing::TempDir() + "/sorter_test") { std::filesystem::remove_all(folder_); }

  // What comes out when `rows` go in, in batches of `batch_rows`.
  std::vector<Row> Sort(const std::vector<Row>& rows, const std::vector<SortKey>& keys, size_t batch_rows,
                        int64_t memory_bytes) {
    std::vector<Row> sorted;
    auto sorter = Sorter::Make(RowSchema(), keys, {.memory_bytes = memory_bytes, .spill_folder = folder_});
    EXPECT_THAT(sorter, IsOk());
    for (size_t begin = 0; begin < rows.size(); begin += batch_rows) {
      const auto end = rows.begin() + static_cast<ptrdiff_t>(std::min(begin + batch_rows, rows.size()));
      EXPECT_OK((*sorter)->Add(ToBatch({rows.begin() + static_cast<ptrdiff_t>(begin), end})));
    }
    EXPECT_OK((*sorter)->Finish());
    EXPECT_TRUE(!std::filesystem::exists(folder_) || std::filesystem::is_empty(folder_));
    while (true) {
      auto batch = (*sorter)->Next();
      EXPECT_THAT(batch, IsOk());
      if (!batch.ok() || *batch == nullptr) break;
      AppendRows(**batch, &sorted);
    }
    return sorted;
  }

  std::string folder_;
};

TEST_F(SorterTest, AgreesWithAStableSortInMemoryAndFromDisk) {
  std::mt19937 random(7);
  for (const Case& c : kCases) {
    for (const int64_t memory_bytes : {int64_t{1} << 30, int64_t{200'000}, int64_t{1}}) {
      const size_t batch_rows = memory_bytes == 1 ? 3000 : 1000;
      const std::vector<Row> rows = RandomRows(&random, 50'000, memory_bytes == 1 ? 100 : 1'000'000);
      std::vector<Row> expected = rows;
      std::stable_sort(expected.begin(), expected.end(), c.less);
      EXPECT_TRUE(Sort(rows, c.keys, batch_rows, memory_bytes) == expected)
          << c.keys.size() << " keys, " << memory_bytes << " bytes";
    }
  }
  EXPECT_FALSE(std::filesystem::exists(folder_));
}

TEST_F(SorterTest, KeepsWhatIsInOrderAndWhatHasNoKey) {
  std::mt19937 random(8);
  std::vector<Row> rows = RandomRows(&random, 5'000, 1000);
  EXPECT_TRUE(Sort(rows, {}, 700, 10'000) == rows);
  std::stable_sort(rows.begin(), rows.end(), kCases[0].less);
  EXPECT_TRUE(Sort(rows, {{"number"}}, 700, 10'000) == rows);
  EXPECT_TRUE(Sort({}, {{"number"}}, 1, 1).empty());
}

TEST_F(SorterTest, HandsOutTheSameBatchesWhenInputIsInOrder) {
  ASSERT_OK_AND_ASSIGN(auto sorter, Sorter::Make(RowSchema(), {{"number"}}, {}));
  const BatchPtr first = ToBatch({{1, "a", 0}, {2, "b", 1}});
  const BatchPtr second = ToBatch({{2, "a", 2}});
  ASSERT_OK(sorter->Add(first));
  ASSERT_OK(sorter->Add(second));
  ASSERT_OK(sorter->Finish());
  ASSERT_OK_AND_ASSIGN(auto batch, sorter->Next());
  EXPECT_EQ(batch.get(), first.get());
  ASSERT_OK_AND_ASSIGN(batch, sorter->Next());
  EXPECT_EQ(batch.get(), second.get());
}

TEST_F(SorterTest, RefusesUnknownColumnsTypesAndMissingFolders) {
  EXPECT_THAT(Sorter::Make(RowSchema(), {{"nope"}}, {}),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("'nope'")));
  auto lists = arrow::schema({arrow::field("l", arrow::list(arrow::int32()))});
  EXPECT_THAT(Sorter::Make(lists, {{"l"}}, {}), IsError(ErrorCode::kUnsupported, HasSubstr("'l'")));
  ASSERT_OK_AND_ASSIGN(auto sorter, Sorter::Make(RowSchema(), {{"number"}}, {.memory_bytes = 1}));
  EXPECT_THAT(sorter->Add(ToBatch({{1, "a", 0}})),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("spill folder")));
  ASSERT_OK_AND_ASSIGN(
      sorter, Sorter::Make(RowSchema(), {{"number"}}, {.memory_bytes = 1, .spill_folder = "/proc/no"}));
  EXPECT_FALSE(sorter->Add(ToBatch({{1, "a", 0}})).ok());
}

TEST(SortBatchTest, PutsNullsFirstAndNaNLast) {
  arrow::DoubleBuilder builder;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double value : {1.0, nan, -0.0, infinity, 0.0, -infinity, -2.5})
    ASSERT_TRUE(builder.Append(value).ok());
  ASSERT_TRUE(builder.AppendNull().ok());
  auto schema = arrow::schema({arrow::field("f", arrow::float64())});
  auto batch = arrow::RecordBatch::Make(schema, 8, arrow::ArrayVector{builder.Finish().ValueOrDie()});
  ASSERT_OK_AND_ASSIGN(auto sorted, SortBatch(batch, {{"f"}}));
  const auto& values = static_cast<const arrow::DoubleArray&>(*sorted->column(0));
  EXPECT_TRUE(values.IsNull(0));
  EXPECT_EQ(values.Value(1), -infinity);
  EXPECT_EQ(values.Value(2), -2.5);
  EXPECT_TRUE(std::signbit(values.Value(3)));  // -0 stays before the 0 that it came before
  EXPECT_FALSE(std::signbit(values.Value(4)));
  EXPECT_EQ(values.Value(5), 1.0);
  EXPECT_EQ(values.Value(6), infinity);
  EXPECT_TRUE(std::isnan(values.Value(7)));
  ASSERT_OK_AND_ASSIGN(const bool in_order, IsSorted(*sorted, {{"f"}}, nullptr));
  EXPECT_TRUE(in_order);
  ASSERT_OK_AND_ASSIGN(const bool before, IsSorted(*batch, {{"f"}}, nullptr));
  EXPECT_FALSE(before);
}

TEST(SortBatchTest, OrdersEveryTypeThatCanBeAKey) {
  auto all = testing::AllTypesBatch();
  // Rows: values, other values, nulls. The third is the smallest for every type.
  for (int i = 0; i < all->num_columns(); ++i) {
    const std::string& name = all->schema()->field(i)->name();
    if (name == "list" || name == "pair") continue;
    SCOPED_TRACE(name);
    ASSERT_OK_AND_ASSIGN(auto sorted, SortBatch(all, {{name}}));
    EXPECT_TRUE(sorted->column(i)->IsNull(0));
    ASSERT_OK_AND_ASSIGN(const bool in_order, IsSorted(*sorted, {{name}}, nullptr));
    EXPECT_TRUE(in_order);
    ASSERT_OK_AND_ASSIGN(const bool unsorted, IsSorted(*all, {{name}}, nullptr));
    EXPECT_FALSE(unsorted);
  }
  ASSERT_OK_AND_ASSIGN(auto sorted, SortBatch(all, {{"d38"}}));
  EXPECT_EQ(static_cast<const arrow::StringArray&>(*sorted->GetColumnByName("text")).GetString(1),
            "");  // -1 < 99...
}

TEST(SortBatchTest, WorksOnSlices) {
  auto schema = arrow::schema({arrow::field("a", arrow::int32())});
  auto batch = BatchFromJson(schema, "[[9], [3], [1], [null], [2], [0]]")->Slice(1, 4);
  ASSERT_OK_AND_ASSIGN(auto sorted, SortBatch(batch, {{"a"}}));
  EXPECT_EQ(ToText(*sorted), ToText(*BatchFromJson(schema, "[[null], [1], [2], [3]]")));
}

TEST(IsSortedTest, ComparesWithTheLastRowBefore) {
  auto schema = arrow::schema({arrow::field("a", arrow::timestamp(arrow::TimeUnit::MILLI, "UTC"), false)});
  auto before = BatchFromJson(schema, "[[1], [5]]");
  const auto sorted = [&](const std::string& rows) {
    auto result = IsSorted(*BatchFromJson(schema, rows), {{"a"}}, before.get());
    return result.ok() && *result;
  };
  EXPECT_TRUE(sorted("[[5], [5], [6]]"));
  EXPECT_FALSE(sorted("[[4], [5], [6]]"));
  EXPECT_FALSE(sorted("[[6], [5]]"));
  EXPECT_TRUE(sorted("[]"));
}

}  // namespace
}  // namespace sluice::columnar
