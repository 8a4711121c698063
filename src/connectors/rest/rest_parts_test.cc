#include <gtest/gtest.h>

#include "base/testing/matchers.h"
#include "connectors/rest/connector.h"
#include "connectors/rest/json_slice.h"
#include "connectors/rest/mapping.h"
#include "connectors/rest/marks.h"
#include "connectors/rest/pace.h"
#include "connectors/rest/paging.h"
#include "connectors/rest/presets.h"
#include "pipeline/testing/bed.h"
#include "pipeline/tree.h"

namespace sluice::connectors::rest {
namespace {

using pipeline::Column;
using std::chrono::seconds;
using testing::HasSubstr;

std::string At(std::string_view json, std::string_view place) {
  const auto path = JsonPath::Parse(place);
  EXPECT_TRUE(path.ok()) << place;
  return std::string(FindValue(json, *path).value_or("(none)"));
}

TEST(JsonSliceTest, FindsValuesAsTheyStandThere) {
  constexpr char kJson[] =
      R"( {"a": {"b" : [1, 2.50, {"c d":"x\ty"}], "n":null}, "\u0061b":true, "a.b":"dot", "z":"last"} )";
  EXPECT_EQ(At(kJson, "a.b[1]"), "2.50");
  EXPECT_EQ(At(kJson, "$.a.b[2].\"c d\""), R"("x\ty")");
  EXPECT_EQ(At(kJson, "ab"), "true");
  EXPECT_EQ(At(kJson, "\"a.b\""), "\"dot\"");
  EXPECT_EQ(At(kJson, "z"), "\"last\"");
  for (const char* place : {"a.n", "a.b[3]", "a[0]", "b", "z.y", "a.b.c"})
    EXPECT_EQ(At(kJson, place), "(none)") << place;
  EXPECT_EQ(At("[[1],[2]]", "[1][0]"), "2");
  EXPECT_EQ(At("[1]", "$"), "[1]");
  EXPECT_EQ(Elements(" [ ] ")->size(), 0U);
  EXPECT_EQ(Elements("[1, {\"a\":[2,3]} , \"]\"]")->at(2), "\"]\"");
  EXPECT_EQ(Elements("{}"), std::nullopt);
  for (const char* place : {"a..b", "a[x]", "a[1"}) EXPECT_FALSE(JsonPath::Parse(place).ok()) << place;
}

TEST(JsonSliceTest, ReadsTexts) {
  EXPECT_EQ(TextOf(R"("a\u00e4\n")"), "a\u00e4\n");
  EXPECT_EQ(TextOf("12.0"), "12.0");
  EXPECT_EQ(TextOf(R"("\ud800")"), std::nullopt);
}

Result<Mapping> MappingOf(const std::string& yaml, const std::string& defaults = "{}") {
  const auto same = [](std::string_view whole) -> Result<std::string> { return std::string(whole); };
  ASSIGN_OR_RETURN(const auto tree, pipeline::ReadTree(yaml, "p.yaml", same));
  ASSIGN_OR_RETURN(const auto more, pipeline::ReadTree(defaults, "preset", same));
  return Mapping::Parse(&tree, more);
}

TEST(MappingTest, MakesRecords) {
  ASSERT_OK_AND_ASSIGN(
      const Mapping mapping,
      MappingOf("{data: {from: [raw, cooked]}, data_id: {from: id}, source_type: forum, lang: {from: l.x}}",
                "{source_type: other, source_id: here, tenant_id: {join: [a, b]}}"));
  std::string out;
  ASSERT_TRUE(
      mapping.Append("{\"id\": 7,\n \"cooked\":\"<p>\\\"x\\\"\", \"raw\":null, \"b\":\"B\"}", &out).ok());
  EXPECT_EQ(
      out,
      R"({"data":"<p>\"x\"","data_id":"7","source_type":"forum","source_id":"here","tenant_id":"B","metadata":)"
      R"({"id": 7,  "cooked":"<p>\"x\"", "raw":null, "b":"B"}})"
      "\n");
  EXPECT_EQ(mapping.ValueOf("{\"raw\":\"\",\"cooked\":\"c\"}", Column::kData), "c");
  out.clear();
  ASSERT_TRUE(mapping.Append("[1]", &out).ok());
  EXPECT_EQ(out, "[1]\n");
  EXPECT_FALSE(mapping.Append(R"({"raw":"\ud800"})", &out).ok());
  ASSERT_OK_AND_ASSIGN(const Mapping none, MappingOf("{metadata: ''}"));
  out.clear();
  ASSERT_TRUE(none.Append("{\"a\":1}", &out).ok());
  EXPECT_EQ(out, "{}\n");
}

