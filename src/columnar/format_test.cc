#include "columnar/format.h"

#include <arrow/array.h>
#include <arrow/array/builder_binary.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <fstream>

#include "base/testing/matchers.h"
#include "columnar/display_width_internal.h"
#include "columnar/slice.h"
#include "columnar/testing/batches.h"

namespace sluice::columnar {
namespace {

using testing::AllTypesBatch;
using testing::BatchFromJson;
using ::testing::HasSubstr;
using testing::ToText;

std::string Print(OutputFormat format, const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches,
                  const std::shared_ptr<arrow::Schema>& schema, FormatOptions options = {}) {
  std::string text;
  auto writer = RowWriter::Make(
      format, schema, [&](std::string_view part) { return text.append(part), OkStatus(); }, options);
  EXPECT_THAT(writer, IsOk());
  if (!writer.ok()) return "";
  for (const auto& batch : batches) EXPECT_OK((*writer)->Write(*batch));
  EXPECT_OK((*writer)->Finish());
  return text;
}

std::string Print(OutputFormat format, const std::shared_ptr<arrow::RecordBatch>& batch,
                  FormatOptions options = {}) {
  return Print(format, {batch}, batch->schema(), options);
}

std::shared_ptr<arrow::RecordBatch> Cities() {
  auto schema =
      arrow::schema({arrow::field("offset", arrow::int64(), false), arrow::field("op", arrow::int32(), false),
                     arrow::field("event_time", arrow::timestamp(arrow::TimeUnit::MILLI, "UTC")),
                     arrow::field("city", arrow::utf8()), arrow::field("population", arrow::float64())});
  return BatchFromJson(schema, R"([[0, 0, 2524705445000, "A", 1.5], [1, 1, 2524705445120, null, null],
                                   [2, 2, null, "", 100], [3, 3, 0, "京都", -1e-7]])");
}

TEST(OutputFormatTest, NamesGoBothWays) {
  for (const char* name : {"table", "csv", "json", "ndjson", "json-soa", "json-aoa", "parquet"}) {
    ASSERT_OK_AND_ASSIGN(auto format, ParseOutputFormat(name));
    EXPECT_EQ(NameOf(format), name);
  }
  EXPECT_THAT(ParseOutputFormat("xml"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("'xml', choose one of: table, csv")));
}

TEST(TableFormatTest, CentresHeadersAndAlignsCellsRight) {
  EXPECT_EQ(Print(OutputFormat::kTable, Cities(), {.op_column = "op"}),
            "┌────────┬────┬──────────────────────────┬──────┬────────────┐\n"
            "│ offset │ op │        event_time        │ city │ population │\n"
            "├────────┼────┼──────────────────────────┼──────┼────────────┤\n"
            "│      0 │ +A │     2050-01-02T03:04:05Z │    A │        1.5 │\n"
            "│      1 │ -R │ 2050-01-02T03:04:05.120Z │      │            │\n"
            "│      2 │ -C │                          │      │      100.0 │\n"
            "│      3 │ +C │     1970-01-01T00:00:00Z │ 京都 │     -1e-07 │\n"
            "└────────┴────┴──────────────────────────┴──────┴────────────┘\n");
}

TEST(TableFormatTest, IsAnEmptyBoxWithoutColumns) {
  EXPECT_EQ(Print(OutputFormat::kTable, {}, arrow::schema({})), "┌┐\n││\n├┤\n││\n└┘\n");
}

TEST(TableFormatTest, HasOneBlankLineWithoutRows) {
  EXPECT_EQ(Print(OutputFormat::kTable, {}, arrow::schema({arrow::field("a", arrow::utf8())})),
            "┌───┐\n│ a │\n├───┤\n│   │\n└───┘\n");
}

TEST(TableFormatTest, ShortensLongCellsAndEscapesControls) {
  auto schema = arrow::schema({arrow::field("t", arrow::utf8())});
  auto batch = BatchFromJson(schema, R"([["abcdef"], ["京都府京"], ["a\nb\u001b["]])");
  EXPECT_EQ(Print(OutputFormat::kTable, batch, {.max_cell_width = 5}),
            "┌───────┐\n│   t   │\n├───────┤\n│ abcd… │\n│ 京都… │\n│ a\\nb… │\n└───────┘\n");
  EXPECT_THAT(Print(OutputFormat::kTable, batch, {.max_cell_width = 0}), HasSubstr("│ a\\nb\\x1b[ │"));
}

TEST(DisplayWidthTest, KnowsWideAndCombiningCharacters) {
  EXPECT_EQ(DisplayWidth("abc"), 3u);
  EXPECT_EQ(DisplayWidth("é"), 1u);
  EXPECT_EQ(DisplayWidth("e\xCC\x81"), 1u);  // e and a combining acute accent
  EXPECT_EQ(DisplayWidth("日本語"), 6u);
  EXPECT_EQ(DisplayWidth("ｶﾅ"), 2u);
  EXPECT_EQ(DisplayWidth("😀"), 2u);
  EXPECT_EQ(DisplayWidth("\xFF\xE4"), 2u);
}

TEST(CsvFormatTest, QuotesWhatNeedsItAndTellsNullFromEmpty) {
  auto schema = arrow::schema({arrow::field("a", arrow::utf8()), arrow::field("b,c", arrow::utf8()),
                               arrow::field("n", arrow::int32())});
  auto batch =
      BatchFromJson(schema, R"([["x", "say \"hi\"", 1], [null, "", null], ["a,b", "two\nlines", -5]])");
  EXPECT_EQ(Print(OutputFormat::kCsv, batch),
            "a,\"b,c\",n\n"
            "x,\"say \"\"hi\"\"\",1\n"
            ",\"\",\n"
            "\"a,b\",\"two\nlines\",-5\n");
}

