#include "pipeline/condition.h"

#include <gtest/gtest.h>

#include "pipeline/record.h"
#include "pipeline/settings.h"
#include "pipeline/testing/bed.h"
#include "pipeline/tree.h"

namespace sluice::pipeline {
namespace {

Tree TreeOf(const std::string& yaml) {
  auto tree = ReadTree(yaml, "c.yaml",
                       [](std::string_view text) -> Result<std::string> { return std::string(text); });
  EXPECT_TRUE(tree.ok()) << (tree.ok() ? "" : tree.error().ToString());
  return tree.ok() ? *tree : Tree();
}

// One digit for each of the records below.
std::string Evaluate(const std::string& yaml) {
  static const Batch batch = testing::BatchOf(
      R"({"data":"Hello Product1","lang":"en","metadata_type":"discourse","metadata":{"author":{"name":"ada"},"tags":["a","b"],"n":7,"ok":true},"created_at":"2024-05-06T07:08:09Z"})"
      "\n"
      R"({"data":"nothing","metadata_type":"NULL","metadata":null,"priority":3})"
      "\n"
      R"({"data":"","metadata":{"author":{"name":"Grace"},"tags":[],"n":7.0,"a.b":{"x":[{"y":"deep"}]}},"created_at":"2025-01-01T00:00:00.5Z"})"
      "\n");
  auto condition = Condition::Parse(TreeOf(yaml));
  if (!condition.ok()) return condition.error().ToString();
  std::vector<uint8_t> holds;
  condition->Evaluate(*batch.records, &holds);
  std::string shown;
  for (const uint8_t hold : holds) shown += static_cast<char>('0' + hold);
  return shown;
}

TEST(ConditionTest, TestsFields) {
  EXPECT_EQ(Evaluate("{field: data, contains: Product1}"), "100");
  EXPECT_EQ(Evaluate("{field: data, contains: product1}"), "000");
  EXPECT_EQ(Evaluate("{field: data, contains: product1, ignore_case: true}"), "100");
  EXPECT_EQ(Evaluate("{field: data, contains: [thing, Hello]}"), "110");
  EXPECT_EQ(Evaluate("{field: data, equals: nothing}"), "010");
  EXPECT_EQ(Evaluate("{field: data, starts_with: Hel}"), "100");
  EXPECT_EQ(Evaluate("{field: data, ends_with: [ing, '1']}"), "110");
  EXPECT_EQ(Evaluate("{field: data, matches: '^[A-Z].*[0-9]$'}"), "100");
  EXPECT_EQ(Evaluate("{field: data, matches: '^hello', ignore_case: true}"), "100");
  EXPECT_EQ(Evaluate("{field: data, contains: [none, PRODUCT1], ignore_case: true}"), "100");
  EXPECT_EQ(Evaluate("{field: data, exists: false}"), "001");
  EXPECT_EQ(Evaluate("{field: data, exists: true}"), "110");
  EXPECT_EQ(Evaluate("{field: metadata_type, in: [discourse, github]}"), "100");
}

TEST(ConditionTest, IgnoresTheCaseOfAllScripts) {
  const Batch batch = testing::BatchOf("{\"data\":\"Ärger in МОСКВА\",\"metadata\":[\"ÉCOLE\",\"a.b\"]}\n");
  const auto holds = [&](const std::string& yaml) {
    auto condition = Condition::Parse(TreeOf(yaml));
    EXPECT_TRUE(condition.ok()) << yaml;
    std::vector<uint8_t> one;
    condition->Evaluate(*batch.records, &one);
    return one[0] == 1;
  };
  EXPECT_TRUE(holds("{field: data, contains: москва, ignore_case: true}"));
  EXPECT_FALSE(holds("{field: data, contains: москва}"));
  EXPECT_TRUE(holds("{field: data, starts_with: [x, äRGER], ignore_case: true}"));
  EXPECT_FALSE(holds("{field: data, starts_with: in, ignore_case: true}"));
  EXPECT_TRUE(holds("{field: data, ends_with: Москва, ignore_case: true}"));
  EXPECT_FALSE(holds("{field: data, ends_with: in, ignore_case: true}"));
  EXPECT_TRUE(holds("{field: data, equals: ÄRGER IN москва, ignore_case: true}"));
  EXPECT_FALSE(holds("{field: data, equals: ÄRGER, ignore_case: true}"));
  EXPECT_TRUE(holds("{field: 'metadata[0]', in: [école], ignore_case: true}"));
  EXPECT_FALSE(holds("{field: 'metadata[1]', equals: axb, ignore_case: true}")) << "no expression";
}

TEST(ConditionTest, LooksIntoMetadataAndUnknownFields) {
  EXPECT_EQ(Evaluate("{field: metadata.author.name, equals: ada}"), "100");
  EXPECT_EQ(Evaluate("{field: metadata.author.name, in: [ada, grace], ignore_case: true}"), "101");
  EXPECT_EQ(Evaluate("{field: metadata.tags, contains: b}"), "100");
  EXPECT_EQ(Evaluate("{field: 'metadata.tags[0]', equals: a}"), "100");
  EXPECT_EQ(Evaluate("{field: metadata.n, equals: 7}"), "101");
  EXPECT_EQ(Evaluate("{field: metadata.ok, equals: 'true'}"), "100");
  EXPECT_EQ(Evaluate("{field: metadata, exists: false}"), "010");
  EXPECT_EQ(Evaluate("{field: metadata.absent, exists: false}"), "111");
  EXPECT_EQ(Evaluate("{field: 'metadata.\"a.b\".x[0].y', equals: deep}"), "001");
  EXPECT_EQ(Evaluate("{field: extra.priority, equals: 3}"), "010");
}

TEST(ConditionTest, TellsLargeNumbersApartAndEmptyTextsAreNotThere) {
  const Batch batch = testing::BatchOf(R"({"metadata":{"id":1234567890123456790,"note":"","x":2.50}})"
                                       "\n");
  const auto holds = [&](const std::string& yaml) {
    auto condition = Condition::Parse(TreeOf(yaml));
    std::vector<uint8_t> answer;
    if (condition.ok()) condition->Evaluate(*batch.records, &answer);
    return answer == std::vector<uint8_t>{1};
  };
  EXPECT_TRUE(holds("{field: metadata.id, equals: 1234567890123456790}"));
  EXPECT_FALSE(holds("{field: metadata.id, equals: 1234567890123456789}"));
  EXPECT_TRUE(holds("{field: metadata.x, equals: 2.5}"));
  EXPECT_FALSE(holds("{field: metadata.note, exists: true}"));
  EXPECT_TRUE(holds("{field: metadata.note, exists: false}"));
}

TEST(ConditionTest, ComparesTimes) {
  EXPECT_EQ(Evaluate("{field: created_at, after: '2024-12-31T00:00:00Z'}"), "001");
  EXPECT_EQ(Evaluate("{field: created_at, before: '2024-12-31T00:00:00+01:00'}"), "100");
  EXPECT_EQ(Evaluate("{field: created_at, exists: false}"), "010");
}

TEST(ConditionTest, Combines) {
  EXPECT_EQ(Evaluate("{all: [{field: data, exists: true}, {not: {field: lang, equals: en}}]}"), "010");
  EXPECT_EQ(Evaluate("{any: [{field: lang, equals: en}, {field: data, exists: false}]}"), "101");
  EXPECT_EQ(Evaluate("[{field: data, exists: true}, {field: lang, exists: true}]"), "100");
  EXPECT_EQ(Evaluate("{not: {any: [{field: lang, equals: en}, {field: data, exists: false}]}}"), "010");
}

TEST(ConditionTest, RefusesWhatIsNone) {
  const auto said = [](const std::string& yaml, const std::string& part) {
    const std::string message = Evaluate(yaml);
    EXPECT_NE(message.find(part), std::string::npos) << yaml << ": " << message;
    EXPECT_NE(message.find("c.yaml:"), std::string::npos) << message;
  };
  said("{field: dta, equals: x}", "did you mean 'data'");
  said("{field: data.x, equals: x}", "has no inside");
  said("{field: data}", "a test is missing");
  said("{field: data, equals: a, contains: b}", "use 'all'");
  said("{field: data, equal: a}", "'equal' is no test");
  said("{field: data, matches: '('}", "no regular expression");
  said("{field: data, in: x}", "takes a list");
  said("{field: data, exists: yes}", "true or false");
  said("{field: data, before: '2024-01-01T00:00:00Z'}", "created_at");
  said("{field: created_at, before: yesterday}", "yesterday");
  said("{field: data, equals: ''}", "exists: false");
  said("{some: []}", "'some' is no condition");
  said("{all: []}", "empty");
  said("text", "a condition is expected");
  said("{field: 'metadata.', equals: x}", "empty");
  said("{field: 'metadata[x]', equals: x}", "number");
}

}  // namespace
}  // namespace sluice::pipeline
