#include "read/sniff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/testing/matchers.h"
#include "odf/yaml.h"
#include "read/testing/make_shapefile.h"
#include "read/testing/read_text.h"

namespace sluice::read {
namespace {

using odf::ReadFormat;
using odf::TypeKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SniffTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) / "sluice-sniff-test";
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return (folder_ / name).string();
  }
  Result<Sniffed> Sniff(const std::string& name, const std::string& bytes) {
    return SniffFile(Write(name, bytes), {});
  }

  static std::string Types(const Sniffed& sniffed) {
    std::string out;
    for (const SniffedColumn& column : sniffed.columns)
      out += (out.empty() ? "" : ", ") + column.name + " " + column.type + (column.required ? "!" : "");
    return out;
  }
  // The draft is a manifest, and its read step takes the file.
  void ExpectUsable(const Sniffed& sniffed, const std::string& path, size_t rows) {
    ASSERT_OK_AND_ASSIGN(const std::string text,
                         DraftManifest(sniffed, {"test.data", "https://example.com/x?a=b&c=%20#d", path}));
    auto manifests = odf::ParseManifests(text, "draft");
    ASSERT_OK(manifests) << text;
    ASSERT_EQ(manifests->size(), 1u);
    const auto& source =
        std::get<odf::SetPollingSource>(std::get<odf::DatasetSnapshot>(manifests->at(0)).metadata.at(0));
    if (sniffed.prepare) return;
    ASSERT_OK_AND_ASSIGN(auto file, OpenFileSource(path));
    ASSERT_OK_AND_ASSIGN(auto out, testing::ReadSource(source.read, std::move(file)));
    EXPECT_EQ(out.rows.size(), rows) << text;
    EXPECT_THAT(out.rejects, IsEmpty()) << text;
  }

  std::filesystem::path folder_;
};

TEST_F(SniffTest, FindsSeparatorHeaderTypesKeyAndTime) {
  const std::string text =
      "id;city;reported;population\n1;A;2020-01-01;10\n2;B;2020-01-02;\n3;A;2020-01-02;2.5\n";
  ASSERT_OK_AND_ASSIGN(const Sniffed out, Sniff("cities.csv", text));
  EXPECT_EQ(out.step.format, ReadFormat::kCsv);
  EXPECT_EQ(out.step.separator, ";");
  EXPECT_EQ(out.step.header, true);
  EXPECT_EQ(Types(out), "id Int64!, city String!, reported Date!, population Float64");
  EXPECT_EQ(out.event_time, "reported");
  EXPECT_THAT(out.primary_key, ElementsAre("id"));
  EXPECT_TRUE(out.complete);
  EXPECT_EQ(out.records, 3);
  ExpectUsable(out, (folder_ / "cities.csv").string(), 3);
}

TEST_F(SniffTest, TakesKeysOfTwoColumns) {
  ASSERT_OK_AND_ASSIGN(const Sniffed out, Sniff("a.csv",
                                                "event_time,sensor,value\n2020-01-01T00:00:00Z,a,1.5\n"
                                                "2020-01-01T00:00:00Z,b,1.5\n2020-01-02T00:00:00Z,a,1.5\n"));
  EXPECT_EQ(out.event_time, "event_time");
  EXPECT_THAT(out.primary_key, ElementsAre("event_time", "sensor"));
}

TEST_F(SniffTest, KeepsWhatOnlyLooksLikeNumbers) {
  ASSERT_OK_AND_ASSIGN(const Sniffed out, Sniff("zip.tsv", "zip\tname\n01234\tA \"b\n02345\tC\n"));
  EXPECT_EQ(out.step.separator, "\t");
  EXPECT_EQ(Types(out), "zip String!, name String!");
  ExpectUsable(out, (folder_ / "zip.tsv").string(), 2);
}

