#include <gtest/gtest.h>

#include "connectors/sql/connector.h"
#include "pipeline/testing/bed.h"

namespace sluice::connectors::sql {
namespace {

using pipeline::Column;
using pipeline::testing::BatchOf;
using pipeline::testing::Bed;
using pipeline::testing::ColumnOf;
using Texts = std::vector<std::string>;

constexpr char kRecords[] =
    R"({"uuid":"1","data":"10","tenant_id":"a","metadata":{"k":1},"created_at":"2024-05-06T07:08:09Z"})"
    "\n"
    R"({"uuid":"2","data":"","tenant_id":"a","note":"kept"})"
    "\n"
    R"({"uuid":"3","data":"x","tenant_id":"b"})"
    "\n";

class SqlTest : public ::testing::Test {
 protected:
  SqlTest() : bed_(RegisterSql) {}

  Result<pipeline::Batch> RunOn(const std::string& query) {
    rejected_.clear();
    ASSIGN_OR_RETURN(auto processor, bed_.MakeProcessor("type: sql\nquery: >\n  " + query + "\n"));
    ASSIGN_OR_RETURN(auto first, processor->Process(BatchOf(kRecords), &rejected_, {}));
    rejected_.clear();
    return processor->Process(BatchOf(kRecords), &rejected_, {});  // planned once, run again
  }

  Bed bed_;
  std::vector<pipeline::Processor::Reject> rejected_;
};

TEST_F(SqlTest, FiltersAndKeepsEverything) {
  auto out = RunOn("select * from input where data <> ''");
  ASSERT_TRUE(out.ok()) << out.error().ToString();
  EXPECT_EQ(ColumnOf(*out, Column::kUuid), (Texts{"1", "3"}));
  EXPECT_EQ(out->origins, (std::vector<int32_t>{0, 2}));
  EXPECT_EQ(ColumnOf(*out, Column::kMetadata), (Texts{R"({"k":1})", ""}));
  EXPECT_EQ(
      pipeline::testing::Shown(*out)[0],
      R"({"uuid":"1","data":"10","metadata":{"k":1},"tenant_id":"a","created_at":"2024-05-06T07:08:09Z"})");
}

TEST_F(SqlTest, KeepsUnknownFields) {
  auto out = RunOn("select * from input where uuid = '2'");
  ASSERT_TRUE(out.ok()) << out.error().ToString();
  EXPECT_EQ(pipeline::testing::Shown(*out)[0], R"({"uuid":"2","tenant_id":"a","note":"kept"})");
}

TEST_F(SqlTest, RefusesTimesThatRecordsCannotSay) {
  for (const std::string time :
       {"created_at + interval 8000 years", "created_at - interval 3000 years", "timestamptz 'infinity'",
        "timestamptz '-infinity'", "timestamp_s '290000-01-01'"}) {
    const auto out = RunOn("select uuid, " + time + " as updated_at from input where uuid = '1'");
    ASSERT_FALSE(out.ok()) << time;
    EXPECT_EQ(out.error().code(), ErrorCode::kInvalidRecords) << time;
    EXPECT_NE(out.error().message().find("for updated_at that is not in the years 0 to 9999"),
              std::string::npos)
        << out.error().message();
  }
  const auto out = RunOn(
      "select uuid, timestamptz '9999-12-31T23:59:59.999999Z' as created_at, "
      "timestamptz '0001-01-01T00:00:00Z' as updated_at from input where uuid = '1'");
  ASSERT_TRUE(out.ok()) << out.error().ToString();
  EXPECT_EQ(pipeline::testing::Shown(*out)[0], R"({"uuid":"1","created_at":"9999-12-31T23:59:59.999999Z"})");
}

TEST_F(SqlTest, FillsMissingColumnsAndCasts) {
  auto out = RunOn(
      "select uuid, length(data) as data, json_object('n', 1) as metadata, timestamp '2024-01-01 00:00:00' as created_at from input order by uuid desc");
  ASSERT_TRUE(out.ok()) << out.error().ToString();
  EXPECT_EQ(ColumnOf(*out, Column::kData), (Texts{"1", "0", "2"}));
  EXPECT_EQ(ColumnOf(*out, Column::kTenantId), (Texts{"", "", ""}));
  EXPECT_EQ(out->origins, (std::vector<int32_t>{2, 1, 0}));
  EXPECT_EQ(pipeline::testing::Shown(*out)[0],
            R"({"uuid":"3","data":"1","metadata":{"n":1},"created_at":"2024-01-01T00:00:00Z"})");
}

TEST_F(SqlTest, WhatIsNoJsonGetsIntoNoRecord) {
  for (const char* text : {"1,\"tenant_id\":\"evil\"", "{", "", "{} {}", "nope"}) {
    const auto out =
        RunOn(fmt::format("select * replace ('{}' as metadata) from input where uuid = '2'", text));
    ASSERT_FALSE(out.ok()) << text;
    EXPECT_EQ(out.error().code(), ErrorCode::kInvalidRecords) << text;
  }
  EXPECT_TRUE(RunOn("select * replace ('[1, {\"a\": null}]' as metadata) from input where uuid = '2'").ok());
}

TEST_F(SqlTest, GroupsStemFromAll) {
  auto out = RunOn("select tenant_id, count(*) as data from input group by tenant_id order by tenant_id");
  ASSERT_TRUE(out.ok()) << out.error().ToString();
  EXPECT_EQ(ColumnOf(*out, Column::kData), (Texts{"2", "1"}));
  EXPECT_EQ(out->origins, (std::vector<int32_t>{-1, -1}));
  EXPECT_EQ(ColumnOf(*out, Column::kUuid)[0].size(), 36U);
}

TEST_F(SqlTest, RefusesTheRowsThatItFailsOn) {
  auto out = RunOn("select uuid, cast(data as integer) + 1 as data from input where data <> ''");
  ASSERT_TRUE(out.ok()) << out.error().ToString();
  EXPECT_EQ(ColumnOf(*out, Column::kData), (Texts{"11"}));
  EXPECT_EQ(out->origins, (std::vector<int32_t>{0}));
  ASSERT_EQ(rejected_.size(), 1U);
  EXPECT_EQ(rejected_[0].row, 2);
}

TEST_F(SqlTest, ChecksTheJsonThatItMakes) {
  auto out = RunOn("select uuid, '{' as metadata from input");
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(out.error().code(), ErrorCode::kInvalidRecords);
}

TEST_F(SqlTest, RefusesQueriesAtTheStart) {
  const auto said = [&](const std::string& query, const std::string& part) {
    auto made = bed_.MakeProcessor("type: sql\nquery: >\n  " + query + "\n");
    ASSERT_FALSE(made.ok()) << query;
    EXPECT_NE(made.error().ToString().find(part), std::string::npos) << made.error().ToString();
  };
  said("select nothing from input", "nothing");
  said("select 1 as nr from input", "is no field of a record");
  said("select tenant as tenant_, uuid from input", "tenant");
  said("select [1] as data from input", "cannot hold");
  said("select data as created_at from input", "cannot hold");
  said("drop table input", "SELECT");
  said("select * from read_csv('/etc/passwd')", "read_csv");
  said("select * from other", "other");
}

}  // namespace
}  // namespace sluice::connectors::sql
