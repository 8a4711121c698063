#include <arrow/record_batch.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/matchers.h"
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

odf::ReadStep Cities() {
  return Step(ReadFormat::kCsv,
              {Field("city", TypeKind::kString, false), Field("population", TypeKind::kInt32, false)});
}

odf::ReadStep OneColumn(TypeKind kind) { return Step(ReadFormat::kCsv, {Field("v", kind)}); }

odf::ReadStep Guessing() {
  odf::ReadStep step = Step(ReadFormat::kCsv);
  step.header = true;
  step.infer_schema = true;
  return step;
}

// Acceptance cases of odf-ingest.md 10.1, by number.

TEST(CsvReaderTest, Case1ReadsHeaderAndSchema) {
  auto step = Cities();
  step.header = true;
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(step, "city,population\nA,1000\nB,2000\nC,3000\n"));
  EXPECT_EQ(out.schema, "city string!, population int32!");
  EXPECT_THAT(out.rows, ElementsAre("A|1000", "B|2000", "C|3000"));
  EXPECT_THAT(out.rejects, IsEmpty());
}

TEST(CsvReaderTest, Case2NamesStringColumnsByTheHeader) {
  auto step = Step(ReadFormat::kCsv);
  step.header = true;
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(step, "city,population\nA,1000\n"));
  EXPECT_EQ(out.schema, "city string, population string");
  EXPECT_THAT(out.rows, ElementsAre("A|1000"));
}

TEST(CsvReaderTest, NamesTextOfTwoBytesALetter) {
  const auto wide = [](std::string_view text, bool big) {
    std::string bytes;
    for (const char c : text) bytes += big ? std::string{'\0', c} : std::string{c, '\0'};
    return bytes;
  };
  for (auto step : {Step(ReadFormat::kCsv), Cities()}) {
    step.header = true;
    for (const std::string_view text : {"city,population\nA,1000\n", "city,population\nA,1000"}) {
      EXPECT_THAT(ReadText(step, wide(text, true)),
                  IsError(ErrorCode::kInvalidArgument, HasSubstr("'encoding: utf-16be'")));
      EXPECT_THAT(ReadText(step, wide(text, false)),
                  IsError(ErrorCode::kInvalidArgument, HasSubstr("'encoding: utf-16le'")));
    }
  }
}

TEST(CsvReaderTest, Case4TakesTheFirstLineAsData) {
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(Cities(), "A,1000\nB,2000\nC,3000"));
  EXPECT_THAT(out.rows, SizeIs(3));
}

TEST(CsvReaderTest, Case5GuessesAroundNulls) {
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(Guessing(), "city,population\nA,1000\nB,\nC,3000\n"));
  EXPECT_EQ(out.schema, "city string, population int64");
  EXPECT_THAT(out.rows, ElementsAre("A|1000", "B|·", "C|3000"));
}

TEST(CsvReaderTest, Case7RefusesRaggedRecords) {
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(Cities(), "A,1000\nB,2000,x\nC\nD,4000\n"));
  EXPECT_THAT(out.rows, ElementsAre("A|1000", "D|4000"));
  ASSERT_THAT(out.rejects, SizeIs(2));
  EXPECT_EQ(out.rejects[0].line, 2);
  EXPECT_EQ(out.rejects[0].record, 2);
  EXPECT_EQ(out.rejects[0].reason, "expected 2 fields, found 3");
  EXPECT_EQ(out.rejects[0].raw, "B,2000,x");
  EXPECT_EQ(out.rejects[1].reason, "expected 2 fields, found 1");
}

TEST(CsvReaderTest, Case8BindsByPosition) {
  auto step =
      Step(ReadFormat::kCsv, {Field("city", TypeKind::kString), Field("population", TypeKind::kString)});
  step.header = true;
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(step, "population,city\n1000,A\n"));
  EXPECT_EQ(out.schema, "city string, population string");
  EXPECT_THAT(out.rows, ElementsAre("1000|A"));
}

