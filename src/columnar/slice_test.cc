#include "columnar/slice.h"

#include <arrow/array.h>
#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/io/memory.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/schema.h>

#include <random>

#include "base/testing/matchers.h"
#include "columnar/logical_hash.h"
#include "columnar/plain_types.h"
#include "columnar/testing/batches.h"
#include "multiformats/sha3.h"

namespace sluice::columnar {
namespace {

using testing::AllTypesBatch;
using testing::BatchFromJson;
using ::testing::HasSubstr;
using testing::ToText;

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

// A staged file that is full after some bytes.
class SmallDisk final : public storage::StagedFile {
 public:
  explicit SmallDisk(uint64_t capacity) : capacity_(capacity) {}
  Status Append(std::string_view bytes) override {
    size_ += bytes.size();
    if (size_ > capacity_) return Error(ErrorCode::kResourceExhausted, "no space left in the test's file");
    return {};
  }
  uint64_t size() const override { return size_; }
  std::string local_path() const override { return ""; }
  Result<std::string> ReadAt(uint64_t, uint64_t) override { return std::string(); }
  Status Commit(const std::string&) override { return {}; }

 private:
  const uint64_t capacity_;
  uint64_t size_ = 0;
};

class SliceTest : public ::testing::Test {
 protected:
  SliceTest() : storage_(storage::MakeMemoryStorage()) {}

  SliceInfo Write(const std::vector<BatchPtr>& batches, SliceOptions options = {}) {
    SliceInfo info;
    auto staged = storage_->Stage("data");
    EXPECT_THAT(staged, IsOk());
    auto writer = SliceWriter::Open(std::move(staged).value(), batches.front()->schema(), options);
    EXPECT_THAT(writer, IsOk());
    if (!writer.ok()) return info;
    for (const auto& batch : batches) EXPECT_OK((*writer)->Write(batch));
    auto closed = (*writer)->Close();
    EXPECT_THAT(closed, IsOk());
    if (closed.ok()) info = *closed;
    EXPECT_OK((*writer)->TakeFile()->Commit("data/slice"));
    return info;
  }

  Result<BatchPtr> ReadAll(std::optional<std::vector<std::string>> columns = {}) {
    ASSIGN_OR_RETURN(auto reader, SliceReader::Open(*storage_, "data/slice", std::move(columns)));
    std::vector<BatchPtr> batches;
    while (true) {
      ASSIGN_OR_RETURN(auto batch, reader->Next());
      if (batch == nullptr) break;
      EXPECT_TRUE(batch->schema()->Equals(reader->schema()));
      EXPECT_LE(batch->num_rows(), 64 * 1024);
      batches.push_back(std::move(batch));
    }
    if (batches.empty()) return arrow::RecordBatch::MakeEmpty(reader->schema()).ValueOrDie();
    return arrow::ConcatenateRecordBatches(batches).ValueOrDie();
  }

  std::string Bytes() {
    auto bytes = storage_->Get("data/slice");
    EXPECT_THAT(bytes, IsOk());
    return bytes.ok() ? *bytes : "";
  }

  std::shared_ptr<parquet::FileMetaData> Footer() {
    auto file = std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(Bytes()));
    return parquet::ParquetFileReader::Open(file)->metadata();
  }