TEST_F(SniffTest, WidensTypesThatLaterValuesDoNotFit) {
  std::string text = "id,n,m\n";
  for (int i = 0; i < 3000; ++i) text += fmt::format("{},{},{}\n", i, i, i);
  text += "3000,1.5,n/a\n";
  ASSERT_OK_AND_ASSIGN(const Sniffed out, Sniff("late.csv", text));
  EXPECT_EQ(Types(out), "id Int64!, n Float64!, m String!");
  ExpectUsable(out, (folder_ / "late.csv").string(), 3001);
}

TEST_F(SniffTest, NamesColumnsWithoutHeader) {
  ASSERT_OK_AND_ASSIGN(const Sniffed out, Sniff("a.csv", "1,x\n2,y\n"));
  EXPECT_EQ(out.step.header, std::nullopt);
  EXPECT_EQ(Types(out), "column_1 Int64!, column_2 String!");
}

TEST_F(SniffTest, ReadsDatesOfOnePattern) {
  ASSERT_OK_AND_ASSIGN(Sniffed out,
                       Sniff("a.csv", "id,when\n1,01/31/2020 01:02:03 PM\n2,02/28/2020 11:02:03 AM\n"));
  EXPECT_EQ(out.step.timestamp_format, "%m/%d/%Y %I:%M:%S %p");
  EXPECT_EQ(out.event_time, "when");
  ExpectUsable(out, (folder_ / "a.csv").string(), 2);
  // Day or month first: nobody can tell.
  ASSERT_OK_AND_ASSIGN(out, Sniff("b.csv", "id,when\n1,01/02/2020\n2,03/04/2020\n"));
  EXPECT_EQ(Types(out), "id Int64!, when String!");
  EXPECT_THAT(out.notes, ElementsAre(HasSubstr("column 'when' could be dates of '%d/%m/%Y' or '%m/%d/%Y'")));
}

TEST_F(SniffTest, RecognisesJsonOfEachShape) {
  ASSERT_OK_AND_ASSIGN(Sniffed out, Sniff("a.json", R"([{"id":1,"at":"2020-01-01"},{"id":2,"at":null}])"));
  EXPECT_EQ(out.step.format, ReadFormat::kJson);
  EXPECT_EQ(Types(out), "at String, id Int64!");
  ExpectUsable(out, (folder_ / "a.json").string(), 2);
  ASSERT_OK_AND_ASSIGN(
      out, Sniff("b.json", R"({"status":"1","query":{"result":[{"hash":"0x1"},{"hash":"0x2"}]}})"));
  EXPECT_EQ(out.step.format, ReadFormat::kJson);
  EXPECT_EQ(out.step.sub_path, "query.result");
  EXPECT_THAT(out.primary_key, ElementsAre("hash"));
  ExpectUsable(out, (folder_ / "b.json").string(), 2);
  ASSERT_OK_AND_ASSIGN(out, Sniff("c", "{\"a\":1}\n{\"a\":2}\n"));
  EXPECT_EQ(out.step.format, ReadFormat::kNdJson);
  ExpectUsable(out, (folder_ / "c").string(), 2);
  const std::string feature =
      R"({"type":"Feature","properties":{"n":1},"geometry":{"type":"Point","coordinates":[1,2]}})";
  ASSERT_OK_AND_ASSIGN(out, Sniff("d", R"({"type":"FeatureCollection","features":[)" + feature + "]}"));
  EXPECT_EQ(out.step.format, ReadFormat::kGeoJson);
  ExpectUsable(out, (folder_ / "d").string(), 1);
  ASSERT_OK_AND_ASSIGN(out, Sniff("e", feature + "\n" + feature + "\n"));
  EXPECT_EQ(out.step.format, ReadFormat::kNdGeoJson);
  ExpectUsable(out, (folder_ / "e").string(), 2);
}

TEST_F(SniffTest, LeavesMixedJsonToTheDefaults) {
  ASSERT_OK_AND_ASSIGN(const Sniffed out, Sniff("a.json", "{\"a\":1}\n{\"a\":\"x\"}\n"));
  EXPECT_EQ(out.step.schema, std::nullopt);
  EXPECT_THAT(out.notes, ElementsAre(HasSubstr("'a' has values of several kinds")));
  ExpectUsable(out, (folder_ / "a.json").string(), 2);
}

