#include <arrow/io/file.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/testing/matchers.h"
#include "columnar/testing/batches.h"
#include "read/reader.h"
#include "read/testing/read_text.h"

namespace sluice::read {
namespace {

using odf::ReadFormat;
using odf::TypeKind;
using ::testing::ElementsAre;
using testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ReadOutcome;
using testing::ReadSource;
using testing::ReadText;
using ::testing::SizeIs;
using testing::Step;

class TempFolder {
 public:
  TempFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sluice-read-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string ParquetBytes(const std::shared_ptr<arrow::Schema>& schema, const std::string& rows) {
  TempFolder folder;
  const std::string path = folder / "x.parquet";
  auto table = arrow::Table::FromRecordBatches({columnar::testing::BatchFromJson(schema, rows)}).ValueOrDie();
  auto file = arrow::io::FileOutputStream::Open(path).ValueOrDie();
  EXPECT_TRUE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), file, 1 << 20).ok());
  EXPECT_TRUE(file->Close().ok());
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

std::string CitiesParquet() {
  return ParquetBytes(
      arrow::schema({arrow::field("offset", arrow::int64()), arrow::field("city", arrow::utf8(), false),
                     arrow::field("population", arrow::int64())}),
      R"([[0, "A", 1000], [1, "B", null], [2, "C", 3000000000]])");
}

TEST(ParquetReaderTest, Case28KeepsTheFilesOwnColumns) {
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(Step(ReadFormat::kParquet), CitiesParquet()));
  EXPECT_EQ(out.schema, "offset int64, city string!, population int64");
  EXPECT_THAT(out.rows, ElementsAre("0|A|1000", "1|B|·", "2|C|3000000000"));
}

TEST(ParquetReaderTest, Case28ProjectsAndCastsByName) {
  auto step = Step(ReadFormat::kParquet, {Field("population", TypeKind::kString),
                                          Field("city", TypeKind::kString), Field("more", TypeKind::kDate)});
  ReadOptions options;
  options.batch_rows = 2;
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(step, CitiesParquet(), options));
  EXPECT_EQ(out.schema, "population string, city string, more date32[day]");
  EXPECT_THAT(out.rows, ElementsAre("1000|A|·", "·|B|·", "3000000000|C|·"));
}

TEST(ParquetReaderTest, RefusesRowsThatDoNotFit) {
  auto step = Step(ReadFormat::kParquet,
                   {Field("city", TypeKind::kString), Field("population", TypeKind::kInt32, false)});
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(step, CitiesParquet()));
  EXPECT_THAT(out.rows, ElementsAre("A|1000"));
  ASSERT_THAT(out.rejects, SizeIs(2));
  EXPECT_EQ(out.rejects[0].record, 2);
  EXPECT_THAT(out.rejects[0].reason, HasSubstr("non-nullable"));
  EXPECT_EQ(out.rejects[1].value, "3000000000");
  ASSERT_OK_AND_ASSIGN(
      out, ReadText(Step(ReadFormat::kParquet, {Field("city", TypeKind::kInt64)}), CitiesParquet()));
  EXPECT_THAT(out.rejects, SizeIs(3));
}

TEST(ParquetReaderTest, RefusesTextThatIsNotUtf8AtAnyDepth) {
  const auto schema = arrow::schema({arrow::field("n", arrow::int64()), arrow::field("s", arrow::utf8()),
                                     arrow::field("l", arrow::list(arrow::field("item", arrow::utf8())))});
  std::string bytes =
      ParquetBytes(schema, R"([[1, "flat?", ["a"]], [2, "b", ["inner?"]], [3, "good", ["c", null]]])");
  for (const char* text : {"flat?", "inner?"}) {
    for (size_t at = bytes.find(text); at != std::string::npos; at = bytes.find(text, at))
      bytes[at + std::string_view(text).size() - 1] = '\xff';
  }
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(Step(ReadFormat::kParquet), bytes));
  EXPECT_THAT(out.rows, SizeIs(1));
  ASSERT_THAT(out.rejects, SizeIs(2));
  EXPECT_EQ(out.rejects[0].record, 1);
  EXPECT_EQ(out.rejects[0].column, "s");
  EXPECT_THAT(out.rejects[0].reason, HasSubstr("UTF-8"));
  EXPECT_EQ(out.rejects[0].raw, "{\"n\":1,\"s\":\"flat\xef\xbf\xbd\",\"l\":[\"a\"]}");
  EXPECT_EQ(out.rejects[1].column, "l");
  ASSERT_OK_AND_ASSIGN(out, ReadText(Step(ReadFormat::kParquet, {Field("s", TypeKind::kString)}), bytes));
  EXPECT_THAT(out.rows, ElementsAre("b", "good"));
}

TEST(ParquetReaderTest, RefusesNumbersThatWouldBecomeInfinite) {
  const auto bytes =
      ParquetBytes(arrow::schema({arrow::field("f", arrow::float64())}), "[[1e300], [1.5], [Inf], [null]]");
  ASSERT_OK_AND_ASSIGN(ReadOutcome out,
                       ReadText(Step(ReadFormat::kParquet, {Field("f", TypeKind::kFloat32)}), bytes));
  EXPECT_THAT(out.rows, ElementsAre("1.5", "inf", "·"));
  ASSERT_THAT(out.rejects, SizeIs(1));
  EXPECT_EQ(out.rejects[0].record, 1);
  EXPECT_THAT(out.rejects[0].reason, HasSubstr("out of range"));
}

TEST(ParquetReaderTest, RefusesAFileWithoutColumns) {
  EXPECT_THAT(ReadText(Step(ReadFormat::kParquet), ParquetBytes(arrow::schema(arrow::FieldVector{}), "[]")),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("no columns")));
}

