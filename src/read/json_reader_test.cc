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
using testing::ReadText;
using ::testing::SizeIs;
using testing::Step;

odf::ReadStep OneField(TypeKind kind, bool optional = true) {
  return Step(ReadFormat::kNdJson, {Field("v", kind, optional)});
}

// Acceptance cases of odf-ingest.md 10.1, by number.

TEST(NdJsonReaderTest, Case16TakesAbsentFieldsAsNull) {
  auto step = Step(ReadFormat::kNdJson,
                   {Field("city", TypeKind::kString, false), Field("population", TypeKind::kInt64)});
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(step, R"({"city":"A","population":1}
{"city":"B"}
{"city":"C","population":null,"more":[1]}
{"population":4}
{"city":null,"population":5}
)"));
  EXPECT_THAT(out.rows, ElementsAre("A|1", "B|·", "C|·"));
  ASSERT_THAT(out.rejects, SizeIs(2));
  EXPECT_EQ(out.rejects[0].record, 4);
  EXPECT_EQ(out.rejects[0].line, 4);
  EXPECT_EQ(out.rejects[0].column, "city");
  EXPECT_EQ(out.rejects[0].raw, R"({"population":4})");
  EXPECT_THAT(out.rejects[0].reason, HasSubstr("non-nullable"));
}

TEST(NdJsonReaderTest, Case17GuessesInAlphabeticalOrder) {
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(Step(ReadFormat::kNdJson), R"({"population":1000,"city":"A"}
{"zip":1,"city":"B","area":2.5,"population":1}
)"));
  EXPECT_EQ(out.schema, "city string, population int64, area double, zip int64");
  EXPECT_THAT(out.rows, ElementsAre("A|1000|·|·", "B|1|2.5|1"));
}

TEST(NdJsonReaderTest, Case19ReadsTimestamps) {
  ASSERT_OK_AND_ASSIGN(ReadOutcome out,
                       ReadText(OneField(TypeKind::kTimestamp), R"({"v":"2022-09-25 01:02:03"}
{"v":"2022-09-25T01:02:03"}
{"v":"2022-09-25T01:02:03Z"}
{"v":"2022-09-25T01:02:03-01:00"}
{"v":1664067723000}
{"v":1664067723000.7}
{"v":"9/25/2022 1:02:03"}
{"v":"1664067723000"}
{"v":true}
)"));
  const char* three = "2022-09-25 01:02:03.000Z";
  EXPECT_THAT(out.rows, ElementsAre(three, three, three, "2022-09-25 02:02:03.000Z", three, three));
  EXPECT_THAT(out.rejects, SizeIs(3));
}

TEST(NdJsonReaderTest, Case20TakesNumbersFromStringsButNotStringsFromNumbers) {
  ASSERT_OK_AND_ASSIGN(ReadOutcome out,
                       ReadText(OneField(TypeKind::kInt64),
                                R"({"v":"5"} {"v":2.9} {"v":-1.5e1} {"v":1e30} {"v":"x"} {"v":true})"));
  EXPECT_THAT(out.rows, ElementsAre("5", "2", "-15"));
  EXPECT_THAT(out.rejects, SizeIs(3));
  ASSERT_OK_AND_ASSIGN(out,
                       ReadText(OneField(TypeKind::kString), R"({"v":5} {"v":true} {"v":{}} {"v":"5"})"));
  EXPECT_THAT(out.rows, ElementsAre("5"));
  ASSERT_THAT(out.rejects, SizeIs(3));
  EXPECT_EQ(out.rejects[0].reason, "expected a string, found a number");
  ASSERT_OK_AND_ASSIGN(out, ReadText(OneField(TypeKind::kBool), R"({"v":"true"} {"v":true})"));
  EXPECT_THAT(out.rows, ElementsAre("true"));
}

TEST(JsonReaderTest, Case22ReadsRootArrays) {
  auto step = Step(ReadFormat::kJson, {Field("city", TypeKind::kString)});
  const char* text = "[\n {\"city\": \"A\"},\n {\"city\": \"B\", \"x\": 1},\n 5]";
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(step, text));
  EXPECT_THAT(out.rows, ElementsAre("A", "B"));
  ASSERT_THAT(out.rejects, SizeIs(1));
  EXPECT_EQ(out.rejects[0].line, 4);
  EXPECT_EQ(out.rejects[0].reason, "expected an object, found a number");
  ASSERT_OK_AND_ASSIGN(out, ReadText(Step(ReadFormat::kJson), text));
  EXPECT_EQ(out.schema, "city string, x int64");
  EXPECT_THAT(out.rows, ElementsAre("A|·", "B|1"));
}