  std::unique_ptr<storage::Storage> storage_;
};

multiformats::Multihash HashOf(const arrow::RecordBatch& batch) {
  auto hasher = LogicalHasher::Make(batch.schema());
  EXPECT_THAT(hasher, IsOk());
  EXPECT_OK(hasher->Update(batch));
  return *hasher->Finish();
}

// As slices of datasets are: system columns, then data of all sorts.
BatchPtr RandomEvents(int64_t rows, int64_t first_offset) {
  std::mt19937_64 random(static_cast<uint64_t>(first_offset) + 1);
  arrow::Int64Builder offset, time;
  arrow::Int32Builder op;
  arrow::StringBuilder city;
  arrow::DoubleBuilder value;
  for (int64_t i = 0; i < rows; ++i) {
    EXPECT_TRUE(offset.Append(first_offset + i).ok());
    EXPECT_TRUE(op.Append(0).ok());
    EXPECT_TRUE(time.Append(static_cast<int64_t>(random() % 1'000'000)).ok());
    EXPECT_TRUE(
        (random() % 10 == 0 ? city.AppendNull() : city.Append("city " + std::to_string(random() % 1000)))
            .ok());
    EXPECT_TRUE(value.Append(static_cast<double>(random()) / 3).ok());
  }
  const auto ms = arrow::timestamp(arrow::TimeUnit::MILLI, "UTC");
  auto schema =
      arrow::schema({arrow::field("offset", arrow::int64(), false), arrow::field("op", arrow::int32(), false),
                     arrow::field("event_time", ms, false), arrow::field("city", arrow::utf8()),
                     arrow::field("value", arrow::float64())});
  auto times = time.Finish().ValueOrDie()->View(ms).ValueOrDie();
  return arrow::RecordBatch::Make(
      schema, rows,
      arrow::ArrayVector{offset.Finish().ValueOrDie(), op.Finish().ValueOrDie(), times,
                         city.Finish().ValueOrDie(), value.Finish().ValueOrDie()});
}

TEST_F(SliceTest, ReturnsEveryTypeAndItsHashes) {
  const SliceInfo info = Write({AllTypesBatch()});
  ASSERT_OK_AND_ASSIGN(auto read, ReadAll());
  EXPECT_TRUE(read->schema()->Equals(AllTypesBatch()->schema(), true)) << read->schema()->ToString();
  EXPECT_EQ(ToText(*read), ToText(*AllTypesBatch()));
  EXPECT_EQ(info.rows, 3);
  EXPECT_EQ(info.size, Bytes().size());
  EXPECT_EQ(info.physical_hash, multiformats::Sha3Multihash(Bytes()));
  EXPECT_EQ(info.logical_hash, HashOf(*AllTypesBatch()));
  EXPECT_EQ(info.logical_hash, HashOf(*read));
}

TEST_F(SliceTest, HasTheParquetTypesOfTheFormat) {
  Write({AllTypesBatch()});
  const auto footer = Footer();
  std::string types;
  for (int i = 0; i < footer->schema()->num_columns(); ++i) {
    const auto* column = footer->schema()->Column(i);
    types += column->path()->ToDotString() + " " + parquet::TypeToString(column->physical_type()) + " " +
             column->logical_type()->ToString() + "\n";
  }
  const std::string utc = "isAdjustedToUTC=true, timeUnit=";
  const std::string rest = ", is_from_converted_type=false, force_set_converted_type=false)\n";
  EXPECT_EQ(types,
            "bool BOOLEAN None\n"
            "i8 INT32 Int(bitWidth=8, isSigned=true)\n"
            "i16 INT32 Int(bitWidth=16, isSigned=true)\n"
            "i32 INT32 None\n"
            "i64 INT64 None\n"
            "u8 INT32 Int(bitWidth=8, isSigned=false)\n"
            "u16 INT32 Int(bitWidth=16, isSigned=false)\n"
            "u32 INT32 Int(bitWidth=32, isSigned=false)\n"
            "u64 INT64 Int(bitWidth=64, isSigned=false)\n"
            "f32 FLOAT None\n"
            "f64 DOUBLE None\n"
            "text BYTE_ARRAY String\n"
            "binary BYTE_ARRAY None\n"
            "fixed FIXED_LEN_BYTE_ARRAY None\n"
            "date INT32 Date\n"
            "date64 INT32 Date\n"
            "ms INT64 Timestamp(" +
                utc + "milliseconds" + rest +
                "us INT64 Timestamp(isAdjustedToUTC=false, timeUnit=microseconds" + rest +
                "ns INT64 Timestamp(" + utc + "nanoseconds" + rest +
                "t32 INT32 Time(isAdjustedToUTC=false, timeUnit=milliseconds)\n"
                "t64 INT64 Time(isAdjustedToUTC=false, timeUnit=nanoseconds)\n"
                "d9 INT32 Decimal(precision=9, scale=2)\n"
                "d18 INT64 Decimal(precision=18, scale=3)\n"
                "d38 FIXED_LEN_BYTE_ARRAY Decimal(precision=38, scale=0)\n"
                "d76 FIXED_LEN_BYTE_ARRAY Decimal(precision=76, scale=1)\n"
                "list.list.item INT32 None\n"
                "pair.list.item FLOAT None\n");
  EXPECT_THAT(footer->created_by(), HasSubstr("sluice version "));
  ASSERT_NE(footer->key_value_metadata(), nullptr);
  EXPECT_EQ(footer->key_value_metadata()->keys(), std::vector<std::string>{"ARROW:schema"});
}

TEST_F(SliceTest, UsesPlainAndDictionaryPagesUnderSnappy) {
  Write({RandomEvents(20'000, 0), RandomEvents(20'000, 20'000)}, {.dictionary_columns = {"op"}});
  const auto footer = Footer();
  ASSERT_EQ(footer->num_row_groups(), 1);
  for (int i = 0; i < footer->num_columns(); ++i) {
    const auto column = footer->RowGroup(0)->ColumnChunk(i);
    const std::string name = footer->schema()->Column(i)->name();
    SCOPED_TRACE(name);
    EXPECT_EQ(column->compression(), parquet::Compression::SNAPPY);
    EXPECT_TRUE(column->is_stats_set());
    for (const auto encoding : column->encodings()) {
      EXPECT_TRUE(encoding == parquet::Encoding::PLAIN || encoding == parquet::Encoding::RLE ||
                  encoding == parquet::Encoding::RLE_DICTIONARY ||
                  encoding == parquet::Encoding::PLAIN_DICTIONARY)
          << parquet::EncodingToString(encoding);
    }
    EXPECT_EQ(column->has_dictionary_page(), name == "op" || name == "city");
    EXPECT_EQ(footer->schema()->Column(i)->max_definition_level(), name == "city" || name == "value" ? 1 : 0);
  }
}

TEST_F(SliceTest, GivesTheSameFileWithAndWithoutThreads) {
  std::vector<BatchPtr> batches;
  for (int i = 0; i < 12; ++i) batches.push_back(RandomEvents(20'000, i * 20'000));
  SliceOptions options{.dictionary_columns = {"op"}, .row_group_rows = 50'000, .threads = true};
  const SliceInfo threaded = Write(batches, options);
  ASSERT_OK_AND_ASSIGN(auto read, ReadAll());
  EXPECT_EQ(Footer()->num_row_groups(), 5);
  EXPECT_EQ(threaded.rows, 240'000);
  EXPECT_EQ(threaded.physical_hash, multiformats::Sha3Multihash(Bytes()));
  EXPECT_EQ(threaded.logical_hash, HashOf(*read));
  EXPECT_TRUE(read->Equals(*arrow::ConcatenateRecordBatches(batches).ValueOrDie()));

  storage_ = storage::MakeMemoryStorage();
  options.threads = false;
  const SliceInfo plain = Write(batches, options);
  EXPECT_EQ(plain.physical_hash, threaded.physical_hash);
  EXPECT_EQ(plain.logical_hash, threaded.logical_hash);
}

TEST_F(SliceTest, MayHaveNoRows) {
  const SliceInfo info = Write({AllTypesBatch()->Slice(0, 0)});
  EXPECT_EQ(info.rows, 0);
  ASSERT_OK_AND_ASSIGN(auto read, ReadAll());
  EXPECT_EQ(read->num_rows(), 0);
  EXPECT_EQ(info.logical_hash, HashOf(*read));
}

TEST_F(SliceTest, WritesLargeViewAndDictionaryColumnsAsPlainOnes) {
  auto schema = arrow::schema({arrow::field("l", arrow::large_utf8()), arrow::field("v", arrow::utf8_view()),
                               arrow::field("d", arrow::dictionary(arrow::int8(), arrow::utf8()), true,
                                            arrow::key_value_metadata({{"k", "v"}})),
                               arrow::field("ll", arrow::large_list(arrow::large_utf8())),
                               arrow::field("s", arrow::timestamp(arrow::TimeUnit::SECOND))},
                              arrow::key_value_metadata({{"a", "b"}}));
  const SliceInfo info =
      Write({BatchFromJson(schema, R"([["a", "b", "c", ["x"], 7], [null, null, null, null, null]])")});
  auto plain =
      arrow::schema({arrow::field("l", arrow::utf8()), arrow::field("v", arrow::utf8()),
                     arrow::field("d", arrow::utf8()), arrow::field("ll", arrow::list(arrow::utf8())),
                     arrow::field("s", arrow::timestamp(arrow::TimeUnit::MILLI))});
  ASSERT_OK_AND_ASSIGN(auto read, ReadAll());
  EXPECT_TRUE(read->schema()->Equals(plain, true)) << read->schema()->ToString();
  EXPECT_EQ(ToText(*read), ToText(*BatchFromJson(
                               plain, R"([["a", "b", "c", ["x"], 7000], [null, null, null, null, null]])")));
  EXPECT_EQ(info.logical_hash, HashOf(*read));
  EXPECT_EQ(Footer()->key_value_metadata()->keys(), std::vector<std::string>{"ARROW:schema"});
}

TEST_F(SliceTest, WritesSlicedAndNestedBatches) {
  auto schema = arrow::schema({arrow::field(
      "s", arrow::struct_({arrow::field("a", arrow::int32(), false), arrow::field("b", arrow::utf8())}),
      false)});
  auto batch =
      BatchFromJson(schema, R"([[{"a": 1, "b": "x"}], [{"a": 2, "b": null}], [{"a": 3, "b": "z"}]])");
  const SliceInfo info = Write({batch->Slice(1, 1), batch->Slice(2)});
  ASSERT_OK_AND_ASSIGN(auto read, ReadAll());
  EXPECT_EQ(ToText(*read), ToText(*batch->Slice(1)));
  EXPECT_EQ(info.logical_hash, HashOf(*batch->Slice(1)));
}

TEST_F(SliceTest, RefusesWhatHasNoLogicalHash) {
  ASSERT_OK_AND_ASSIGN(auto staged, storage_->Stage("data"));
  auto schema = arrow::schema({arrow::field("m", arrow::map(arrow::utf8(), arrow::int32()))});
  EXPECT_THAT(SliceWriter::Open(std::move(staged), schema, {}),
              IsError(ErrorCode::kUnsupported, HasSubstr("m")));
}

TEST_F(SliceTest, ReportsAFullDiskInlineAndFromItsThreads) {
  for (const bool threads : {false, true}) {
    for (const uint64_t capacity : {uint64_t{2}, uint64_t{100'000}, uint64_t{3'000'000}}) {
      SliceOptions options{.row_group_rows = 40'000, .threads = threads};
      ASSERT_OK_AND_ASSIGN(auto writer, SliceWriter::Open(std::make_unique<SmallDisk>(capacity),
                                                          RandomEvents(1, 0)->schema(), options));
      Status status;
      for (int i = 0; i < 20 && status.ok(); ++i) status = writer->Write(RandomEvents(20'000, i * 20'000));
      if (status.ok()) {
        auto closed = writer->Close();
        if (!closed.ok()) status = std::move(closed).error();
      }
      EXPECT_THAT(status,
                  IsError(ErrorCode::kResourceExhausted, HasSubstr("no space left in the test's file")))
          << threads << " " << capacity;
      EXPECT_FALSE(writer->Close().ok());
    }
  }
}

TEST_F(SliceTest, MayBeGivenUpAtAnyPoint) {
  for (const int batches : {0, 1, 5}) {
    ASSERT_OK_AND_ASSIGN(auto staged, storage_->Stage("data"));
    ASSERT_OK_AND_ASSIGN(auto writer, SliceWriter::Open(std::move(staged), RandomEvents(1, 0)->schema(), {}));
    for (int i = 0; i < batches; ++i) ASSERT_OK(writer->Write(RandomEvents(20'000, i * 20'000)));
  }
  ASSERT_OK_AND_ASSIGN(auto names, storage_->List("data"));
  EXPECT_TRUE(names.empty());
}

TEST_F(SliceTest, ReadsColumnsByNameInTheOrderAskedFor) {
  Write({RandomEvents(100, 0)});
  ASSERT_OK_AND_ASSIGN(auto read, ReadAll({{"city", "offset"}}));
  EXPECT_EQ(read->schema()->field_names(), (std::vector<std::string>{"city", "offset"}));
  EXPECT_TRUE(read->column(1)->Equals(RandomEvents(100, 0)->column(0)));
  ASSERT_OK_AND_ASSIGN(auto none, ReadAll({{}}));
  EXPECT_EQ(none->num_rows(), 100);
  EXPECT_THAT(ReadAll({{"town"}}),
              IsError(ErrorCode::kInvalidArgument,
                      HasSubstr("no column 'town' in file 'data/slice', which has 'offset', 'op'")));
}

TEST_F(SliceTest, TellsRowsAndSizeFromTheFooter) {
  const SliceInfo info = Write({RandomEvents(100, 0)});
  ASSERT_OK_AND_ASSIGN(auto metadata, ReadSliceMetadata(*storage_, "data/slice"));
  EXPECT_EQ(metadata.rows, 100);
  EXPECT_EQ(metadata.size, info.size);
  EXPECT_TRUE(metadata.schema->Equals(RandomEvents(1, 0)->schema()));
  EXPECT_THAT(ReadSliceMetadata(*storage_, "data/none"), IsErrorCode(ErrorCode::kNotFound));
  EXPECT_THAT(SliceReader::OpenFile("/nonexistent/file"), IsErrorCode(ErrorCode::kNotFound));
}

TEST_F(SliceTest, NeverCrashesOnDamagedFiles) {
  Write({AllTypesBatch(), AllTypesBatch()});
  const std::string good = Bytes();
  std::mt19937 random(3);
  int refused = 0;
  for (int i = 0; i < 600; ++i) {
    std::string bad = good;
    if (i < 200) {
      bad.resize(random() % good.size());
    } else {
      for (unsigned n = 1 + random() % 3; n > 0; --n)
        bad[random() % bad.size()] ^= static_cast<char>(1 + random() % 255);
    }
    ASSERT_OK(storage_->Replace("data/slice", bad));
    auto read = ReadAll();
    if (read.ok()) continue;
    ++refused;
    EXPECT_THAT(read, IsError(ErrorCode::kCorruption, HasSubstr("'data/slice'")));
  }
  EXPECT_GE(refused, 300);
}

}  // namespace
}  // namespace sluice::columnar
