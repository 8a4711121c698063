#include "pipeline/record.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

namespace sluice::pipeline {
namespace {

std::string Text(const arrow::RecordBatch& records, Column column, int64_t row) {
  const auto& array = static_cast<const arrow::StringArray&>(*records.column(static_cast<int>(column)));
  return array.IsNull(row) ? "(null)" : array.GetString(row);
}

TEST(RecordTest, ReadsObjectArrayAndLines) {
  for (const std::string_view text : {R"({"uuid":"a","data":"x"})", "[{\"uuid\":\"a\",\"data\":\"x\"}]",
                                      "{\"uuid\":\"a\",\n \"data\":\"x\"\n}\n"}) {
    const auto parsed = ParseRecords(text);
    ASSERT_TRUE(parsed.ok()) << text << ": " << parsed.error().ToString();
    ASSERT_EQ(parsed->records->num_rows(), 1) << text;
    EXPECT_EQ(Text(*parsed->records, Column::kUuid, 0), "a");
    EXPECT_EQ(Text(*parsed->records, Column::kData, 0), "x");
  }
  const auto lines = ParseRecords("{\"data\":\"1\"}\n\n  {\"data\":\"2\"}\r\n");
  ASSERT_TRUE(lines.ok());
  EXPECT_EQ(lines->records->num_rows(), 2);
  EXPECT_EQ(ParseRecords("[]")->records->num_rows(), 0);
  EXPECT_EQ(ParseRecords("")->records->num_rows(), 0);
}

TEST(RecordTest, KeepsMetadataAndUnknownFieldsAsGiven) {
  const std::string text =
      R"({"metadata": {"b": 1.50, "a":[1e3, "\u00e9"]}, "votes": 12345678901234567890, "q\"x": {"n":null}, "data":"d"})";
  const auto parsed = ParseRecords(text);
  ASSERT_TRUE(parsed.ok());
  ASSERT_TRUE(parsed->bad.empty()) << parsed->bad[0].reason;
  EXPECT_EQ(Text(*parsed->records, Column::kMetadata, 0), R"({"b": 1.50, "a":[1e3, "\u00e9"]})");
  EXPECT_EQ(Text(*parsed->records, Column::kExtra, 0), R"({"votes":12345678901234567890,"q\"x":{"n":null}})");
  std::string out;
  AppendRecord(*parsed->records, 0, {.write_empty = false}, &out);
  EXPECT_EQ(
      out,
      R"({"data":"d","metadata":{"b": 1.50, "a":[1e3, "\u00e9"]},"votes":12345678901234567890,"q\"x":{"n":null}})");
}

TEST(RecordTest, WritesEveryFieldAsTheOriginalDoes) {
  const auto parsed =
      ParseRecords(R"({"uuid":"u","data":"a\"\u0000b","created_at":"2026-01-02T03:04:05+01:00"})");
  ASSERT_TRUE(parsed.ok());
  std::string out;
  AppendRecord(*parsed->records, 0, {}, &out);
  EXPECT_EQ(
      out,
      "{\"uuid\":\"u\",\"source_type\":\"\",\"source_id\":\"\",\"data\":\"a\\\"\\u0000b\",\"data_id\":\"\","
      "\"metadata\":null,\"metadata_type\":\"\",\"lang\":\"\",\"tenant_id\":\"\","
      "\"created_at\":\"2026-01-02T02:04:05Z\",\"updated_at\":\"0001-01-01T00:00:00Z\"}");
}

TEST(RecordTest, AbsentNullAndEmptyAreTheSame) {
  const auto parsed = ParseRecords(
      "{}\n{\"data\":null,\"metadata\":null,\"created_at\":null}\n"
      "{\"data\":\"\",\"created_at\":\"\",\"updated_at\":\"0001-01-01T00:00:00Z\"}\n");
  ASSERT_TRUE(parsed.ok());
  ASSERT_TRUE(parsed->bad.empty()) << parsed->bad[0].reason;
  ASSERT_EQ(parsed->records->num_rows(), 3);
  EXPECT_TRUE(parsed->records->Slice(0, 1)->Equals(*parsed->records->Slice(1, 1)));
  EXPECT_TRUE(parsed->records->Slice(0, 1)->Equals(*parsed->records->Slice(2, 1)));
}