TEST(JsonReaderTest, Case23FollowsSubPaths) {
  auto step = Step(ReadFormat::kJson, {Field("v", TypeKind::kInt64)});
  const char* text = R"({"query":{"result":[{"v":1}],"other":null}})";
  const auto read = [&](const char* path) {
    step.sub_path = path;
    return ReadText(step, text);
  };
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, read("query.result"));
  EXPECT_THAT(out.rows, ElementsAre("1"));
  EXPECT_THAT(read("query.nope"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("Sub-path not found: query.nope")));
  EXPECT_THAT(read("query.other"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("Sub-path not found: query.other")));
  EXPECT_THAT(read("nope.result"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("Sub-path not found: nope")));
  EXPECT_THAT(read("query"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("Sub-path does not specify an array: query")));
  step.sub_path.reset();
  EXPECT_THAT(ReadText(step, text),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("Sub-path does not specify an array: .")));
}

constexpr char kFeature[] =
    R"({"type":"Feature","id":1,"properties":{"zipcode":"00101","name":"A","id":7,"geometry":"no"},"geometry":{"type":"Point","coordinates":[0.0, 1]}})";

TEST(JsonReaderTest, Case24And25ReadGeoJson) {
  const std::string text = std::string(R"({"type":"FeatureCollection","features":[)") + kFeature + "]}";
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(Step(ReadFormat::kGeoJson), text));
  EXPECT_EQ(out.schema, "geometry string, id int64, name string, zipcode string");
  EXPECT_THAT(out.rows, ElementsAre(R"({"coordinates":[0.0,1],"type":"Point"}|7|A|00101)"));
  EXPECT_THAT(ReadText(Step(ReadFormat::kGeoJson), kFeature),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("\"Feature\"")));
  EXPECT_THAT(ReadText(Step(ReadFormat::kGeoJson), "{}"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("no type")));
  ASSERT_OK_AND_ASSIGN(
      out,
      ReadText(
          Step(ReadFormat::kGeoJson),
          R"({"type":"FeatureCollection","features":[{"type":"Feature","properties":{},"geometry":null}]})"));
  ASSERT_THAT(out.rejects, SizeIs(1));
  EXPECT_THAT(out.rejects[0].reason, HasSubstr("geometry"));
}

TEST(NdJsonReaderTest, Case26ReadsNdGeoJson) {
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(Step(ReadFormat::kNdGeoJson),
                                                 std::string(kFeature) + "\n\n" + kFeature + "\n"));
  EXPECT_EQ(out.schema, "geometry string, id int64, name string, zipcode string");
  EXPECT_THAT(out.rows, SizeIs(2));
}

// Records.

TEST(NdJsonReaderTest, FindsRecordsBetweenAnySpace) {
  ASSERT_OK_AND_ASSIGN(
      ReadOutcome out,
      ReadText(OneField(TypeKind::kInt64), "\n\n {\"v\":1}{\"v\":2}\t{\"v\":3}\r\n{\n  \"v\":\n4\n}\n\n"));
  EXPECT_THAT(out.rows, ElementsAre("1", "2", "3", "4"));
  EXPECT_THAT(out.rejects, IsEmpty());
}

