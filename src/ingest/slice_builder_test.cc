#include "ingest/slice_builder.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "base/testing/matchers.h"
#include "dataset/dataset.h"
#include "ingest/testing/push_fixture.h"
#include "odf/arrow_schema.h"

namespace sluice::ingest {
namespace {

struct Row {
  int64_t millis;  // negative: NULL
  int64_t value;
};

const auto kMillis = arrow::timestamp(arrow::TimeUnit::MILLI, "UTC");

std::shared_ptr<arrow::Schema> Merged() {
  return arrow::schema({arrow::field("op", arrow::int32(), false), arrow::field("event_time", kMillis),
                        arrow::field("value", arrow::int64())});
}

std::shared_ptr<arrow::RecordBatch> Batch(const std::vector<Row>& rows) {
  arrow::Int32Builder ops;
  arrow::TimestampBuilder times(kMillis, arrow::default_memory_pool());
  arrow::Int64Builder values;
  for (const auto& row : rows) {
    EXPECT_TRUE(ops.Append(0).ok());
    EXPECT_TRUE((row.millis < 0 ? times.AppendNull() : times.Append(row.millis)).ok());
    EXPECT_TRUE(values.Append(row.value).ok());
  }
  return arrow::RecordBatch::Make(
      Merged(), static_cast<int64_t>(rows.size()),
      {ops.Finish().ValueOrDie(), times.Finish().ValueOrDie(), values.Finish().ValueOrDie()});
}

class SliceBuilderTest : public ::testing::Test {
 protected:
  SliceSpec Spec() {
    SliceSpec spec;
    spec.merged = Merged();
    spec.start_offset = 10;
    spec.system_time = Instant::FromMillis(1000);
    spec.order = {{"event_time"}};
    spec.spill_folder = folder_.path();
    return spec;
  }
  std::unique_ptr<SliceBuilder> Make(SliceSpec spec) {
    auto builder = SliceBuilder::Make(*storage_, std::move(spec));
    EXPECT_OK(builder);
    return std::move(*builder);
  }
  // Values in file order; checks offsets and system times.
  std::vector<int64_t> Values(BuiltSlice& built) {
    std::vector<int64_t> found;
    const std::string name = dataset::DataName(built.slice.physical_hash);
    EXPECT_OK(built.file->Commit(name));
    auto reader = columnar::SliceReader::Open(*storage_, name);
    EXPECT_OK(reader);
    auto offset = static_cast<int64_t>(built.slice.offset_interval.start);
    while (true) {
      auto batch = (*reader)->Next();
      EXPECT_OK(batch);
      if (!batch.ok() || !*batch) break;
      const auto& offsets = static_cast<const arrow::Int64Array&>(*(*batch)->GetColumnByName("offset"));
      const auto& values = static_cast<const arrow::Int64Array&>(*(*batch)->GetColumnByName("value"));
      for (int64_t i = 0; i < values.length(); ++i) {
        EXPECT_EQ(offsets.Value(i), offset++);
        found.push_back(values.Value(i));
      }
    }
    EXPECT_EQ(offset, static_cast<int64_t>(built.slice.offset_interval.end) + 1);
    return found;
  }