TEST(MappingTest, RefusesWhatIsNone) {
  for (const char* yaml :
       {"{date: x}", "{data: {from: a, join: [b]}}", "{data: {of: a}}", "{data: [a]}", "{data: {from: 'a['}}",
        "{metadata: '{'}", "{metadata: {join: [a]}}", "{data: {join: a}}", "{data: {from: []}}", "[data]"}) {
    const auto mapping = MappingOf(yaml);
    ASSERT_FALSE(mapping.ok()) << yaml;
    EXPECT_THAT(mapping.error().ToString(), HasSubstr("p.yaml:1")) << yaml;
  }
}

TEST(MarksTest, GrowAsItemsDo) {
  RestOptions options;
  options.mark = Mark::kNumber;
  options.mark_path = *JsonPath::Parse("id");
  EXPECT_EQ(*MarkOf(options, R"({"id":5})", 9), 5);
  EXPECT_EQ(*MarkOf(options, R"({"id":"12"})", 9), 12);
  for (const char* item :
       {"{}", R"({"id":-1})", R"({"id":1.5})", R"({"id":null})", R"({"id":99999999999999999999})", "7"})
    EXPECT_FALSE(MarkOf(options, item, 0).ok()) << item;
  EXPECT_EQ(SinceText(Mark::kNumber, 13), "12");
  options.mark = Mark::kTime;
  options.mapping = *MappingOf("{data_id: {from: id}}");
  options.mark_path = *JsonPath::Parse("at");
  const auto mark = [&](const std::string& at, int id) {
    return *MarkOf(options, fmt::format(R"({{"id":{},"at":"{}"}})", id, at), 0);
  };
  EXPECT_LT(mark("2024-01-01T00:00:00Z", 1), mark("2024-01-01T00:00:00.001Z", 1));
  EXPECT_EQ(mark("2024-01-01T01:00:00+01:00", 1), mark("2024-01-01T00:00:00Z", 1));
  EXPECT_NE(mark("2024-01-01T00:00:00Z", 1), mark("2024-01-01T00:00:00Z", 2));
  EXPECT_EQ(mark("2024-01-01T00:00:00Z", 7), 1'786'843'968'307'346'906)
      << "positions are kept: it is the same for ever";
  EXPECT_EQ(SinceText(Mark::kTime, mark("2024-01-01T00:00:00.9Z", 1) + 1), "2024-01-01T00:00:00Z");
  EXPECT_FALSE(MarkOf(options, R"({"at":"yesterday"})", 0).ok());
  EXPECT_FALSE(ParseStart(Mark::kTime, "5").ok());
  EXPECT_LE(*ParseStart(Mark::kTime, "2024-01-01T00:00:00Z"), mark("2024-01-01T00:00:00Z", 1));
}

TEST(PaceTest, ReadsWhatServersSay) {
  const auto reset = [](const std::string& left, const std::string& at) {
    return UntilReset({{"X-RateLimit-Remaining", left}, {"X-RateLimit-Reset", at}}, 1'700'000'000);
  };
  EXPECT_EQ(reset("0", "1700000009"), seconds(10));
  EXPECT_EQ(reset("0", "9"), seconds(9));
  EXPECT_EQ(reset("1", "9"), std::nullopt);
  EXPECT_EQ(UntilReset({{"RateLimit-Remaining", "0"}, {"RateLimit-Reset", "7"}}, 0), seconds(7));
  Pace pace(100);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(pace.Wait({}));
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(50));
}