TEST(CsvFormatTest, KeepsALineForASingleNull) {
  auto batch = BatchFromJson(arrow::schema({arrow::field("a", arrow::int32())}), "[[1], [null]]");
  EXPECT_EQ(Print(OutputFormat::kCsv, batch), "a\n1\n\"\"\n");
}

TEST(CsvFormatTest, WritesEveryType) {
  EXPECT_EQ(
      Print(OutputFormat::kCsv, AllTypesBatch()),
      "bool,i8,i16,i32,i64,u8,u16,u32,u64,f32,f64,text,binary,fixed,date,date64,ms,us,ns,t32,t64,d9,d18,d38,d76,list,"
      "pair\n"
      "true,-1,-2,-3,-4,1,2,3,4,0.5,1.25,a,78,6869,2020-01-01,2020-01-01,2020-01-01T00:00:00Z,"
      "2020-01-01T00:00:00.000001,2020-01-01T00:00:00.000000002Z,01:01:01,01:01:01.000000001"
      ",1.25,-0.125,99999999999999999999999999999999999999,0.5,\"[1,null,3]\",\"[1.0,2.0]\"\n"
      "false,127,32767,2147483647,9223372036854775807,255,65535,4294967295,18446744073709551615,-1e+30,1e+300,\"\",\"\","
      "686f,1969-12-31,1969-12-31,1969-12-31T23:59:59.999Z,1969-12-31T23:59:59.999999,1969-12-31T23:59:59.999999999Z,"
      "00:00:00,00:00:00,-9999999.99,999999999999999.999,-1,-1.5,[],\"[null,4.0]\"\n"
      ",,,,,,,,,,,,,,,,,,,,,,,,,,\n");
}

TEST(JsonFormatTest, WritesRowsAndColumnsInEveryShape) {
  auto schema = arrow::schema({arrow::field("a", arrow::int64()), arrow::field("b\"", arrow::utf8())});
  auto batch = BatchFromJson(schema, R"([[1, "x"], [null, null], [3, "é\n\u0001"]])");
  const auto print = [&](OutputFormat format) {
    return Print(format, {batch->Slice(0, 1), batch->Slice(1)}, schema);
  };
  EXPECT_EQ(
      print(OutputFormat::kJson),
      "[{\"a\":1,\"b\\\"\":\"x\"},\n{\"a\":null,\"b\\\"\":null},\n{\"a\":3,\"b\\\"\":\"é\\n\\u0001\"}]\n");
  EXPECT_EQ(print(OutputFormat::kNdJson),
            "{\"a\":1,\"b\\\"\":\"x\"}\n{\"a\":null,\"b\\\"\":null}\n{\"a\":3,\"b\\\"\":\"é\\n\\u0001\"}\n");
  EXPECT_EQ(print(OutputFormat::kJsonAoa), "[[1,\"x\"],\n[null,null],\n[3,\"é\\n\\u0001\"]]\n");
  EXPECT_EQ(print(OutputFormat::kJsonSoa), "{\"a\":[1,null,3],\n\"b\\\"\":[\"x\",null,\"é\\n\\u0001\"]}\n");
}

TEST(JsonFormatTest, IsValidWithoutRows) {
  auto schema = arrow::schema({arrow::field("a", arrow::int64())});
  EXPECT_EQ(Print(OutputFormat::kJson, {}, schema), "[]\n");
  EXPECT_EQ(Print(OutputFormat::kNdJson, {}, schema), "");
  EXPECT_EQ(Print(OutputFormat::kJsonAoa, {}, schema), "[]\n");
  EXPECT_EQ(Print(OutputFormat::kJsonSoa, {}, schema), "{\"a\":[]}\n");
}

