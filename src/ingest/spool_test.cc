#include "ingest/spool.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <filesystem>

#include "base/testing/matchers.h"
#include "ingest/testing/push_fixture.h"

namespace sluice::ingest {
namespace {

const auto kSchema = arrow::schema({arrow::field("n", arrow::int64())});

std::shared_ptr<arrow::RecordBatch> Batch(int64_t start, int64_t rows) {
  arrow::Int64Builder builder;
  for (int64_t i = 0; i < rows; ++i) EXPECT_TRUE(builder.Append(start + i).ok());
  return arrow::RecordBatch::Make(kSchema, rows, {builder.Finish().ValueOrDie()});
}

std::vector<int64_t> ReadAll(Spool& spool) {
  std::vector<int64_t> found;
  EXPECT_OK(spool.Replay([&](const std::shared_ptr<arrow::RecordBatch>& batch) -> Status {
    const auto& values = static_cast<const arrow::Int64Array&>(*batch->column(0));
    for (int64_t i = 0; i < values.length(); ++i) found.push_back(values.Value(i));
    return {};
  }));
  return found;
}

TEST(SpoolTest, ReplaysFromMemoryAndDiskAsOftenAsAsked) {
  for (const int64_t memory : {int64_t{1} << 20, int64_t{10000}, int64_t{0}}) {
    testing::TempFolder folder;
    Spool spool(kSchema, folder.path(), memory);
    std::vector<int64_t> expected;
    for (int64_t i = 0; i < 10; ++i) {
      ASSERT_OK(spool.Add(Batch(i * 500, 500)));
      for (int64_t n = 0; n < 500; ++n) expected.push_back(i * 500 + n);
    }
    EXPECT_EQ(spool.rows(), 5000);
    EXPECT_EQ(ReadAll(spool), expected);
    EXPECT_EQ(ReadAll(spool), expected);
    EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "a crash would leave the file";
  }
}

TEST(SpoolTest, HandsOnTheErrorOfTheVisitor) {
  testing::TempFolder folder;
  Spool spool(kSchema, folder.path(), 0);
  ASSERT_OK(spool.Add(Batch(0, 5)));
  EXPECT_THAT(spool.Replay([](const auto&) -> Status { return NotFound("x"); }),
              IsErrorCode(ErrorCode::kNotFound));
}

TEST(SpoolTest, NamesAFolderThatIsNotThere) {
  Spool spool(kSchema, "/nowhere/at/all", 0);
  EXPECT_THAT(spool.Add(Batch(0, 5)), IsError(ErrorCode::kUnavailable, ::testing::HasSubstr("/nowhere")));
}

}  // namespace
}  // namespace sluice::ingest