TEST_F(SniffTest, LeavesSystemNamesToTheDefaults) {
  ASSERT_OK_AND_ASSIGN(const Sniffed out, Sniff("a.csv", "offset,op\n7,x\n8,y\n"));
  EXPECT_EQ(out.step.schema, std::nullopt);
  EXPECT_EQ(out.step.infer_schema, true);
  ExpectUsable(out, (folder_ / "a.csv").string(), 2);
}

TEST_F(SniffTest, GuessesCharacterSets) {
  ASSERT_OK_AND_ASSIGN(Sniffed out, Sniff("a.csv", "city,n\nZ\xfcrich,1\n"));
  EXPECT_EQ(out.step.encoding, "windows-1252");
  EXPECT_EQ(out.columns[0].example, "Zürich");
  ASSERT_OK_AND_ASSIGN(out, Sniff("b.csv", std::string("\xff\xfe", 2) + std::string("a\0,\0b\0\n\0"
                                                                                    "1\0,\0"
                                                                                    "2\0\n\0",
                                                                                    16)));
  EXPECT_EQ(out.step.encoding, "utf-16");
  ExpectUsable(out, (folder_ / "b.csv").string(), 1);
}

TEST_F(SniffTest, TakesShapefiles) {
  testing::MadeTable table{{{"NAME", 'C', 8}}, {{"a"}, {"b"}}, {}, 0};
  const auto made = testing::MakeShapefile(1, {testing::PointShape(1, 1), testing::PointShape(2, 2)}, table);
  Write("a.dbf", made.dbf);
  Write("a.prj", "PROJCS[\"NAD83 / UTM zone 10N\",GEOGCS[\"NAD83\"]]");
  ASSERT_OK_AND_ASSIGN(const Sniffed out, Sniff("a.shp", made.shp));
  EXPECT_EQ(out.step.format, ReadFormat::kEsriShapefile);
  EXPECT_EQ(Types(out), "NAME String!, geometry String!");
  EXPECT_THAT(out.notes, ElementsAre(HasSubstr("coordinates are in 'NAD83 / UTM zone 10N'; ST_Transform")));
  EXPECT_THAT(out.primary_key, ElementsAre("NAME"));
  ExpectUsable(out, (folder_ / "a.shp").string(), 2);
}

TEST_F(SniffTest, RefusesWhatIsNoData) {
  EXPECT_THAT(Sniff("a.csv", "<!DOCTYPE html>\n<html>"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("<!DOCTYPE html>")));
  EXPECT_THAT(Sniff("a.csv", ""), IsError(ErrorCode::kInvalidArgument, HasSubstr("is empty")));
  EXPECT_THAT(Sniff("a.bin", std::string("\x7f"
                                         "ELF\0\0\0\1",
                                         8)),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("neither text")));
  EXPECT_THAT(Sniff("a.json", "{\"a\": [1, 2"), IsErrorCode(ErrorCode::kInvalidArgument));
}

TEST_F(SniffTest, DraftsPushSources) {
  ASSERT_OK_AND_ASSIGN(const Sniffed out, Sniff("a.csv", "id,no\n1,\"x: y\"\n2,#\n"));
  ASSERT_OK_AND_ASSIGN(const std::string text, DraftManifest(out, {"no", "", "a.csv"}));
  auto manifests = odf::ParseManifests(text, "draft");
  ASSERT_OK(manifests) << text;
  const auto& source =
      std::get<odf::AddPushSource>(std::get<odf::DatasetSnapshot>(manifests->at(0)).metadata.at(0));
  EXPECT_EQ(source.read.schema->fields[1].name, "no");
  EXPECT_EQ(source.merge.kind, odf::MergeKind::kSnapshot);
}

}  // namespace
}  // namespace sluice::read