TEST(JsonFormatTest, WritesNestedValuesAndNumbers) {
  auto schema =
      arrow::schema({arrow::field("s", arrow::struct_({arrow::field("x", arrow::int8()),
                                                       arrow::field("y", arrow::list(arrow::utf8()))})),
                     arrow::field("m", arrow::map(arrow::utf8(), arrow::int32())),
                     arrow::field("k", arrow::map(arrow::int32(), arrow::boolean())),
                     arrow::field("f", arrow::float64()), arrow::field("d", arrow::decimal128(5, 2))});
  auto batch = BatchFromJson(schema, R"([[null, null, null, null, null],
     [{"x": 1, "y": ["a", null]}, [["k", 1], ["l", null]], [[7, true]], NaN, "1.50"],
     [{"x": null, "y": null}, [], [], 0.1, "-3.00"]])");
  EXPECT_EQ(
      Print(OutputFormat::kNdJson, batch->Slice(1)),
      "{\"s\":{\"x\":1,\"y\":[\"a\",null]},\"m\":{\"k\":1,\"l\":null},\"k\":{\"7\":true},\"f\":null,\"d\":1.50}\n"
      "{\"s\":{\"x\":null,\"y\":null},\"m\":{},\"k\":{},\"f\":0.1,\"d\":-3.00}\n");
}

TEST(JsonFormatTest, ReplacesBytesThatAreNotUtf8) {
  arrow::StringBuilder builder;
  ASSERT_TRUE(builder.Append("a\xFF\xC3\xA9\xE2\x82").ok());
  auto array = builder.Finish().ValueOrDie();
  auto batch = arrow::RecordBatch::Make(arrow::schema({arrow::field("t", arrow::utf8())}), 1, {array});
  EXPECT_EQ(Print(OutputFormat::kNdJson, batch),
            "{\"t\":\"a\xEF\xBF\xBD\xC3\xA9\xEF\xBF\xBD\xEF\xBF\xBD\"}\n");
}

TEST(TextFormatTest, TakesLargeViewAndDictionaryColumns) {
  auto schema = arrow::schema({arrow::field("l", arrow::large_utf8()), arrow::field("v", arrow::utf8_view()),
                               arrow::field("d", arrow::dictionary(arrow::int8(), arrow::utf8()))});
  auto batch = BatchFromJson(schema, R"([["a", "b", "c"], ["d", "a text too long for a view", "c"]])");
  EXPECT_EQ(Print(OutputFormat::kCsv, batch), "l,v,d\na,b,c\nd,a text too long for a view,c\n");
}

TEST(TextFormatTest, RefusesTypesWithoutTextAndPassesTheSinksError) {
  auto intervals = arrow::schema({arrow::field("i", arrow::month_interval())});
  const auto sink = [](std::string_view) { return OkStatus(); };
  EXPECT_THAT(RowWriter::Make(OutputFormat::kCsv, intervals, sink),
              IsError(ErrorCode::kUnsupported, HasSubstr("'i'")));

  for (const char* name : {"table", "csv", "json", "json-soa", "parquet"}) {
    ASSERT_OK_AND_ASSIGN(auto format, ParseOutputFormat(name));
    const auto closed = [](std::string_view) -> Status {
      return Error(ErrorCode::kCancelled, "pipe closed");
    };
    ASSERT_OK_AND_ASSIGN(auto writer, RowWriter::Make(format, Cities()->schema(), closed));
    Status status = writer->Write(*Cities());
    if (status.ok()) status = writer->Finish();
    EXPECT_THAT(status, IsError(ErrorCode::kCancelled, HasSubstr("pipe closed"))) << name;
  }
}

TEST(ParquetFormatTest, IsAFileThatReadsBack) {
  const std::string bytes = Print(OutputFormat::kParquet, AllTypesBatch());
  const std::string path = ::testing::TempDir() + "/format_test.parquet";
  std::ofstream(path, std::ios::binary) << bytes;
  ASSERT_OK_AND_ASSIGN(auto reader, SliceReader::OpenFile(path));
  ASSERT_OK_AND_ASSIGN(auto batch, reader->Next());
  EXPECT_EQ(ToText(*batch), ToText(*AllTypesBatch()));
  EXPECT_TRUE(reader->schema()->Equals(*AllTypesBatch()->schema())) << reader->schema()->ToString();
}

}  // namespace
}  // namespace sluice::columnar
