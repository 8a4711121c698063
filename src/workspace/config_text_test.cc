#include "workspace/config_text.h"

#include <gtest/gtest.h>

#include <initializer_list>

#include "odf/yaml_json.h"

namespace sluice::workspace {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kText[] = R"(# Of the harbour's machine.
source:
  # Their server is slow.
  http:
    maxRetries: 5   # more than that annoys them
    "userAgent": "a # b"  # agreed

  exec:
    tides: [sh, -c, "tides | sort"]
variables:
    region: eu  # or us
    zone: 'it''s'

# Pulls.
schedule:
- datasets: [a, b]   # both
  every: 5m
)";

Json Parse(const std::string& text) { return Json::parse(*odf::YamlToJson(text, "config.yaml")); }

// `text` after a change of its tree; nothing when it cannot be made line by line.
template <class Change>
std::optional<std::string> Edited(const std::string& text, Change change) {
  Json tree = Parse(text);
  change(tree);
  auto edited = EditConfigText(text, tree);
  if (edited) EXPECT_EQ(nlohmann::json(Parse(*edited)), nlohmann::json(tree)) << *edited;
  return edited;
}

// `text` with pieces of it replaced, each of which is there.
std::string With(std::string text,
                 std::initializer_list<std::pair<std::string_view, std::string_view>> pieces) {
  for (const auto& [from, to] : pieces) {
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    if (at != std::string::npos) text.replace(at, from.size(), to);
  }
  return text;
}

TEST(ConfigTextTest, ChangesAValueInItsPlace) {
  EXPECT_EQ(Edited(kText, [](Json&) {}), kText);
  EXPECT_EQ(Edited(kText,
                   [](Json& tree) {
                     tree["source"]["http"]["maxRetries"] = 7;
                     tree["source"]["http"]["userAgent"] = "c: d";
                     tree["variables"]["region"] = "us";
                     tree["variables"]["zone"] = "x";
                   }),
            With(kText, {{"maxRetries: 5", "maxRetries: 7"},
                         {"\"a # b\"", "'c: d'"},
                         {"region: eu", "region: us"},
                         {"'it''s'", "x"}}));
  EXPECT_EQ(Edited(kText, [](Json& tree) { tree["source"]["exec"]["tides"] = "tides"; }),
            With(kText, {{"[sh, -c, \"tides | sort\"]", "tides"}}));
}

TEST(ConfigTextTest, AddsBehindWhatIsThere) {
  EXPECT_EQ(Edited(kText, [](Json& tree) { tree["variables"]["more"] = "1 2"; }),
            With(kText, {{"'it''s'\n", "'it''s'\n    more: 1 2\n"}}));
  EXPECT_EQ(Edited(kText, [](Json& tree) { tree["source"]["http"]["proxy"] = ""; }),
            With(kText, {{"# agreed\n", "# agreed\n    proxy: ''\n"}}));
  EXPECT_EQ(Edited(kText, [](Json& tree) { tree["uploads"]["maxFileSizeInMb"] = 5; }),
            std::string(kText) + "uploads:\n  maxFileSizeInMb: 5\n");
  EXPECT_EQ(Edited("# nothing yet", [](Json& tree) { tree["a"]["b"] = "c"; }), "# nothing yet\na:\n  b: c\n");
  EXPECT_EQ(Edited("", [](Json& tree) { tree["a"] = 1; }), "a: 1\n");
}

TEST(ConfigTextTest, RemovesNoMoreThanItMust) {
  EXPECT_EQ(Edited(kText, [](Json& tree) { tree["source"]["http"].erase("maxRetries"); }),
            With(kText, {{"    maxRetries: 5   # more than that annoys them\n", ""}}));
  EXPECT_EQ(Edited(kText, [](Json& tree) { tree.erase("variables"); }),
            With(kText, {{"variables:\n    region: eu  # or us\n    zone: 'it''s'\n", ""}}));
  EXPECT_EQ(Edited(kText, [](Json& tree) { tree.erase("schedule"); }),
            With(kText, {{"schedule:\n- datasets: [a, b]   # both\n  every: 5m\n", ""}}));
}

TEST(ConfigTextTest, SaysWhenLinesDoNotDo) {
  EXPECT_EQ(Edited("{a: 1, b: 2} # both", [](Json& tree) { tree["a"] = 2; }), std::nullopt);
  EXPECT_EQ(Edited("a: {a: 1} # ours", [](Json& tree) { tree["a"]["a"] = 2; }), std::nullopt);
  EXPECT_EQ(Edited("a:\n  b: {c: 1}\n# ours", [](Json& tree) { tree["a"]["b"].erase("c"); }),
            "a:\n  b: {}\n# ours\n");
  EXPECT_EQ(Edited("a: {b: 1, c: 2} # both", [](Json& tree) { tree["a"]["b"] = 2; }), std::nullopt);
  EXPECT_EQ(Edited("a: {b: 1}", [](Json& tree) { tree["a"]["c"] = 2; }), std::nullopt);
  EXPECT_EQ(Edited("a: \"x\n  y\"\n", [](Json& tree) { tree["a"] = 2; }), "a: 2\n");
}

}  // namespace
}  // namespace sluice::workspace
