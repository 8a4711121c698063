#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "base/testing/matchers.h"
#include "fetch/address.h"
#include "fetch/event_time.h"
#include "fetch/fetch.h"
#include "fetch/file_list.h"
#include "fetch/kept_output.h"
#include "fetch/prepare.h"
#include "fetch/savepoint.h"
#include "fetch/streams.h"
#include "fetch/template.h"
#include "storage/testing/temp_folder.h"

namespace sluice::fetch {
namespace {

using storage::TempFolder;

class MapVariables final : public Variables {
 public:
  explicit MapVariables(std::map<std::string, std::string> values) : values_(std::move(values)) {}
  Result<std::optional<Value>> Find(const std::string& name) const override {
    const auto it = values_.find(name);
    return it == values_.end() ? std::optional<Value>() : std::optional(Value{it->second, true});
  }

 private:
  std::map<std::string, std::string> values_;
};

std::string Expand(std::string_view text, Redactor* redactor = nullptr) {
  const MapVariables variables({{"a", "first"}, {"loop", "${{ env.loop }}"}, {"key", "geheim"}});
  Redactor own;
  auto expanded = ExpandTemplate(text, variables, redactor ? *redactor : own);
  return expanded.ok() ? *expanded : "error: " + expanded.error().message();
}

TEST(TemplateTest, TakesTheFirstThatHasAValue) {
  EXPECT_EQ(Expand("x${{ env.none || env.a || 'b' }}y"), "xfirsty");
  EXPECT_EQ(Expand("${{env.none||' text '}}"), "text");
  EXPECT_EQ(Expand("${{ env.none || -10.5 }}"), "-10.5");
  EXPECT_EQ(Expand("${{ 'a || }} b' }}"), "a || }} b");
  EXPECT_EQ(Expand("no template {{ }} $"), "no template {{ }} $");
}

TEST(TemplateTest, DoesNotLookIntoValues) { EXPECT_EQ(Expand("${{ env.loop }}"), "${{ env.loop }}"); }

TEST(TemplateTest, SaysWhatIsWrong) {
  EXPECT_EQ(Expand("${{ env.x || env.y }}"), "error: Missing values for variable(s): 'env.x || env.y'");
  EXPECT_EQ(Expand("${{ what }}"), "error: Invalid pattern 'what' encountered");
  EXPECT_EQ(Expand("${{ }}"), "error: Invalid pattern '' encountered");
  EXPECT_EQ(Expand("${{ env.a || }}"), "error: Invalid pattern '' encountered");
  EXPECT_TRUE(Expand("${{ env.a").starts_with("error: template"));
}

TEST(TemplateTest, HidesWhatItUsed) {
  Redactor redactor;
  EXPECT_EQ(Expand("k=${{ env.key }}", &redactor), "k=geheim");
  EXPECT_EQ(redactor.Clean("GET k=geheim, geheim"), "GET k=${{ env.key }}, ${{ env.key }}");
  redactor.Hide("no", "***");
  redactor.Hide("a b", "+++");
  EXPECT_EQ(redactor.Clean("cannot get k=no&l=a%20b, 'no'"), "cannot get k=***&l=+++, '***'");
}

TEST(TemplateTest, HidesOtherSpellings) {
  Redactor redactor;
  redactor.Hide("ab/cd+\"E&f'", "***");
  for (const char* text : {"ab/cd+\"E&f'", "ab\\/cd+\\\"E&f'", "ab/cd+\\\"E&f'", "ab%2Fcd%2B%22E%26f%27",
                           "ab%2fcd%2b%22E%26f%27", "ab/cd+%22E&f'", "ab/cd+&quot;E&amp;f'",
                           "ab/cd+&quot;E&amp;f&#39;", "ab/cd+&quot;E&amp;f&#039;"})
    EXPECT_EQ(redactor.Clean(std::string("<") + text + ">"), "<***>") << text;
}

TEST(TemplateTest, HidesTheBeginningOfWhatWasCut) {
  Redactor redactor;
  redactor.Hide("sekret42", "***");
  redactor.Hide("se", "+++");
  EXPECT_EQ(redactor.Clean("a: xxsekret...\nb: sek..., sekret42..."), "a: xx***...\nb: ***..., ***...");
  EXPECT_EQ(redactor.Clean("xxsekret, se"), "xxsekret, +++");
  EXPECT_EQ(redactor.Clean("...xy..."), "...xy...");
}

TEST(FileListTest, OrdersAsPeopleCount) {
  EXPECT_LT(CompareNaturally("data-9", "data-10"), 0);
  EXPECT_LT(CompareNaturally("a2b", "a10"), 0);
  EXPECT_LT(CompareNaturally("01", "1"), 0);
  EXPECT_LT(CompareNaturally("2020-01-31.csv", "2020-02-01.csv"), 0);
  EXPECT_EQ(CompareNaturally("x", "x"), 0);
  EXPECT_LT(CompareNaturally("x", "x1"), 0);
  EXPECT_LT(CompareNaturally("99999999999999999999998", "99999999999999999999999"), 0);
}

TEST(FetchTest, StatesOfOtherKindsAreNone) {
  const MapVariables variables({});
  const SystemClock clock;
  FetchContext context;
  context.variables = &variables;
  context.clock = &clock;
  FetchRequest request;
  odf::FetchUrl url;
  url.url = "data:text/csv,a%0A1";
  request.step = url;
  request.previous = odf::SourceState{"odf/polling", "somebody/elses", "x"};
  request.polled_before = true;
  ASSERT_OK_AND_ASSIGN(const Fetched fetched, Fetch(request, context));
  ASSERT_EQ(fetched.inputs.size(), 1u);
  ASSERT_OK_AND_ASSIGN(const auto state, fetched.inputs[0].state());
  EXPECT_EQ(state->kind, kContentStateKind);
  request.previous = state;
  ASSERT_OK_AND_ASSIGN(const Fetched again, Fetch(request, context));
  EXPECT_TRUE(again.inputs.empty());
  url.url = "DATA:text/csv;Base64,YQox";  // the same content
  request.step = url;
  ASSERT_OK_AND_ASSIGN(const Fetched coded, Fetch(request, context));
  EXPECT_TRUE(coded.inputs.empty());
}

TEST(AddressTest, KnowsPrivateAddresses) {
  for (const char* address :
       {"127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1",
        "::1", "fe80::1", "fd00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "nonsense"}) {
    EXPECT_FALSE(CheckPublicAddress(address).ok()) << address;
  }
  for (const char* address : {"1.1.1.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"})
    EXPECT_TRUE(CheckPublicAddress(address).ok()) << address;
}

TEST(EventTimeTest, ReadsNamesAndDates) {
  odf::EventTimeSource source;
  source.kind = odf::EventTimeSource::Kind::kFromPath;
  source.pattern = "x-(.*)\\.csv";
  EXPECT_EQ(FormatInstant(*PathEventTime(source, "x-2020-05-06.csv")), "2020-05-06T00:00:00Z");
  source.timestamp_format = "%Y-%m-%dT%H:%M:%S%z";
  EXPECT_EQ(FormatInstant(*PathEventTime(source, "x-2020-05-06T01:02:03+0200.csv")), "2020-05-05T23:02:03Z");
  source.timestamp_format = "%Y%m%d %H%M";
  EXPECT_EQ(FormatInstant(*PathEventTime(source, "x-20200506 0708.csv")), "2020-05-06T07:08:00Z");
  for (const auto& [format, name] : {std::pair("yyyyMMdd HHmm", "x-20200506 0708.csv"),
                                     std::pair("yyyy-MM-dd'T'HH:mm:ssXXX", "x-2020-05-06T09:08:00+02:00.csv"),
                                     std::pair("d MMM yy, h.mm a", "x-6 May 20, 7.08 AM.csv")}) {
    source.timestamp_format = format;  // as the specification writes it
    EXPECT_EQ(FormatInstant(*PathEventTime(source, name)), "2020-05-06T07:08:00Z") << format;
  }
  for (const char* format : {"yyyy-MM-dd n", "'yyyy", "-", "", "%H:%M", "HH:mm", "%Y-W%W", "%"}) {
    source.timestamp_format = format;
    EXPECT_FALSE(CheckEventTime(source, true, false).ok()) << format;
  }
  source.timestamp_format = "%Y%m%d %H%M";
  EXPECT_FALSE(PathEventTime(source, "x-2020.csv").ok());
  source.timestamp_format.reset();
  for (const char* day : {"2021-02-29", "2021-04-31", "2020-02-30"})
    EXPECT_FALSE(PathEventTime(source, fmt::format("x-{}.csv", day)).ok()) << day;
  EXPECT_EQ(FormatInstant(*PathEventTime(source, "x-2020-02-29.csv")), "2020-02-29T00:00:00Z");
  source.timestamp_format = "%Y-%j";
  EXPECT_EQ(FormatInstant(*PathEventTime(source, "x-2020-366.csv")), "2020-12-31T00:00:00Z");
  EXPECT_FALSE(PathEventTime(source, "x-2021-366.csv").ok());
  EXPECT_FALSE(PathEventTime(source, "y.csv").ok());
}

TEST(SavepointTest, KeepsTheWholeDownloadAtEveryStepOfItsEnd) {
  const TempFolder folder;
  ASSERT_OK_AND_ASSIGN(const Savepoint savepoint, Savepoint::Open(folder.path()));
  const std::string text = "id\n1\n";
  ContentHash hash;
  hash.Update(text);
  DownloadInfo info;
  info.key = "k";
  info.etag = "\"1\"";
  info.total_bytes = text.size();
  ASSERT_OK(savepoint.SavePart(info));
  std::ofstream(savepoint.part_path()) << text;
  DownloadInfo whole = info;
  whole.hash = hash.Hex();
  // Killed before the part became the body.
  ASSERT_OK(savepoint.SaveBody(whole));
  EXPECT_FALSE(savepoint.LoadBody("k"));
  EXPECT_TRUE(savepoint.LoadPart("k"));
  ASSERT_OK(savepoint.Finish(whole));
  EXPECT_TRUE(savepoint.LoadBody("k"));
  // Killed before what is known of the part was removed.
  ASSERT_OK(savepoint.SavePart(info));
  EXPECT_TRUE(savepoint.LoadBody("k"));
  EXPECT_FALSE(savepoint.LoadPart("k"));
  // Torn.
  std::filesystem::resize_file(savepoint.body_path(), 3);
  EXPECT_FALSE(savepoint.LoadBody("k"));
}

TEST(KeptOutputTest, IsKnownByTheNameOfItsInput) {
  const TempFolder folder;
  const SystemClock clock;
  KeepOptions options;
  options.folder = folder.path();
  options.clock = &clock;
  options.identity = [] { return Result<std::optional<std::string>>("same"); };
  const KeptOutput kept(options, "https://x.example/data", "steps");
  auto made = kept.Keep(read::MakeMemorySource("made", "https://x.example/data"));
  EXPECT_EQ(*ReadHead(*made, 100), "made");
  ASSERT_OK_AND_ASSIGN(const auto loaded, kept.Load());
  ASSERT_NE(loaded, nullptr);
  EXPECT_EQ(loaded->name(), "https://x.example/data");
  EXPECT_EQ(*ReadHead(*loaded, 100), "made");
}

std::string Page(const std::string& text, const odf::ReadStep& step, std::string_view media_type = "") {
  bool is_page = false;
  auto source = RefuseErrorPage(read::MakeMemorySource(text, "x"), step, media_type, &is_page);
  EXPECT_EQ(source.ok(), !is_page);
  if (!source.ok()) return "refused";
  return *ReadHead(**source, 1 << 20);
}

TEST(ErrorPageTest, LeavesDataAlone) {
  odf::ReadStep csv;
  csv.format = odf::ReadFormat::kCsv;
  odf::ReadStep json;
  json.format = odf::ReadFormat::kNdJson;
  const std::string long_text(100000, 'x');
  for (const auto& text : {std::string(), std::string("a,b\n1,2\n"), long_text, std::string("{a},b\n")})
    EXPECT_EQ(Page(text, csv), text);
  for (const auto& text :
       {std::string("{\"error\": 1, \"value\": 2}"), std::string("{\"a\":1}\n{\"error\":2}\n")})
    EXPECT_EQ(Page(text, json), text);
  EXPECT_EQ(Page("<html>", json), "refused");
  for (const char* text :
       {"<h1>502 Bad Gateway</h1>\n", "<!-- down -->\n<p>", "\n<BR>\n", "<center>no</center>"})
    EXPECT_EQ(Page(text, csv), "refused") << text;
  EXPECT_EQ(Page("<TICKER>,<DATE>\nA,1\n", csv, "text/csv"), "<TICKER>,<DATE>\nA,1\n");
  EXPECT_EQ(Page("<font>sorry</font>\n", csv, "text/html; charset=utf-8"), "refused");
  EXPECT_EQ(Page("a,b\n1,2\n", csv, "text/html"), "a,b\n1,2\n");
  EXPECT_EQ(Page("{\"error\": \"no\"}", json), "refused");
  odf::DataSchema schema;
  schema.fields.emplace_back();
  schema.fields.back().name = "error";
  json.schema = schema;
  EXPECT_EQ(Page("{\"error\": \"no\"}", json), "{\"error\": \"no\"}");
}

TEST(ErrorPageTest, KnowsObjectsOfAnySize) {
  odf::ReadStep json;
  json.format = odf::ReadFormat::kNdJson;
  for (const size_t size : {10, 4096, 10'000, 65'536, 300'000}) {
    const std::string text(size, 'x');
    for (const std::string& error :
         {"{\"error\": \"" + text + "\"}", "\n{\"status\": 500, \"message\": \"" + text + "\"}",
          "{\"errors\": [\"" + text + "\"]}", "{\"error\": {\"trace\": [\"" + text + "\"]}}",
          "{\"error\": \"no\", \"details\": \"" + text + "\"}"})
      EXPECT_EQ(Page(error, json), "refused") << error.substr(0, 100) << size;
    for (const std::string& data :
         {"{\"error\": null, \"meta\": \"" + text + "\", \"a\": 1}",
          "{\"a\": 1, \"error\": \"" + text + "\"}", "{\"message\": {\"a\": \"" + text + "\"}, \"b\": 1}"})
      EXPECT_TRUE(Page(data, json) == data) << data.substr(0, 100) << size;
    // Several records, as far as is looked.
    const std::string records = "{\"error\": \"" + text + "\"}\n{\"error\": \"a\"}\n";
    EXPECT_TRUE(size > 65'000 || Page(records, json) == records) << size;
  }
}

TEST(ErrorPageTest, KnowsPagesInPlaceOfBinaryData) {
  for (const auto format : {odf::ReadFormat::kParquet, odf::ReadFormat::kEsriShapefile}) {
    odf::ReadStep step;
    step.format = format;
    EXPECT_EQ(Page("{\"error\":\"quota\"}", step), "refused");
    EXPECT_EQ(Page("PAR1", step), "PAR1");
  }
}

TEST(ErrorPageTest, TakesWhatTheSubPathNames) {
  odf::ReadStep json;
  json.format = odf::ReadFormat::kJson;
  json.sub_path = "message.items";
  for (const std::string& data : {std::string(R"({"status": "ok", "message": {"items": []}})"),
                                  R"({"message": {"items": [")" + std::string(100'000, 'x') + R"("]}})"})
    EXPECT_EQ(Page(data, json), data);
  EXPECT_EQ(Page(R"({"status": "failed", "message": "no such resource"})", json), "refused");
  // The head may end just before the value.
  for (size_t blanks = 65'500; blanks < 65'540; ++blanks) {
    const std::string data = "{\"message\":" + std::string(blanks, ' ') + "{\"items\":[1]}}";
    ASSERT_TRUE(Page(data, json) == data) << blanks;
  }
}

}  // namespace
}  // namespace sluice::fetch
