#include "pipeline/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/config.h"
#include "pipeline/describe.h"
#include "pipeline/settings_reader.h"
#include "pipeline/testing/scripted.h"

namespace sluice::pipeline {
namespace {

using ::testing::HasSubstr;

Result<std::string> Expand(std::string_view whole) {
  if (whole == "${{ env.SECRET }}") return std::string("se}c: {ret");
  return InvalidArgument("no value for {}", whole);
}

const std::vector<Option>& Options() {
  static const std::vector<Option> options = {
      {.name = "text", .description = "a text"},
      {.name = "password", .description = "a secret", .is_sensitive = true},
      {.name = "count", .type = OptionType::kInteger, .description = "a count", .default_text = "7"},
      {.name = "share", .type = OptionType::kNumber, .description = "a share", .default_text = "0.5"},
      {.name = "on", .type = OptionType::kBoolean, .description = "a switch", .default_text = "true"},
      {.name = "pause", .type = OptionType::kDuration, .description = "a pause", .default_text = "5m"},
      {.name = "size", .type = OptionType::kBytes, .description = "a size", .default_text = "64KiB"},
      {.name = "names", .type = OptionType::kTexts, .description = "names"},
      {.name = "map", .type = OptionType::kTextMap, .description = "a map"},
      {.name = "tree", .type = OptionType::kTree, .description = "a structure"},
      {.name = "target", .description = "by record", .may_name_fields = true}};
  return options;
}

struct Reading {
  Registry registry;
  std::vector<std::string> secrets;
  Result<Settings> Read(std::string_view yaml) {
    ASSIGN_OR_RETURN(const Tree tree, ReadTree(yaml, "p.yaml", Expand));
    SettingsReader reader(registry);
    auto settings = reader.ReadGroup(tree, "thing", Options());
    secrets = reader.secrets();
    return settings;
  }
};

TEST(SettingsTest, GivesDefaultsAndWhatTheFileSays) {
  Reading reading;
  auto settings = reading.Read("{text: x}");
  ASSERT_TRUE(settings.ok()) << settings.error().ToString();
  EXPECT_EQ(settings->text("text"), "x");
  EXPECT_EQ(settings->integer("count"), 7);
  EXPECT_EQ(settings->number("share"), 0.5);
  EXPECT_TRUE(settings->boolean("on"));
  EXPECT_EQ(settings->duration("pause"), std::chrono::minutes(5));
  EXPECT_EQ(settings->bytes("size"), 65536U);
  EXPECT_TRUE(settings->texts("names").empty());
  EXPECT_FALSE(settings->has("count"));
  EXPECT_EQ(settings->text("undeclared"), "");
  settings =
      reading.Read("count: -3\nnames: one\nmap: {a: 1, b: }\ntree:\n  - {x: [1]}\non: false\ntext: null\n");
  ASSERT_TRUE(settings.ok()) << settings.error().ToString();
  EXPECT_EQ(settings->integer("count"), -3);
  EXPECT_EQ(settings->texts("names"), std::vector<std::string>{"one"});
  EXPECT_EQ(settings->text_map("map"), (std::map<std::string, std::string>{{"a", "1"}, {"b", ""}}));
  EXPECT_FALSE(settings->boolean("on"));
  EXPECT_FALSE(settings->has("text"));
  const Tree& tree = settings->tree("tree");
  ASSERT_EQ(tree.items.size(), 1U);
  EXPECT_EQ(tree.items[0].place, "p.yaml:5");
  EXPECT_THAT(settings->Complain("count", "too few").message(),
              HasSubstr("p.yaml:1: option 'count': too few"));
}

TEST(SettingsTest, TemplatesStandAnywhere) {
  Reading reading;
  const auto settings = reading.Read(
      "# ${{ env.NOT_LOOKED_AT }}\n{text: ${{ env.SECRET }}, password: \"x-${{ env.SECRET }}\", target: '${{ record.tenant_id }}/a'}");
  ASSERT_TRUE(settings.ok()) << settings.error().ToString();
  EXPECT_EQ(settings->text("text"), "se}c: {ret");
  EXPECT_EQ(settings->text("password"), "x-se}c: {ret");
  EXPECT_EQ(settings->text("target"), "${{ record.tenant_id }}/a");
  EXPECT_EQ(reading.secrets, std::vector<std::string>{"x-se}c: {ret"});
}

TEST(SettingsTest, BadValuesAreNamedWithTheirLine) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"\ncount: 1.5", "p.yaml:2: option 'count': '1.5' is no whole number"},
      {"share: nan", "option 'share': 'nan' is no number"},
      {"on: yes", "option 'on': 'yes' is neither true nor false"},
      {"pause: 5", "option 'pause': '5' is no duration"},
      {"size: big", "option 'size': 'big' is no number of bytes"},
      {"text: [x]", "option 'text' takes a text"},
      {"names: {a: b}", "option 'names' takes a list of texts"},
      {"map: x", "option 'map' takes a map of texts"},
      {"txet: x", "'thing' has no option 'txet'; did you mean 'text'"},
      {"text: '${{ record.data }}'", "option 'text' cannot depend on the record"},
      {"text: &a x", ""},
      {"{text: *a}", "p.yaml:1:"},
      {"text: ${{ env.OTHER }}", "p.yaml:1: no value for ${{ env.OTHER }}"},
      {"text: ${{ env.SECRET\n}}", "p.yaml:1: a template does not end on its line"},
      {"[1, 2]", "'thing' takes options with names"},
      {"a: 1\n---\nb: 2", "one document a file"},
      {"text: !!binary x", "tag"},
      {"text: x\ntext: y", "p.yaml:2: key 'text' is given twice"}};
  for (const auto& [yaml, message] : cases) {
    Reading reading;
    const auto settings = reading.Read(yaml);
    if (message.empty()) continue;  // an anchor that nobody uses does no harm
    ASSERT_FALSE(settings.ok()) << yaml;
    EXPECT_THAT(settings.error().ToString(), HasSubstr(std::string(message))) << yaml;
  }
}

TEST(SettingsTest, SecretsAreNotRepeated) {
  Reading reading;
  SettingsReader reader(reading.registry);
  const auto tree = ReadTree("{pin: hunter2}", "p.yaml", Expand);
  const std::vector<Option> options = {
      {.name = "pin", .type = OptionType::kInteger, .description = "a number", .is_sensitive = true}};
  const auto settings = reader.ReadGroup(*tree, "thing", options);
  ASSERT_FALSE(settings.ok());
  EXPECT_EQ(settings.error().ToString().find("hunter2"), std::string::npos);
}

TEST(DescribeTest, DraftsAreReadBack) {
  testing::ScriptedConnectors fake;
  const auto draft = DraftPipeline(fake.registry, "demo", "ingestor", "store");
  ASSERT_TRUE(draft.ok());
  EXPECT_FALSE(DraftPipeline(fake.registry, "demo", "ingester", "store").ok());
}

}  // namespace
}  // namespace sluice::pipeline