TEST(NdJsonReaderTest, GoesOnAfterMalformedRecords) {
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(OneField(TypeKind::kInt64), R"({"v":1}
hello
{"v":2} x
{"v":3
{"v":4}
[1]
{"v":tru}
{"v":01}
{"v":"\q"}
{"v":5},
{"v":6}
{"v":"\ud800"}
{"v":7)"));
  EXPECT_THAT(out.rows, ElementsAre("1", "4", "6"));
  ASSERT_THAT(out.rejects, SizeIs(10));
  EXPECT_EQ(out.rejects[0].raw, "hello");
  EXPECT_EQ(out.rejects[0].line, 2);
  EXPECT_EQ(out.rejects[1].raw, "{\"v\":2} x");
  EXPECT_EQ(out.rejects[2].raw, "{\"v\":3");
  EXPECT_EQ(out.rejects[2].line, 4);
  EXPECT_EQ(out.rejects[3].reason, "expected an object, found an array");
  EXPECT_THAT(out.rejects[4].reason, HasSubstr("malformed JSON at byte 6"));
  EXPECT_EQ(out.rejects[9].raw, "{\"v\":7");
}

TEST(NdJsonReaderTest, LastOfEqualKeysWins) {
  ASSERT_OK_AND_ASSIGN(ReadOutcome out,
                       ReadText(OneField(TypeKind::kInt64), R"({"v":"x","v":2,"\u0076":3})"));
  EXPECT_THAT(out.rows, ElementsAre("3"));
}

TEST(NdJsonReaderTest, DecodesStrings) {
  ASSERT_OK_AND_ASSIGN(
      ReadOutcome out,
      ReadText(OneField(TypeKind::kString), R"({"v":"a\"\\\/\b\f\n\r\t\u00e9\u20ac\ud83d\ude00"} {"v":""})"));
  EXPECT_THAT(out.rows, ElementsAre("a\"\\/\b\f\n\r\té€😀", ""));
}

TEST(NdJsonReaderTest, RefusesInvalidUtf8AndControls) {
  ASSERT_OK_AND_ASSIGN(
      ReadOutcome out,
      ReadText(OneField(TypeKind::kString),
               std::string("{\"v\":\"\xff\"}\n{\"v\":\"a\tb\"}\n{\"v\":\"\0\"}\n{\"v\":\"x\"}\n", 42)));
  EXPECT_THAT(out.rows, ElementsAre("x"));
  EXPECT_THAT(out.rejects, SizeIs(3));
}

TEST(NdJsonReaderTest, BoundsNesting) {
  const std::string deep = "{\"v\":" + std::string(100000, '[') + std::string(100000, ']') + "}\n";
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(OneField(TypeKind::kInt64), deep + "{\"v\":1}"));
  EXPECT_THAT(out.rows, ElementsAre("1"));
  ASSERT_THAT(out.rejects, SizeIs(1));
  EXPECT_THAT(out.rejects[0].reason, HasSubstr("nested too deeply"));
}

TEST(NdJsonReaderTest, RoundsNothing) {
  odf::DataType decimal = odf::DataType::Of(TypeKind::kDecimal);
  decimal.precision = 38;
  decimal.scale = 10;
  auto step = Step(ReadFormat::kNdJson, {Field("u", TypeKind::kUInt64), {"d", decimal, {}}});
  ASSERT_OK_AND_ASSIGN(
      ReadOutcome out,
      ReadText(step, R"({"u":18446744073709551615,"d":1234567890123456789012345678.0123456789})"));
  EXPECT_THAT(out.rows, ElementsAre("18446744073709551615|1234567890123456789012345678.0123456789"));
}

TEST(NdJsonReaderTest, ReadsNestedTypes) {
  odf::DataType inner = odf::DataType::Of(TypeKind::kStruct);
  inner.fields = {Field("a", TypeKind::kInt64, false), Field("b", TypeKind::kString)};
  odf::DataType list = odf::DataType::List(odf::DataType::Option(odf::DataType::Of(TypeKind::kInt32)));
  auto step = Step(ReadFormat::kNdJson,
                   {{"s", odf::DataType::Option(inner), {}}, {"l", odf::DataType::Option(list), {}}});
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(step, R"({"s":{"a":1,"b":"x"},"l":[1,null,3]}
{"s":{"a":2},"l":[]}
{}
{"s":{"b":"y"},"l":[]}
{"s":{"a":1},"l":[1,"x"]}
{"s":[],"l":{}}
)"));
  EXPECT_THAT(out.rows, SizeIs(3));
  ASSERT_THAT(out.rejects, SizeIs(3));
  EXPECT_EQ(out.rejects[0].column, "s.a");
  EXPECT_THAT(out.rejects[0].reason, HasSubstr("non-nullable"));
  EXPECT_EQ(out.rejects[1].column, "l[]");
  EXPECT_EQ(out.rejects[1].value, "\"x\"");
  EXPECT_EQ(out.rejects[2].column, "s");
  EXPECT_EQ(out.rejects[2].reason, "expected an object, found an array");
}

TEST(NdJsonReaderTest, StrictColumnsRefuseUnknownFields) {
  ReadOptions options;
  options.strict_columns = true;
  ASSERT_OK_AND_ASSIGN(ReadOutcome out,
                       ReadText(OneField(TypeKind::kInt64), R"({"v":1} {"v":2,"w":3})", options));
  EXPECT_THAT(out.rows, ElementsAre("1"));
  ASSERT_THAT(out.rejects, SizeIs(1));
  EXPECT_EQ(out.rejects[0].column, "w");
}

// Guessing.

TEST(NdJsonReaderTest, GuessesTypes) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"v":1} {"v":2.5})", "double"},
      {R"({"v":99999999999999999999})", "double"},
      {R"({"v":true} {"v":null})", "bool"},
      {R"({"v":null})", "string"},
      {R"({"v":1} {"v":"x"})", "string"},
      {R"({"v":{"b":1,"a":[1,2.5]}})", "struct<a: list<item: double>, b: int64>"},
      {R"({"v":{"b":1}} {"v":null})", "string"},
      {R"({"v":{"b":1}} {})", "string"},
      {R"({"v":[{"b":1}]})", "string"},
      {R"({"v":[]})", "list<item: string>"},
      {R"({"v":[1,"x"]})", "list<item: string>"},
      {R"({"v":{}})", "string"},
  };
  for (const auto& [text, type] : cases) {
    ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(Step(ReadFormat::kNdJson), text));
    EXPECT_EQ(out.schema, std::string("v ") + type) << text;
    EXPECT_THAT(out.rejects, IsEmpty()) << text;
  }
}