TEST(ParquetReaderTest, RefusesMissingAndUnknownColumns) {
  auto step = Step(ReadFormat::kParquet, {Field("nope", TypeKind::kString, false)});
  EXPECT_THAT(ReadText(step, CitiesParquet()), IsError(ErrorCode::kInvalidArgument, HasSubstr("'nope'")));
  ReadOptions options;
  options.strict_columns = true;
  step = Step(ReadFormat::kParquet, {Field("city", TypeKind::kString)});
  EXPECT_THAT(ReadText(step, CitiesParquet(), options),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("'offset' is not in the schema")));
}

TEST(ParquetReaderTest, RefusesOtherBytesAndCleansUp) {
  TempFolder folder;
  ReadOptions options;
  options.spill_folder = folder.path();
  EXPECT_THAT(ReadText(Step(ReadFormat::kParquet), "no parquet at all", options),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("'input'")));
  const std::string bytes = CitiesParquet();
  EXPECT_FALSE(ReadText(Step(ReadFormat::kParquet), bytes.substr(0, bytes.size() / 2), options).ok());
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(ByteSourceTest, ReadsFilesAndDescriptors) {
  TempFolder folder;
  const std::string path = folder / "x.csv";
  std::ofstream(path) << "A,1\nB,2\n";
  ASSERT_OK_AND_ASSIGN(auto file, OpenFileSource(path));
  EXPECT_EQ(file->size(), 8u);
  EXPECT_EQ(file->local_path(), path);
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadSource(Step(ReadFormat::kCsv), std::move(file)));
  EXPECT_THAT(out.rows, ElementsAre("A|1", "B|2"));

  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ASSERT_EQ(::write(ends[1], "C,3\n", 4), 4);
  ::close(ends[1]);
  ASSERT_OK_AND_ASSIGN(out, ReadSource(Step(ReadFormat::kCsv), MakeFdSource(ends[0], "standard input")));
  ::close(ends[0]);
  EXPECT_THAT(out.rows, ElementsAre("C|3"));

  EXPECT_THAT(OpenFileSource(folder / "absent"), IsError(ErrorCode::kNotFound, HasSubstr("absent")));
  EXPECT_THAT(OpenFileSource(folder.path()), IsError(ErrorCode::kInvalidArgument, HasSubstr("folder")));
}

TEST(FormatTest, FindsFormats) {
  EXPECT_EQ(FormatByName("NDJSON").value(), ReadFormat::kNdJson);
  EXPECT_EQ(FormatByName("esrishapefile").value(), ReadFormat::kEsriShapefile);
  EXPECT_THAT(FormatByName("xml"),
              IsError(ErrorCode::kUnsupportedMedia, HasSubstr("csv, tsv, json, ndjson")));
  EXPECT_EQ(FormatByMediaType("application/json; charset=utf-8").value(), ReadFormat::kJson);
  EXPECT_EQ(FormatByMediaType("x-gis/x-shapefile").value(), ReadFormat::kEsriShapefile);
  EXPECT_THAT(FormatByMediaType("text/html"), IsErrorCode(ErrorCode::kUnsupportedMedia));
  EXPECT_EQ(FormatByExtension("/a.b/data.CSV"), ReadFormat::kCsv);
  EXPECT_EQ(FormatByName("tsv").value(), InputFormat(ReadFormat::kCsv, true));
  EXPECT_EQ(FormatByMediaType("text/tab-separated-values").value(), InputFormat(ReadFormat::kCsv, true));
  for (const char* name : {"csv", "tsv", "parquet", "esrishapefile"}) {
    const InputFormat format = FormatByName(name).value();
    EXPECT_NE(CodeOf(format), 0);
    EXPECT_EQ(FormatOfCode(CodeOf(format)), format);
  }
  EXPECT_EQ(FormatByExtension("/a.csv/data"), std::nullopt);
}

TEST(FormatTest, OverrideKeepsTheSchema) {
  auto step = Step(ReadFormat::kNdJson, {Field("a", TypeKind::kInt64)});
  step.timestamp_format = "rfc3339";
  odf::ReadStep csv = OverrideFormat(step, ReadFormat::kCsv);
  EXPECT_EQ(csv.schema, step.schema);
  EXPECT_EQ(csv.header, false);
  EXPECT_EQ(csv.timestamp_format, std::nullopt);
  EXPECT_EQ(OverrideFormat(step, ReadFormat::kNdJson), step);
  odf::ReadStep tsv = OverrideFormat(step, InputFormat(ReadFormat::kCsv, true));
  EXPECT_EQ(tsv.separator, "\t");
  EXPECT_EQ(tsv.schema, step.schema);
  EXPECT_EQ(OverrideFormat(tsv, InputFormat(ReadFormat::kCsv, true)), tsv);
  odf::ReadStep comma = Step(ReadFormat::kCsv);
  comma.header = true;
  EXPECT_EQ(OverrideFormat(comma, InputFormat(ReadFormat::kCsv, true)).header, true);
  EXPECT_EQ(OverrideFormat(tsv, ReadFormat::kCsv), tsv);  // the source's own format, whatever separates it
  odf::ReadStep ddl = Step(ReadFormat::kNdJson);
  ddl.ddl_schema = odf::Strings{"a INT"};
  EXPECT_EQ(OverrideFormat(ddl, ReadFormat::kCsv).ddl_schema, ddl.ddl_schema);
  EXPECT_EQ(OverrideFormat(Step(ReadFormat::kNdJson), ReadFormat::kCsv).header, true);
}

}  // namespace
}  // namespace sluice::read