TEST(CsvReaderTest, Case10TakesEmptyFieldsAsNull) {
  auto step = Step(ReadFormat::kCsv, {Field("a", TypeKind::kString, false), Field("b", TypeKind::kString)});
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(step, "x,\nx,\"\"\n,y\n\"\",y\n"));
  EXPECT_THAT(out.rows, ElementsAre("x|·", "x|·"));
  ASSERT_THAT(out.rejects, SizeIs(2));
  for (const auto& reject : out.rejects) {
    EXPECT_EQ(reject.column, "a");
    EXPECT_THAT(reject.reason, HasSubstr("non-nullable"));
  }
}

TEST(CsvReaderTest, Case11ReadsQuotedFields) {
  auto step = Step(ReadFormat::kCsv, {Field("a", TypeKind::kString), Field("b", TypeKind::kInt32)});
  ASSERT_OK_AND_ASSIGN(ReadOutcome out,
                       ReadText(step, "\"x, \"\"y\"\"\nand \\\"z\\\" \\\\\",1\nplain,2\nbad,x\n"));
  EXPECT_THAT(out.rows, ElementsAre("x, \"y\"\nand \"z\" \\|1", "plain|2"));
  ASSERT_THAT(out.rejects, SizeIs(1));
  EXPECT_EQ(out.rejects[0].line, 4);
  EXPECT_EQ(out.rejects[0].record, 3);
}

TEST(CsvReaderTest, Case13NumbersColumns) {
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(Step(ReadFormat::kCsv), "A,1\nB,2\n"));
  EXPECT_EQ(out.schema, "column_1 string, column_2 string");
  EXPECT_THAT(out.rows, ElementsAre("A|1", "B|2"));
}

TEST(CsvReaderTest, Case14Guesses) {
  const std::pair<const char*, const char*> cases[] = {
      {"1\n2.5", "double"},
      {"true\nFALSE", "bool"},
      {"2020-01-01", "date32[day]"},
      {"2020-01-01\nx", "string"},
      {"99999999999999999999", "string"},
      {"-9223372036854775808\n9223372036854775807", "int64"},
      {"-5\n+5", "string"},
      {"1e5", "double"},
      {".5\n5.", "double"},
      {".", "string"},
      {"NaN\n-inf", "double"},
      {"NAN", "string"},
      {"2020-01-01T00:00:00", "timestamp[s]"},
      {"2020-01-01 00:00:00.123Z", "timestamp[ms]"},
      {"2020-01-01 00:00:00.1234+01:00", "timestamp[us]"},
      {"2020-01-01\n2020-01-01 00:00:00.1234567", "timestamp[ns]"},
      {"true\n1", "string"},
      {"1\n2020-01-01", "string"},
      {"\"\"\"x\"\"\"", "string"},
      {"\n\"\"", "string"},
  };
  for (const auto& [text, type] : cases) {
    std::string lines = "v,w\n";
    for (const char c : std::string(text) + "\n")
      lines += c == '\n' ? std::string(",w\n") : std::string(1, c);
    ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(Guessing(), lines));
    EXPECT_EQ(out.schema, std::string("v ") + type + ", w string") << text;
    EXPECT_THAT(out.rejects, IsEmpty()) << text;
  }
}

TEST(CsvReaderTest, Case29TakesDdlSchemas) {
  odf::ReadStep step = Step(ReadFormat::kCsv);
  step.ddl_schema = odf::Strings{"date TIMESTAMP", "city STRING", "population BIGINT NOT NULL"};
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(step, "2020-01-01,A,1\n"));
  EXPECT_EQ(out.schema, "date timestamp[ms, tz=UTC], city string, population int64!");
  step.ddl_schema = odf::Strings{"x UUID"};
  EXPECT_FALSE(CheckReadStep(step).ok());
}

TEST(CsvReaderTest, Case31HasNoFrameWithoutBytes) {
  ASSERT_OK_AND_ASSIGN(ReadOutcome nothing, ReadText(Guessing(), ""));
  EXPECT_EQ(nothing.schema, "none");
  ASSERT_OK_AND_ASSIGN(ReadOutcome declared, ReadText(Cities(), ""));
  EXPECT_EQ(declared.schema, "city string!, population int32!");
  EXPECT_THAT(declared.rows, IsEmpty());
}

// Options.