  std::unique_ptr<storage::Storage> storage_ = storage::MakeMemoryStorage();
  testing::TempFolder folder_;
};

TEST_F(SliceBuilderTest, StreamsRowsThatAreInOrder) {
  auto builder = Make(Spec());
  ASSERT_OK(builder->Add(Batch({{1, 1}, {2, 2}}), Instant::FromMillis(5)));
  ASSERT_OK(builder->Add(Batch({{2, 3}, {-1, 4}}), Instant::FromMillis(7)));
  ASSERT_OK_AND_ASSIGN(auto built, builder->Finish());
  ASSERT_TRUE(built);
  EXPECT_EQ(built->max_event_time.ToMillis(), 7);
  EXPECT_EQ(Values(*built), (std::vector<int64_t>{1, 2, 3, 4}));
}

TEST_F(SliceBuilderTest, SortsWhatIsNotStably) {
  auto builder = Make(Spec());
  ASSERT_OK(builder->Add(Batch({{3, 1}, {5, 2}}), Instant::FromMillis(4)));
  ASSERT_OK(builder->Add(Batch({{5, 3}, {-1, 4}, {1, 5}}), Instant::FromMillis(4)));
  ASSERT_OK(builder->Add(Batch({{3, 6}}), Instant::FromMillis(4)));
  ASSERT_OK_AND_ASSIGN(auto built, builder->Finish());
  EXPECT_EQ(Values(*built), (std::vector<int64_t>{5, 1, 6, 4, 2, 3}));
}

TEST_F(SliceBuilderTest, KeepsBatchesApart) {
  auto builder = Make(Spec());
  ASSERT_OK(builder->Add(Batch({{8, 1}, {9, 2}}), Instant()));
  ASSERT_OK_AND_ASSIGN(int64_t first, builder->EndBatch());
  EXPECT_EQ(first, 2);
  ASSERT_OK(builder->Add(Batch({{5, 3}}), Instant()));
  ASSERT_OK(builder->Add(Batch({{1, 4}}), Instant()));
  ASSERT_OK_AND_ASSIGN(int64_t second, builder->EndBatch());
  EXPECT_EQ(second, 2);
  ASSERT_OK_AND_ASSIGN(int64_t empty, builder->EndBatch());
  EXPECT_EQ(empty, 0);
  ASSERT_OK(builder->Add(Batch({{0, 5}}), Instant()));
  ASSERT_OK_AND_ASSIGN(auto built, builder->Finish());
  EXPECT_EQ(Values(*built), (std::vector<int64_t>{1, 2, 4, 3, 5}));
}

TEST_F(SliceBuilderTest, SpillsLargeSorts) {
  auto spec = Spec();
  spec.sort_memory_bytes = 64 << 10;
  auto builder = Make(spec);
  std::mt19937 random(3);
  std::vector<Row> rows;
  for (int64_t i = 0; i < 40000; ++i) rows.push_back({static_cast<int64_t>(random() % 1000), i});
  for (size_t i = 0; i < rows.size(); i += 4000) {
    ASSERT_OK(builder->Add(
        Batch({rows.begin() + static_cast<long>(i), rows.begin() + static_cast<long>(i) + 4000}), Instant()));
  }
  ASSERT_OK_AND_ASSIGN(auto built, builder->Finish());
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.millis < b.millis; });
  std::vector<int64_t> expected;
  for (const auto& row : rows) expected.push_back(row.value);
  EXPECT_EQ(Values(*built), expected);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(SliceBuilderTest, MakesNothingOfNoRows) {
  auto builder = Make(Spec());
  ASSERT_OK_AND_ASSIGN(auto built, builder->Finish());
  EXPECT_FALSE(built);
  ASSERT_OK_AND_ASSIGN(auto names, storage_->List(""));
  EXPECT_TRUE(names.empty());
}

TEST_F(SliceBuilderTest, TakesOrderAndOptionalityFromTheDataset) {
  auto spec = Spec();
  spec.dataset_schema = odf::FromArrow(*arrow::schema({arrow::field("offset", arrow::int64(), false),
                                                       arrow::field("op", arrow::int32(), false),
                                                       arrow::field("system_time", kMillis, false),
                                                       arrow::field("value", arrow::int64(), false),
                                                       arrow::field("event_time", kMillis, false)}))
                            .value();
  auto builder = Make(spec);
  EXPECT_EQ(builder->schema()->field_names(),
            (std::vector<std::string>{"offset", "op", "system_time", "value", "event_time"}));
  EXPECT_FALSE(builder->schema()->field(3)->nullable());
}

}  // namespace
}  // namespace sluice::ingest