struct BadCase {
  std::string text, reason;
};

TEST(RecordTest, BadRecordsAreNamedAndSpoilNoOther) {
  const BadCase cases[] = {
      {R"({"data":5})", "field 'data': expected a string, got '5'"},
      {R"({"data":{"a":1}})", "field 'data': expected a string"},
      {R"({"data":["x"]})", "field 'data': expected a string"},
      {R"({"created_at":"yesterday"})", "field 'created_at': 'yesterday' is no RFC 3339 time"},
      {R"({"created_at":1})", "field 'created_at': expected a string"},
      {"{\"data\":\"\xff\"}", "UTF-8"},
      {R"({"data":"x")", "no JSON"},
      {R"({"data":"\q"})", "data"},
      {R"({"metadata":{"a":tru}})", "field 'metadata': it is no JSON"},
      {R"({"metadata":{"a":01}})", "field 'metadata': it is no JSON"},
      {R"({"other":{"a":[1,]}})", "field 'other': it is no JSON"},
      {R"("text")", "it is no JSON object"},
      {"5", "it is no JSON object"},
      {R"({"data":"x"} {"data":"y"})", "behind"},
      {R"({"metadata":)" + std::string(100, '[') + std::string(100, ']') + "}", "nesting deeper than 64"},
  };
  for (const auto& one : cases) {
    ParseLimits limits;
    limits.layout = Layout::kLines;
    const auto parsed = ParseRecords("{\"data\":\"good\"}\n" + one.text + "\n{\"data\":\"good\"}\n", limits);
    ASSERT_TRUE(parsed.ok()) << one.text;
    ASSERT_EQ(parsed->bad.size(), 1U) << one.text;
    EXPECT_EQ(parsed->bad[0].position, 1);
    EXPECT_EQ(parsed->bad[0].text, one.text);
    EXPECT_NE(parsed->bad[0].reason.find(one.reason), std::string::npos)
        << one.text << ": " << parsed->bad[0].reason;
    ASSERT_EQ(parsed->records->num_rows(), 2);
    EXPECT_EQ(parsed->positions, (std::vector<int64_t>{0, 2}));
  }
}

TEST(RecordTest, TextsThatAreNoneNameLineAndByte) {
  for (const std::string_view text : {"[{\"a\":1}", "[1 2]", "hello", "{\"a\":\n1", "[{}] x", "[,]"}) {
    const auto parsed = ParseRecords(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(parsed.error().message().find("line "), std::string::npos);
  }
}

TEST(RecordTest, TooLargeIsBad) {
  ParseLimits limits;
  limits.max_record_bytes = 20;
  const auto parsed = ParseRecords("[{\"data\":\"0123456789012345\"},{}]", limits);
  ASSERT_TRUE(parsed.ok());
  ASSERT_EQ(parsed->bad.size(), 1U);
  EXPECT_NE(parsed->bad[0].reason.find("over the limit of 20"), std::string::npos);
}

TEST(RecordTest, FillsMissingUuidsOnly) {
  const auto parsed = ParseRecords("{\"uuid\":\"mine\"}\n{}\n{}\n");
  ASSERT_TRUE(parsed.ok());
  const auto filled = FillUuids(parsed->records);
  ASSERT_TRUE(filled.ok());
  EXPECT_EQ(Text(**filled, Column::kUuid, 0), "mine");
  EXPECT_EQ(Text(**filled, Column::kUuid, 1).size(), 36U);
  EXPECT_EQ(Text(**filled, Column::kUuid, 1)[14], '7');
  EXPECT_NE(Text(**filled, Column::kUuid, 1), Text(**filled, Column::kUuid, 2));
  EXPECT_EQ(FillUuids(*filled)->get(), filled->get());
}

TEST(RecordTest, RawRecordHoldsAnyBytes) {
  const auto record = RawRecord("a\xff{");
  EXPECT_EQ(Text(*record, Column::kData, 0), "a\xef\xbf\xbd{");
  EXPECT_TRUE(record->Validate().ok());
  EXPECT_TRUE(record->schema()->Equals(*RecordSchema()));
}

}  // namespace
}  // namespace sluice::pipeline