TEST(CsvReaderTest, ReadsAHeaderAlone) {
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(Guessing(), "a,b"));
  EXPECT_EQ(out.schema, "a string, b string");
  EXPECT_THAT(out.rows, IsEmpty());
}

TEST(CsvReaderTest, RefusesARepeatedHeaderName) {
  EXPECT_THAT(ReadText(Guessing(), "a,a\n1,2\n"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("'a' twice")));
}

TEST(CsvReaderTest, RefusesLinesThatEndWithAReturnAlone) {
  EXPECT_THAT(ReadText(Guessing(), "a,b\r1,2\r3,4\r"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("carriage return")));
  EXPECT_OK(ReadText(Guessing(), "a,\"b\r\nc\"\r\n1,2\r\n"));
}

TEST(CsvReaderTest, TakesSeparatorQuoteAndEscape) {
  auto step = Step(ReadFormat::kCsv, {Field("a", TypeKind::kString), Field("b", TypeKind::kString)});
  step.separator = "\t";
  step.quote = "'";
  step.escape = "";
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(step, "'x''y'\t\"\n'\\'\t'\t'\n"));
  EXPECT_THAT(out.rows, ElementsAre("x'y|\"", "\\|\t"));
  step.quote = "";
  ASSERT_OK_AND_ASSIGN(out, ReadText(step, "'x''y'\t\"\n"));
  EXPECT_THAT(out.rows, ElementsAre("'x''y'|\""));
}

TEST(CsvReaderTest, EscapeMayBeTheQuote) {
  auto step = Step(ReadFormat::kCsv, {Field("a", TypeKind::kString), Field("b", TypeKind::kString)});
  step.escape = "\"";
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(step, "\"x\"\"y\\\",\"z\"\n"));
  EXPECT_THAT(out.rows, ElementsAre("x\"y\\|z"));
}

TEST(CsvReaderTest, KeepsQuotesWithinPlainFields) {
  auto step = Step(ReadFormat::kCsv, {Field("a", TypeKind::kString), Field("b", TypeKind::kString)});
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(step, "5\" pipe,\"x\"y\n2,3\n"));
  EXPECT_THAT(out.rows, ElementsAre("5\" pipe|xy", "2|3"));
}

TEST(CsvReaderTest, SaysThatAQuoteIsNotClosed) {
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(Cities(), "A,1\n\"B,2\nC,3\n"));
  EXPECT_THAT(out.rows, ElementsAre("A|1"));
  ASSERT_THAT(out.rejects, SizeIs(1));
  EXPECT_EQ(out.rejects[0].line, 2);
  EXPECT_THAT(out.rejects[0].reason, HasSubstr("not closed"));
}

TEST(CsvReaderTest, GivesNullValueItsMeaning) {
  auto step = Step(ReadFormat::kCsv, {Field("a", TypeKind::kString), Field("b", TypeKind::kInt32)});
  step.null_value = "NA";
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(step, "NA,1\n,NA\n\"\",2\nx,\n"));
  EXPECT_THAT(out.rows, ElementsAre("·|1", "|·", "|2"));
  EXPECT_THAT(out.rejects, SizeIs(1));
}

TEST(CsvReaderTest, SkipsByteOrderMarkAndBlankLines) {
  auto step = Cities();
  step.header = true;
  ASSERT_OK_AND_ASSIGN(ReadOutcome out,
                       ReadText(step, "\xef\xbb\xbf\r\ncity,population\r\n\r\nA,1\r\n\nB,x\r\n"));
  EXPECT_THAT(out.rows, ElementsAre("A|1"));
  ASSERT_THAT(out.rejects, SizeIs(1));
  EXPECT_EQ(out.rejects[0].line, 6);
  EXPECT_EQ(out.rejects[0].record, 2);
  EXPECT_EQ(out.rejects[0].raw, "B,x");
}