TEST(PagingTest, FindsTheNextLink) {
  EXPECT_EQ(NextLink(R"(<https://a/?page=1>; rel="prev", <https://a/?page=3>; rel="next")"),
            "https://a/?page=3");
  EXPECT_EQ(NextLink(R"(<https://a/?q=1,2> ; title="a, b; c" ; rel="last next")"), "https://a/?q=1,2");
  EXPECT_EQ(NextLink("<https://a>;rel=Next"), "https://a");
  for (const char* header :
       {"", "<https://a>", "<https://a", "rel=next", R"(<https://a>; rel="nextish")", "<>;", "<a>;;;"})
    EXPECT_EQ(NextLink(header), std::nullopt) << header;
}

TEST(PagingTest, CursorsAreReadBack) {
  for (const PageRef& page : {PageRef{"", 0}, PageRef{"12", 100}, PageRef{"https://a/?b=\"\u00e4\"", 7}})
    EXPECT_EQ(PageOf(CursorOf(page)), page);
  for (const char* text : {"", "x", "{}", "[]", R"({"page":1,"base":0})"})
    EXPECT_EQ(PageOf(text), PageRef()) << text;
}

TEST(PresetsTest, KnowWhereListsAre) {
  for (const auto& name : PresetNames()) {
    const auto preset = MakePreset(name, "https://github.com/a/b");
    ASSERT_TRUE(preset.ok()) << name;
  }
  EXPECT_EQ(MakePreset("discourse", "https://forum.example/")->url, "https://forum.example/posts.json");
  EXPECT_EQ(MakePreset("github_issues", "https://github.com/a/b")->url,
            "https://api.github.com/repos/a/b/issues");
  EXPECT_FALSE(MakePreset("github_issues", "https://github.example/a").ok());
}

TEST(RestOptionsTest, RefusesWhatMakesNoSense) {
  pipeline::testing::Bed bed(RegisterRest);
  const auto make = [&](const std::string& options) {
    return bed.MakeIngestor("{type: rest, url: 'http://127.0.0.1:1/list'" + options + "}");
  };
  ASSERT_TRUE(make("").ok());
  ASSERT_TRUE(make(", preset: discourse").ok());
  ASSERT_TRUE(make(", preset: discourse_topics").ok());
  const std::pair<const char*, const char*> cases[] = {
      {", pagination: page", "page_size"},
      {", pagination: cursor", "next"},
      {", pagination: page, page_size: 5, next: x", "next"},
      {", mark: number", "mark_path"},
      {", mark_path: id", "mark_path"},
      {", order: newest_first", "order"},
      {", since_parameter: since", "since_parameter"},
      {", pagination: before", "pagination"},
      {", pagination: before, mark: number, mark_path: id", "page_size"},
      {", mark: time, mark_path: at", "record"},
      {", mark: number, mark_path: id, start: x", "start"},
      {", items: 'a['", "items"},
      {", record: {dta: x}", "dta"},
      {", requests_per_second: -1", "requests_per_second"},
      {", timeout: 0s", "timeout"},
      {", interval: 0s", "interval"},
      {", size_parameter: n", "size_parameter"},
      {", token: t, headers: {authorization: x}", "token"},
      {", headers: {'a b': x}", "headers"},
      {", preset: github_issues", "url"},
      {", preset: mailman", "preset"},
      {", attempts: 0", "attempts"},
  };
  for (const auto& [options, name] : cases) {
    const auto made = make(options);
    ASSERT_FALSE(made.ok()) << options;
    EXPECT_THAT(made.error().ToString(), HasSubstr(name)) << options;
    EXPECT_THAT(made.error().ToString(), HasSubstr("test.yaml:1")) << options;
  }
  EXPECT_FALSE(bed.MakeIngestor("{type: rest, url: 'ftp://x/'}").ok());
  EXPECT_FALSE(bed.MakeIngestor("{type: rest, url: 'http://x/#a'}").ok());
}

}  // namespace
}  // namespace sluice::connectors::rest
