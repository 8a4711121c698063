#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "connectors/redshift/redshift_internal.h"
#include "pipeline/record.h"

namespace sluice::connectors::redshift {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Optional;

postgres::Records Parse(const std::string& text) {
  auto parsed = pipeline::ParseRecords(text);
  EXPECT_TRUE(parsed.ok() && parsed->bad.empty());
  return postgres::Records(parsed->records);
}

TEST(StatementsTest, RedshiftHasItsOwnTypes) {
  const std::string sql = CreateTable({.is_redshift = true}, "\"feedback\"");
  EXPECT_THAT(sql, HasSubstr("\"metadata\" super"));
  EXPECT_THAT(sql, HasSubstr("\"data\" varchar(65535)"));
  EXPECT_THAT(sql, HasSubstr("DISTKEY"));
  EXPECT_THAT(MergeAll({.is_redshift = true}, "s", "t", true),
              HasSubstr("json_parse(nullif(s.\"metadata\", ''))"));
}

TEST(StatementsTest, UpdateKeepsUuidAndCreation) {
  const std::string sql = MergeAll({.is_redshift = true}, "s", "t", false);
  const std::string set =
      sql.substr(sql.find("UPDATE SET"), sql.find("WHEN NOT MATCHED") - sql.find("UPDATE SET"));
  EXPECT_THAT(set, Not(HasSubstr("created_at")));
  EXPECT_THAT(set, Not(HasSubstr("uuid")));
  EXPECT_THAT(sql, Not(HasSubstr("extra")));
}

TEST(StatementsTest, CopyNamesFileRoleAndRegion) {
  StagingOptions staging;
  staging.bucket = "b";
  staging.iam_role = "arn:x";
  staging.signing.region = "eu-west-1";
  EXPECT_THAT(CopyStatement(staging, "p/it's.csv"),
              HasSubstr("FROM 's3://b/p/it''s.csv' IAM_ROLE 'arn:x' REGION 'eu-west-1' FORMAT AS CSV"));
}

TEST(StatementsTest, ValuesAndCsvQuoteWhatMustBe) {
  const auto records =
      Parse(R"({"uuid":"u","data":"it's \"a\" \\ back\nslash","created_at":"2024-01-02T03:04:05Z"})");
  std::string values;
  AppendValues(records, 0, 0, 3, &values);
  EXPECT_THAT(values, HasSubstr("(3, E'u', E'', E'', E'it''s \"a\" \\\\ back\nslash', "));
  EXPECT_THAT(values, HasSubstr("E'2024-01-02T03:04:05Z', NULL, E'')"));
  std::string csv;
  AppendCsv(records, 0, 0, 3, &csv);
  EXPECT_EQ(csv, "3,\"u\",,,\"it's \"\"a\"\" \\ back\nslash\",,,,,,\"2024-01-02T03:04:05Z\",,\n");
}

TEST(StatementsTest, RefusesWhatTheTableCannotTake) {
  std::vector<TableColumn> columns = {{.name = "uuid", .type = "varchar", .max_bytes = 3},
                                      {.name = "data", .type = "varchar", .max_bytes = 10}};
  EXPECT_EQ(Refusal(columns, Parse(R"({"uuid":"abc"})"), 0), std::nullopt);
  EXPECT_THAT(Refusal(columns, Parse(R"({"uuid":"abcd"})"), 0), Optional(HasSubstr("uuid has 4 bytes")));
  EXPECT_THAT(Refusal(columns, Parse(R"({"data":"\u0000"})"), 0), Optional(HasSubstr("NUL")));
  EXPECT_THAT(Refusal(columns, Parse(R"({"stars":1})"), 0), Optional(HasSubstr("stars")));
}

}  // namespace
}  // namespace sluice::connectors::redshift