TEST(CsvReaderTest, ReadsOtherEncodings) {
  auto step = OneColumn(TypeKind::kString);
  step.encoding = "ISO-8859-1";
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(step, "caf\xe9\n"));
  EXPECT_THAT(out.rows, ElementsAre("café"));
  step.encoding = "utf16";
  ASSERT_OK_AND_ASSIGN(out, ReadText(step, std::string("\xff\xfe"
                                                       "a\0\xe9\0\n\0",
                                                       8)));
  EXPECT_THAT(out.rows, ElementsAre("aé"));
  const std::pair<const char*, const char*> kTexts[] = {{"windows-1251", "\xcc\xee"},
                                                        {"koi8-r", "\xed\xcf"},
                                                        {"cp866", "\x8c\xae"},
                                                        {"mac-cyrillic", "\x8c\xee"}};
  for (const auto& [encoding, bytes] : kTexts) {
    auto other = step;
    other.encoding = encoding;
    ASSERT_OK_AND_ASSIGN(out, ReadText(other, bytes));
    EXPECT_THAT(out.rows, ElementsAre("Мо")) << encoding;
  }
  step.encoding = "Shift_JIS";
  ASSERT_OK_AND_ASSIGN(out, ReadText(step, "\x93\x8c\n\x8b\x9e\n"));
  EXPECT_THAT(out.rows, ElementsAre("東", "京"));
  step.encoding = "utf16";
  EXPECT_THAT(ReadText(step, std::string("\xff\xfe"
                                         "a\0\n\0\xe9",
                                         7)),
              IsErrorCode(ErrorCode::kInvalidArgument));
}

TEST(CsvReaderTest, RefusesInvalidUtf8PerRecord) {
  auto step = Step(ReadFormat::kCsv, {Field("a", TypeKind::kString), Field("b", TypeKind::kString)});
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(step, "x,y\nx,\xff\xfe\nz,z\n"));
  EXPECT_THAT(out.rows, ElementsAre("x|y", "z|z"));
  ASSERT_THAT(out.rejects, SizeIs(1));
  EXPECT_EQ(out.rejects[0].column, "b");
  EXPECT_EQ(out.rejects[0].reason, "not valid UTF-8");
  // At the beginning of an input it says what the input is.
  ASSERT_OK_AND_ASSIGN(out, ReadText(step, "\x1f\x8b,y\n"));
  EXPECT_THAT(out.rejects[0].reason, HasSubstr("gzip data"));
  step = Step(ReadFormat::kCsv);
  step.header = true;
  EXPECT_THAT(ReadText(step, "\xff\xfe,y\n"), IsError(ErrorCode::kInvalidArgument, HasSubstr("utf-16")));
}

TEST(CsvReaderTest, RefusesOptionsEarly) {
  const auto refuses = [](void (*change)(odf::ReadStep*), const char* part) {
    odf::ReadStep step = Step(ReadFormat::kCsv);
    change(&step);
    EXPECT_THAT(CheckReadStep(step), IsError(ErrorCode::kUnsupported, HasSubstr(part)));
  };
  refuses([](odf::ReadStep* s) { s->separator = ";;"; }, "separator ';;'");
  refuses([](odf::ReadStep* s) { s->separator = ""; }, "separator ''");
  refuses([](odf::ReadStep* s) { s->quote = ","; }, "also quote");
  refuses([](odf::ReadStep* s) { s->encoding = "klingon"; }, "encoding 'klingon'");
  refuses([](odf::ReadStep* s) { s->timestamp_format = "%Y-%Q"; }, "'%Q'");
  refuses([](odf::ReadStep* s) { s->date_format = "dd.MM"; }, "no year");
  refuses(
      [](odf::ReadStep* s) {
        *s =
            Step(ReadFormat::kCsv, {{"tags", odf::DataType::List(odf::DataType::Of(TypeKind::kString)), {}}});
      },
      "column 'tags'");
  refuses(
      [](odf::ReadStep* s) {
        *s = Step(ReadFormat::kEsriShapefile,
                  {{"tags", odf::DataType::List(odf::DataType::Of(TypeKind::kString)), {}}});
      },
      "column 'tags'");
}

// Types.

struct TypeCase {
  TypeKind kind;
  const char* text;
  const char* value;  // null = refused
};

