#include "connectors/postgres/rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::connectors::postgres {
namespace {

using pipeline::Column;
using ::testing::HasSubstr;
using ::testing::Optional;

Records Parse(const std::string& text) {
  auto parsed = pipeline::ParseRecords(text);
  EXPECT_TRUE(parsed.ok() && parsed->bad.empty());
  return Records(parsed->records);
}

Target TargetOf(std::vector<TargetColumn> columns) {
  Target target;
  target.has_extra = false;
  target.columns = std::move(columns);
  return target;
}

TEST(RefusalTest, NamesWhatPostgresCannotStore) {
  const Target target = TargetOf({{.column = Column::kUuid, .form = ColumnForm::kUuid},
                                  {.column = Column::kData, .form = ColumnForm::kText, .max_letters = 3},
                                  {.column = Column::kMetadata, .form = ColumnForm::kJsonb}});
  const std::string uuid = R"("uuid":"0192d3f2-aaaa-7bbb-8ccc-0123456789ab")";
  const auto refusal = [&](const std::string& fields) {
    return Refusal(target, Parse("{" + fields + "}"), 0);
  };
  EXPECT_EQ(refusal(uuid), std::nullopt);
  EXPECT_THAT(refusal(R"("uuid":"abc")"), Optional(HasSubstr("'abc' is no UUID")));
  EXPECT_THAT(refusal(uuid + R"(,"data":"a\u0000")"), Optional(HasSubstr("data holds a NUL")));
  EXPECT_THAT(refusal(uuid + R"(,"metadata":{"a":"\u0000"})"), Optional(HasSubstr("metadata holds a NUL")));
  EXPECT_EQ(refusal(uuid + R"(,"metadata":{"a":"\\u0000"})"), std::nullopt);
  EXPECT_EQ(refusal(uuid + R"(,"metadata":{"a":"\ud83d\ude00"})"), std::nullopt);
  EXPECT_THAT(refusal(uuid + R"(,"data":"four")"), Optional(HasSubstr("has 4 characters")));
  EXPECT_EQ(refusal(uuid + R"(,"data":"äöü")"), std::nullopt);
  EXPECT_THAT(refusal(uuid + R"(,"stars":5)"), Optional(HasSubstr("\"stars\"")));
}

TEST(CopyRowTest, WritesFieldsAsTheServerReadsThem) {
  const Target target = TargetOf({{.column = Column::kUuid, .form = ColumnForm::kUuid},
                                  {.column = Column::kData, .form = ColumnForm::kText},
                                  {.column = Column::kMetadata, .form = ColumnForm::kJsonb},
                                  {.column = Column::kCreatedAt, .form = ColumnForm::kTime}});
  const Records records = Parse(
      R"({"uuid":"01020304-0506-0708-090a-0b0c0d0e0f10","data":"hi","created_at":"2000-01-01T00:00:01Z"})");
  std::string out;
  AppendCopyRow(target, records, 0, 7, 0, &out);
  const std::string_view expected(
      "\0\5"
      "\0\0\0\4\0\0\0\7"
      "\0\0\0\x10\1\2\3\4\5\6\7\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"
      "\0\0\0\2hi"
      "\xff\xff\xff\xff"
      "\0\0\0\x08\0\0\0\0\0\x0f\x42\x40",
      52);
  EXPECT_EQ(out, expected);
}

}  // namespace
}  // namespace sluice::connectors::postgres
