#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <arrow/record_batch.h>

#include "base/testing/matchers.h"
#include "connectors/odf/odf_internal.h"

namespace sluice::connectors::odf {
namespace {

std::shared_ptr<arrow::RecordBatch> Record(const std::string& json) {
  return pipeline::ParseRecords(json).value().records;
}

TEST(NamePatternTest, MakesNamesFromFields) {
  const auto pattern = NamePattern::Parse("${{ record.tenant_id }}.feedback-${{record.lang}}").value();
  EXPECT_TRUE(pattern.has_fields());
  EXPECT_EQ(pattern.NameOf(*Record(R"({"tenant_id": "acme", "lang": "en"})"), 0).value(), "acme.feedback-en");
}

TEST(NamePatternTest, RefusesWhatMakesNoName) {
  const auto pattern = NamePattern::Parse("${{ record.tenant_id }}.feedback").value();
  for (const char* record : {R"({"data": "x"})", R"({"tenant_id": "../other"})", R"({"tenant_id": "a b"})"}) {
    const auto name = pattern.NameOf(*Record(record), 0);
    ASSERT_FALSE(name.ok()) << record;
    EXPECT_THAT(name.error().message(), ::testing::HasSubstr("tenant_id"));
  }
}

TEST(NamePatternTest, MatchesWhatItCanMake) {
  const auto pattern = NamePattern::Parse("${{ record.tenant_id }}.feedback").value();
  EXPECT_TRUE(pattern.Matches("acme.feedback"));
  EXPECT_FALSE(pattern.Matches(".feedback"));
  EXPECT_FALSE(pattern.Matches("acme.other"));
  const auto fixed = NamePattern::Parse("feedback").value();
  EXPECT_FALSE(fixed.has_fields());
  EXPECT_TRUE(fixed.Matches("feedback"));
  EXPECT_FALSE(fixed.Matches("feedbacks"));
}

TEST(NamePatternTest, RefusesUnknownFields) {
  EXPECT_THAT(NamePattern::Parse("${{ record.tenant }}").error().message(),
              ::testing::HasSubstr("tenant_id"));
  EXPECT_FALSE(NamePattern::Parse("${{ record.data }}").ok());
  EXPECT_FALSE(NamePattern::Parse("${{ record.tenant_id").ok());
}

}  // namespace
}  // namespace sluice::connectors::odf