TEST(CsvReaderTest, AcceptsTheTextOfEachType) {
  const TypeCase cases[] = {
      {TypeKind::kBool, "TRUE", "true"},
      {TypeKind::kBool, "1", nullptr},
      {TypeKind::kInt8, "-128", "-128"},
      {TypeKind::kInt8, "128", nullptr},
      {TypeKind::kInt64, "9223372036854775807", "9223372036854775807"},
      {TypeKind::kInt64, "9223372036854775808", nullptr},
      {TypeKind::kInt64, "+7", "7"},
      {TypeKind::kInt64, " 5", nullptr},
      {TypeKind::kInt64, "5.0", nullptr},
      {TypeKind::kInt64, "-", nullptr},
      {TypeKind::kUInt8, "255", "255"},
      {TypeKind::kUInt8, "-1", nullptr},
      {TypeKind::kUInt64, "18446744073709551615", "18446744073709551615"},
      {TypeKind::kUInt64, "18446744073709551616", nullptr},
      {TypeKind::kFloat64, "0.1", "0.1"},
      {TypeKind::kFloat64, "-1e-3", "-0.001"},
      {TypeKind::kFloat64, "1e400", nullptr},
      {TypeKind::kFloat64, "1e-400", "0"},
      {TypeKind::kFloat64, "inf", "inf"},
      {TypeKind::kFloat64, "nan", "nan"},
      {TypeKind::kFloat64, "1,5", nullptr},
      {TypeKind::kFloat64, "0x10", nullptr},
      {TypeKind::kFloat64, "1.7976931348623157e308", "1.7976931348623157e+308"},
      {TypeKind::kFloat64, "123456789012345678", "1.2345678901234568e+17"},
      {TypeKind::kFloat32, "0.1", "0.1"},
      {TypeKind::kFloat32, "1e39", nullptr},
      {TypeKind::kDate, "2020-02-29", "2020-02-29"},
      {TypeKind::kDate, "2021-02-29", nullptr},
      {TypeKind::kDate, "2020-1-1", nullptr},
      {TypeKind::kTime, "23:59:59.5", "23:59:59.500"},
      {TypeKind::kTime, "24:00:00", nullptr},
      {TypeKind::kTimestamp, "2020-01-01", "2020-01-01 00:00:00.000Z"},
      {TypeKind::kTimestamp, "2020-01-01T10:20:30.4567", "2020-01-01 10:20:30.456Z"},
      {TypeKind::kTimestamp, "2020-01-01 102030Z", "2020-01-01 10:20:30.000Z"},
      {TypeKind::kTimestamp, "2020-01-01t10:20:30-01:30", "2020-01-01 11:50:30.000Z"},
      {TypeKind::kTimestamp, "2020-07-01T12:00:00 America/New_York", "2020-07-01 16:00:00.000Z"},
      {TypeKind::kTimestamp, "2020-07-01T12:00:00 Mars/Crater", nullptr},
      {TypeKind::kTimestamp, "1969-12-31T23:59:59.9", "1969-12-31 23:59:59.900Z"},
      {TypeKind::kTimestamp, "9/25/2022 1:02:03", nullptr},
      {TypeKind::kTimestamp, "2020-01-01T25:00:00", nullptr},
      {TypeKind::kTimestamp, "2020-01-01T10:20:30.", nullptr},
      {TypeKind::kTimestamp, "1577836800", nullptr},
      {TypeKind::kFloat16, "1.5", "1.5"},
  };
  for (const TypeCase& c : cases) {
    std::string text = c.text;
    if (text.find(',') != std::string::npos) text = "\"" + text + "\"";
    ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(OneColumn(c.kind), text + "\n"));
    if (c.value == nullptr) {
      EXPECT_THAT(out.rows, IsEmpty()) << c.text;
      ASSERT_THAT(out.rejects, SizeIs(1)) << c.text;
      EXPECT_EQ(out.rejects[0].value, c.text);
      EXPECT_EQ(out.rejects[0].column, "v");
    } else {
      EXPECT_THAT(out.rows, ElementsAre(c.value)) << odf::NameOf(c.kind) << " " << c.text;
    }
  }
}