TEST(NdJsonReaderTest, MixedColumnsBecomeJsonText) {
  ASSERT_OK_AND_ASSIGN(
      ReadOutcome out,
      ReadText(Step(ReadFormat::kNdJson),
               R"({"v":"x"} {"v":7} {"v":{"b": [1, 2.0], "a" : "\u00e9"}} {"v":null} {"v":false})"));
  EXPECT_THAT(out.rows, ElementsAre("x", "7", R"({"a":"é","b":[1,2.0]})", "·", "false"));
}

TEST(NdJsonReaderTest, RefusesWhatContradictsTheGuess) {
  std::string text;
  for (int i = 0; i < 1000; ++i)
    text += R"({"n":1,"s":{"a":1}})"
            "\n";
  text += R"({"n":2.5,"s":{"a":1}} {"n":"x","s":{"a":1}} {"n":2} {"n":3,"s":{"a":1}})";
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(Step(ReadFormat::kNdJson), text));
  EXPECT_THAT(out.rows, SizeIs(1001));
  EXPECT_THAT(out.rejects, SizeIs(3));
}

TEST(JsonReaderTest, TellsFramesFromNoFrames) {
  for (const char* text : {"", " \n", "[]"}) {
    ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(Step(ReadFormat::kJson), text));
    EXPECT_EQ(out.schema, "none") << text;
    ASSERT_OK_AND_ASSIGN(out, ReadText(Step(ReadFormat::kJson, {Field("v", TypeKind::kInt64)}), text));
    EXPECT_EQ(out.schema, "v int64") << text;
    EXPECT_THAT(out.rows, IsEmpty());
  }
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(Step(ReadFormat::kNdJson), " \n\n"));
  EXPECT_EQ(out.schema, "none");
  ASSERT_OK_AND_ASSIGN(out, ReadText(Step(ReadFormat::kNdJson), "nonsense\n"));
  EXPECT_EQ(out.schema, "none");
  EXPECT_THAT(out.rejects, SizeIs(1));
  EXPECT_THAT(ReadText(Step(ReadFormat::kNdJson), "{}\n"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("has a field")));
}

TEST(JsonReaderTest, RefusesMalformedDocuments) {
  const auto step = Step(ReadFormat::kJson, {Field("v", TypeKind::kInt64)});
  EXPECT_THAT(ReadText(step, "[\n{\"v\":1},\n]"), IsError(ErrorCode::kInvalidArgument, HasSubstr("line 3")));
  EXPECT_THAT(ReadText(step, "[{\"v\":1}"), IsError(ErrorCode::kInvalidArgument, HasSubstr("not closed")));
  EXPECT_THAT(ReadText(step, "[] []"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("text after the document")));
}

TEST(NdJsonReaderTest, NumbersRecordsAndLinesAcrossBlocksAndThreads) {
  std::string text;
  for (int i = 0; i < 150000; ++i) {
    text +=
        i % 50000 == 777 ? "{\"v\":\n\"bad\"}\n" : fmt::format("{{\"other\":\"some text\",\"v\":{}}}\n", i);
  }
  ReadOptions options;
  options.batch_rows = 10000;
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadText(OneField(TypeKind::kInt64), text, options));
  EXPECT_THAT(out.rows, SizeIs(150000 - 3));
  EXPECT_EQ(out.rows.back(), "149999");
  ASSERT_THAT(out.rejects, SizeIs(3));
  for (int k = 0; k < 3; ++k) {
    EXPECT_EQ(out.rejects[static_cast<size_t>(k)].record, k * 50000 + 778);
    EXPECT_EQ(out.rejects[static_cast<size_t>(k)].line, k * 50000 + 778 + k);
  }
}

}  // namespace
}  // namespace sluice::read