TEST(CsvReaderTest, ReadsDecimalsExactly) {
  const auto read = [](uint32_t precision, int32_t scale, const std::string& text) {
    odf::DataType type = odf::DataType::Of(TypeKind::kDecimal);
    type.precision = precision;
    type.scale = scale;
    auto out = ReadText(Step(ReadFormat::kCsv, {{"v", type, {}}}), text + "\n");
    if (!out.ok()) return out.error().ToString();
    return out->rows.empty() ? "refused: " + out->rejects.at(0).reason : out->rows[0];
  };
  EXPECT_EQ(read(10, 2, "12345678.90"), "12345678.90");
  EXPECT_EQ(read(10, 2, "-.5"), "-0.50");
  EXPECT_EQ(read(10, 2, "1e2"), "100.00");
  EXPECT_EQ(read(10, 2, "1.230"), "1.23");
  EXPECT_THAT(read(10, 2, "1.234"), HasSubstr("out of range of Decimal(10, 2)"));
  EXPECT_THAT(read(10, 2, "123456789.00"), HasSubstr("out of range"));
  EXPECT_THAT(read(10, 2, "1.2.3"), HasSubstr("not a valid"));
  EXPECT_THAT(read(10, 2, "."), HasSubstr("not a valid"));
  EXPECT_EQ(read(38, 0, "99999999999999999999999999999999999999"), "99999999999999999999999999999999999999");
  EXPECT_THAT(read(38, 0, "999999999999999999999999999999999999999"), HasSubstr("out of range"));
  const std::string wide(70, '7');
  EXPECT_EQ(read(76, 5, wide + ".12345"), wide + ".12345");
}

TEST(CsvReaderTest, TakesTimeFormats) {
  odf::ReadStep step =
      Step(ReadFormat::kCsv, {Field("t", TypeKind::kTimestamp), Field("d", TypeKind::kDate)});
  step.timestamp_format = "%m/%d/%Y %I:%M:%S %p";
  step.date_format = "d MMM yyyy";
  ASSERT_OK_AND_ASSIGN(ReadOutcome out,
                       ReadText(step, "9/25/2022 1:02:03 PM,7 Mar 2021\n2022-09-25T01:02:03Z,2021-03-07\n"));
  EXPECT_THAT(out.rows, ElementsAre("2022-09-25 13:02:03.000Z|2021-03-07"));
  EXPECT_THAT(out.rejects, SizeIs(1));
}

TEST(CsvReaderTest, CutsLongValuesInRejects) {
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(OneColumn(TypeKind::kInt32), std::string(1000, '7') + "\n"));
  ASSERT_THAT(out.rejects, SizeIs(1));
  EXPECT_THAT(out.rejects[0].value, SizeIs(200));
  EXPECT_THAT(out.rejects[0].raw, SizeIs(1000));
}

TEST(CsvReaderTest, NumbersRecordsAndLinesAcrossBlocksAndThreads) {
  std::string text;
  for (int i = 0; i < 200000; ++i)
    text += i % 50000 == 777 ? "\"x\ny\",bad\n" : fmt::format("some city {},{}\n", i, i);
  auto step = Cities();
  ReadOptions options;
  options.batch_rows = 10000;
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(step, text, options));
  EXPECT_THAT(out.rows, SizeIs(200000 - 4));
  EXPECT_EQ(out.rows.back(), "some city 199999|199999");
  ASSERT_THAT(out.rejects, SizeIs(4));
  for (int k = 0; k < 4; ++k) {
    EXPECT_EQ(out.rejects[static_cast<size_t>(k)].record, k * 50000 + 778);
    EXPECT_EQ(out.rejects[static_cast<size_t>(k)].line, k * 50000 + 778 + k);
  }
  for (const auto& batch : out.batches) EXPECT_LE(batch->num_rows(), 10000);
}

TEST(CsvReaderTest, StopsWhenAsked) {
  std::stop_source stop;
  stop.request_stop();
  ReadOptions options;
  options.stop = stop.get_token();
  EXPECT_THAT(ReadText(Cities(), "A,1\n", options), IsErrorCode(ErrorCode::kCancelled));
}

TEST(CsvReaderTest, RefusesARecordWithoutEnd) {
  std::string text = "A,1\n\"";
  text.append(70 << 20, 'x');
  EXPECT_THAT(ReadSource(Cities(), testing::MakeDripSource(std::move(text), 1 << 20)),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("never closed")));
}

}  // namespace
}  // namespace sluice::read
