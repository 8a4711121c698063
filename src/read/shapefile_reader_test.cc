#include "read/shapefile_reader.h"

#include <arrow/record_batch.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/testing/matchers.h"
#include "read/dbf.h"
#include "read/projection.h"
#include "read/shp_geometry.h"
#include "read/testing/make_shapefile.h"
#include "read/testing/read_text.h"

namespace sluice::read {
namespace {

using odf::ReadFormat;
using odf::TypeKind;
using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::MadeShapefile;
using testing::MadeTable;
using testing::MakeShapefile;
using testing::MultiPatchShape;
using testing::NullShape;
using testing::PartsOf;
using testing::PartsShape;
using testing::Points;
using testing::PointShape;
using testing::PointZShape;
using testing::ReadOutcome;
using testing::Step;

Result<ReadOutcome> ReadMade(const MadeShapefile& made,
                             const odf::ReadStep& step = Step(ReadFormat::kEsriShapefile),
                             ReadOptions options = {}) {
  ASSIGN_OR_RETURN(auto declared, StaticSchema(step));
  ASSIGN_OR_RETURN(auto reader, OpenShapefileParts(step, std::move(declared), PartsOf(made), options));
  return testing::Drain(*reader);
}

MadeTable NamedTable(const std::vector<std::string>& names) {
  MadeTable table{{{"name", 'C', 12}}, {}, {}, 0};
  for (const std::string& name : names) table.rows.push_back({name});
  return table;
}

std::string GeometryOf(const std::string& content) {
  ShpGeometryWriter writer;
  std::string out;
  const auto outcome = writer.Append(content, &out);
  if (outcome == ShpGeometryWriter::Outcome::kNull) return "null";
  return outcome == ShpGeometryWriter::Outcome::kBad ? writer.reason() : out;
}

const Points kSquare = {{0, 0}, {0, 10}, {10, 10}, {10, 0}, {0, 0}};  // clockwise
const Points kHole = {{2, 2}, {4, 2}, {4, 4}, {2, 4}, {2, 2}};        // counter-clockwise
const Points kFar = {{20, 0}, {20, 10}, {30, 10}, {30, 0}, {20, 0}};  // clockwise
const Points kFarHole = {{22, 2}, {24, 2}, {24, 4}, {22, 4}, {22, 2}};

TEST(ShpGeometryTest, WritesEveryKindOfShape) {
  EXPECT_EQ(GeometryOf(NullShape()), "null");
  EXPECT_EQ(GeometryOf(PointShape(-123.25, 49)), R"({"coordinates":[-123.25,49.0],"type":"Point"})");
  EXPECT_EQ(GeometryOf(PointZShape(1, 2, 3.5)), R"({"coordinates":[1.0,2.0,3.5],"type":"Point"})");
  EXPECT_EQ(GeometryOf(PartsShape(8, {{{1, 2}, {3, 4}}})),
            R"({"coordinates":[[1.0,2.0],[3.0,4.0]],"type":"MultiPoint"})");
  EXPECT_EQ(GeometryOf(PartsShape(18, {{{1, 2}, {3, 4}}}, 7)),
            R"({"coordinates":[[1.0,2.0,7.0],[3.0,4.0,8.0]],"type":"MultiPoint"})");
  EXPECT_EQ(GeometryOf(PartsShape(3, {{{0, 0}, {1, 1}}})),
            R"({"coordinates":[[[0.0,0.0],[1.0,1.0]]],"type":"MultiLineString"})");
  EXPECT_EQ(
      GeometryOf(PartsShape(13, {{{0, 0}, {1, 1}}, {{5, 5}, {6, 6}}}, 1)),
      R"({"coordinates":[[[0.0,0.0,1.0],[1.0,1.0,2.0]],[[5.0,5.0,3.0],[6.0,6.0,4.0]]],"type":"MultiLineString"})");
  EXPECT_EQ(
      GeometryOf(PartsShape(5, {kSquare})),
      R"({"coordinates":[[[[0.0,0.0],[0.0,10.0],[10.0,10.0],[10.0,0.0],[0.0,0.0]]]],"type":"MultiPolygon"})");
  EXPECT_EQ(GeometryOf(PartsShape(5, {})), R"({"coordinates":[],"type":"MultiPolygon"})");
}

TEST(ShpGeometryTest, GivesHolesToTheRingAroundThem) {
  // The hole of the first square comes last.
  const std::string text = GeometryOf(PartsShape(5, {kSquare, kFar, kFarHole, kHole}));
  EXPECT_THAT(text, HasSubstr("[0.0,0.0]],[[2.0,2.0]"));
  EXPECT_THAT(text, HasSubstr("[20.0,0.0]],[[22.0,2.0]"));
  // A hole in front of its ring.
  EXPECT_THAT(GeometryOf(PartsShape(5, {kHole, kSquare})), HasSubstr("[0.0,0.0]],[[2.0,2.0]"));
  // Only rings that run the wrong way round: outer ones.
  EXPECT_EQ(
      GeometryOf(PartsShape(5, {kHole})),
      R"({"coordinates":[[[[2.0,2.0],[4.0,2.0],[4.0,4.0],[2.0,4.0],[2.0,2.0]]]],"type":"MultiPolygon"})");
}

TEST(ShpGeometryTest, ClosesRings) {
  EXPECT_EQ(GeometryOf(PartsShape(5, {{{0, 0}, {0, 1}, {1, 0}}})),
            R"({"coordinates":[[[[0.0,0.0],[0.0,1.0],[1.0,0.0],[0.0,0.0]]]],"type":"MultiPolygon"})");
}

TEST(ShpGeometryTest, TurnsPatchesIntoPolygons) {
  EXPECT_EQ(GeometryOf(MultiPatchShape({0}, {{{0, 0}, {0, 1}, {1, 0}, {1, 1}}})),
            R"({"coordinates":[[[[0.0,0.0,0.0],[0.0,1.0,1.0],[1.0,0.0,2.0],[0.0,0.0,0.0]]],)"
            R"([[[0.0,1.0,1.0],[1.0,0.0,2.0],[1.0,1.0,3.0],[0.0,1.0,1.0]]]],"type":"MultiPolygon"})");
  EXPECT_THAT(GeometryOf(MultiPatchShape({2, 3}, {kSquare, kHole})),
              HasSubstr("[0.0,0.0,4.0]],[[2.0,2.0,5.0]"));
}

TEST(ShpGeometryTest, SaysWhatIsWrong) {
  EXPECT_THAT(GeometryOf("ab"), HasSubstr("too short"));
  EXPECT_THAT(GeometryOf(PointShape(1, 2).substr(0, 12)), HasSubstr("too short"));
  EXPECT_THAT(GeometryOf(PointShape(NAN, 2)), HasSubstr("finite"));
  std::string shape = PartsShape(5, {kSquare, kHole});
  EXPECT_THAT(GeometryOf(shape.substr(0, shape.size() - 8)), HasSubstr("too short"));
  shape[44] = 9;  // the first part begins behind the second
  EXPECT_THAT(GeometryOf(shape), HasSubstr("too short"));
  std::string counted = PartsShape(5, {kSquare});
  std::memset(counted.data() + 36, 0xff, 4);
  EXPECT_THAT(GeometryOf(counted), HasSubstr("too short"));
  EXPECT_THAT(GeometryOf(std::string("\x07\0\0\0", 4)), HasSubstr("unknown"));
}

TEST(ShpGeometryTest, WritesNumbersInFewestDigits) {
  const auto text = [](double value) {
    std::string out;
    AppendJsonDouble(value, &out);
    return out;
  };
  EXPECT_EQ(text(0), "0.0");
  EXPECT_EQ(text(-0.0), "-0.0");
  EXPECT_EQ(text(0.1), "0.1");
  EXPECT_EQ(text(-123.12345678901234), "-123.12345678901234");
  EXPECT_EQ(text(1e15), "1000000000000000.0");
  EXPECT_EQ(text(1.5e16), "1.5e16");
  EXPECT_EQ(text(0.00012), "0.00012");
  EXPECT_EQ(text(0.00001234), "0.00001234");
  EXPECT_EQ(text(1.25e-7), "1.25e-7");
  for (const double value : {5e-324, 1.7976931348623157e308, 3.141592653589793, 1e22, 123456.789e-9})
    EXPECT_EQ(std::strtod(text(value).c_str(), nullptr), value);
}

TEST(ShapefileReaderTest, GuessesColumnsInAlphabeticalOrder) {
  MadeTable table;
  table.fields = {{"name", 'C', 8}, {"POP", 'N', 8}, {"area", 'F', 19}, {"open", 'L', 1}, {"built", 'D', 8}};
  table.rows = {{"Ab", "      12", "1.250000000000e+003", "T", "20200131"},
                {"  x y ", "", "*******************", "?", ""},
                {"", "1.5", "0.5", "n", "19991201"}};
  ASSERT_OK_AND_ASSIGN(ReadOutcome out,
                       ReadMade(MakeShapefile(1, {PointShape(1, 2), NullShape(), PointShape(3, 4)}, table)));
  EXPECT_EQ(out.schema, "POP double, area double, built string, geometry string, name string, open bool");
  EXPECT_THAT(out.rows, ElementsAre(R"(12|1250|2020-1-31|{"coordinates":[1.0,2.0],"type":"Point"}|Ab|true)",
                                    "·|·|·|·|x y|·",
                                    R"(1.5|0.5|1999-12-1|{"coordinates":[3.0,4.0],"type":"Point"}|·|false)"));
  EXPECT_THAT(out.rejects, IsEmpty());
}

TEST(ShapefileReaderTest, BindsADeclaredSchemaByName) {
  MadeTable table;
  table.fields = {{"id", 'N', 8}, {"when", 'D', 8}, {"code", 'N', 6}, {"rest", 'C', 4}};
  table.rows = {{"7.000", "20200131", "0042", "x"}};
  auto step = Step(ReadFormat::kEsriShapefile,
                   {Field("when", TypeKind::kDate), Field("id", TypeKind::kInt64, false),
                    Field("code", TypeKind::kString), Field("absent", TypeKind::kString)});
  const auto made = MakeShapefile(1, {PointShape(1, 2)}, table);
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadMade(made, step));
  EXPECT_EQ(out.schema, "when date32[day], id int64!, code string, absent string");
  EXPECT_THAT(out.rows, ElementsAre("2020-01-31|7|0042|·"));
  step = Step(ReadFormat::kEsriShapefile, {Field("nosuch", TypeKind::kString, false)});
  EXPECT_THAT(ReadMade(made, step),
              IsError(ErrorCode::kInvalidArgument, AllOf(HasSubstr("no field 'nosuch'"), HasSubstr("when"))));
  ReadOptions strict;
  strict.strict_columns = true;
  step = Step(ReadFormat::kEsriShapefile, {Field("id", TypeKind::kInt64)});
  EXPECT_THAT(ReadMade(made, step, strict), IsError(ErrorCode::kInvalidArgument, HasSubstr("field 'when'")));
}

TEST(ShapefileReaderTest, RefusesSingleRecords) {
  MadeTable table;
  table.fields = {{"id", 'N', 4}, {"day", 'D', 8}};
  table.rows = {{"1", "20200230"}, {"x1", "20200131"}, {"3", "20200131"}, {"4", "20200131"}};
  ASSERT_OK_AND_ASSIGN(
      ReadOutcome out,
      ReadMade(MakeShapefile(
          1, {PointShape(0, 0), PointShape(0, 0), PointShape(INFINITY, 0), PointShape(0, 0)}, table)));
  EXPECT_THAT(out.rows, ElementsAre(R"(2020-1-31|{"coordinates":[0.0,0.0],"type":"Point"}|4)"));
  ASSERT_EQ(out.rejects.size(), 3u);
  EXPECT_EQ(out.rejects[0].record, 1);
  EXPECT_EQ(out.rejects[0].column, "day");
  EXPECT_EQ(out.rejects[0].value, "20200230");
  EXPECT_EQ(out.rejects[1].column, "id");
  EXPECT_EQ(out.rejects[1].value, "x1");
  EXPECT_EQ(out.rejects[2].column, "geometry");
  EXPECT_THAT(out.rejects[2].reason, HasSubstr("finite"));
}

TEST(ShapefileReaderTest, LeavesDeletedRecordsOut) {
  MadeTable table = NamedTable({"a", "b", "c"});
  table.deleted = {1};
  ASSERT_OK_AND_ASSIGN(
      ReadOutcome out,
      ReadMade(MakeShapefile(1, {PointShape(1, 1), PointShape(2, 2), PointShape(3, 3)}, table),
               Step(ReadFormat::kEsriShapefile, {Field("name", TypeKind::kString)})));
  EXPECT_THAT(out.rows, ElementsAre("a", "c"));
}

TEST(ShapefileReaderTest, DecodesTexts) {
  const auto step = Step(ReadFormat::kEsriShapefile, {Field("name", TypeKind::kString)});
  MadeShapefile made = MakeShapefile(1, {PointShape(0, 0)},
                                     NamedTable({"Montr\xe9"
                                                 "al"}));
  made.cpg = "ISO-8859-1\n";
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadMade(made, step));
  EXPECT_THAT(out.rows, ElementsAre("Montréal"));
  // Nobody tells: UTF-8 where it is that, else what Windows wrote.
  made.cpg.clear();
  ASSERT_OK_AND_ASSIGN(out, ReadMade(made, step));
  EXPECT_THAT(out.rows, ElementsAre("Montréal"));
  MadeTable table = NamedTable({"Montréal"});
  ASSERT_OK_AND_ASSIGN(out, ReadMade(MakeShapefile(1, {PointShape(0, 0)}, table), step));
  EXPECT_THAT(out.rows, ElementsAre("Montréal"));
  // The table's own mark: code page 866.
  table = NamedTable({"\x8c\xae\xe1\xaa\xa2\xa0"});
  table.mark = 0x65;
  ASSERT_OK_AND_ASSIGN(out, ReadMade(MakeShapefile(1, {PointShape(0, 0)}, table), step));
  EXPECT_THAT(out.rows, ElementsAre("Москва"));
  // Told wrongly.
  made.cpg = "UTF-8";
  ASSERT_OK_AND_ASSIGN(out, ReadMade(made, step));
  ASSERT_EQ(out.rejects.size(), 1u);
  EXPECT_THAT(out.rejects[0].reason, AllOf(HasSubstr("not valid UTF-8"), HasSubstr(".cpg")));
  made.cpg = "klingon";
  EXPECT_THAT(ReadMade(made, step), IsError(ErrorCode::kUnsupported, HasSubstr("klingon")));
}

TEST(ShapefileReaderTest, KnowsNamesOfCharacterSets) {
  EXPECT_EQ(EncodingOfCpg("UTF-8").value(), "UTF-8");
  EXPECT_EQ(EncodingOfCpg("65001").value(), "UTF-8");
  EXPECT_EQ(EncodingOfCpg(" 1252\r\n").value(), "CP1252");
  EXPECT_EQ(EncodingOfCpg("ANSI 1251").value(), "CP1251");
  EXPECT_EQ(EncodingOfCpg("OEM 850").value(), "CP850");
  EXPECT_EQ(EncodingOfCpg("ISO 88591").value(), "ISO-8859-1");
  EXPECT_EQ(EncodingOfCpg("ISO8859-2").value(), "ISO8859-2");
  EXPECT_EQ(EncodingOfCpg("8859_1").value(), "ISO-8859-1");
  EXPECT_EQ(EncodingOfCpg("cp936").value(), "CP936");
  EXPECT_EQ(EncodingOfCpg("Big5").value(), "BIG5");
  EXPECT_EQ(EncodingOfCpg("LDID/87").value(), "CP1252");
}

TEST(ShapefileReaderTest, ReadsBinaryFields) {
  MadeTable table;
  table.fields = {{"i", 'I', 4}, {"d", 'B', 8}, {"y", 'Y', 8}, {"t", 'T', 8}, {"m", 'M', 10}};
  const auto bytes = [](auto value) {
    return std::string(reinterpret_cast<const char*>(&value), sizeof value);
  };
  table.rows = {
      {bytes(int32_t{-7}), bytes(2.5), bytes(int64_t{-12345}),
       bytes(int32_t{2458880}) + bytes(int32_t{3723004}), ""},
      {bytes(int32_t{0}), bytes(double{NAN}), bytes(int64_t{5}), std::string(8, '\0'), "       12"}};
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadMade(MakeShapefile(1, {NullShape(), NullShape()}, table)));
  EXPECT_EQ(out.schema, "d double, geometry string, i int64, m string, t string, y double");
  EXPECT_THAT(out.rows, ElementsAre("2.5|·|-7|·|2020-1-31 1:2:3|-1.2345"));
  ASSERT_EQ(out.rejects.size(), 1u);
  EXPECT_THAT(out.rejects[0].reason, HasSubstr("memo"));
}

TEST(ShapefileReaderTest, FollowsTheIndex) {
  MadeShapefile made = MakeShapefile(1, {PointShape(1, 1), PointShape(2, 2)}, NamedTable({"a", "b"}));
  // What an editor leaves: the first shape was moved to the end.
  made.shp += made.shp.substr(100, 28);
  made.shp[27] = static_cast<char>(made.shp.size() / 2);
  made.shx[103] = static_cast<char>((100 + 28 + 28) / 2);
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, ReadMade(made));
  EXPECT_THAT(out.rows, ElementsAre(R"({"coordinates":[1.0,1.0],"type":"Point"}|a)",
                                    R"({"coordinates":[2.0,2.0],"type":"Point"}|b)"));
  made.shx[103] = static_cast<char>(120 / 2);
  EXPECT_THAT(ReadMade(made),
              IsError(ErrorCode::kInvalidArgument, AllOf(HasSubstr("a.shx"), HasSubstr("record 1"))));
}

TEST(ShapefileReaderTest, NamesThePartThatIsDamaged) {
  const MadeShapefile good = MakeShapefile(1, {PointShape(1, 1), PointShape(2, 2)}, NamedTable({"a", "b"}));
  const auto refused = [&](auto damage, const std::string& what) {
    MadeShapefile made = good;
    damage(&made);
    EXPECT_THAT(ReadMade(made), IsError(ErrorCode::kInvalidArgument, HasSubstr(what))) << what;
  };
  refused([](auto* m) { m->shp.resize(120); }, "'a.shp' is cut off: its head says 156 bytes and it has 120");
  refused([](auto* m) { m->shp.resize(40); }, "'a.shp' is cut off within its head");
  refused([](auto* m) { m->shp[0] = 'x'; }, "'a.shp' is not part of a shapefile");
  refused([](auto* m) { m->dbf.resize(m->dbf.size() - 5); },
          "'a.dbf' is cut off: it says 2 records of 13 bytes and holds 1");
  refused([](auto* m) { m->dbf.resize(20); }, "'a.dbf' is cut off within its head");
  refused([](auto* m) { m->dbf[4] = 1; }, "'a.shp' has 2 shapes and 'a.dbf' has 1 records");
  refused([](auto* m) { m->dbf[4] = 1, m->shx.clear(); },
          "'a.shp' has at least 2 shapes and 'a.dbf' has 1 records");
  refused([](auto* m) { m->dbf[0] = 'P'; }, "'a.dbf' is not a dBASE table");
  refused([](auto* m) { m->dbf[10] = 5; }, "field 'name' of 'a.dbf' ends behind its record of 5 bytes");
  refused([](auto* m) { m->shx.resize(106); }, "'a.shx' is cut off");
  refused([](auto* m) { m->shx.clear(), m->shp[27] = 70; }, "'a.shp' is cut off within record 2");
}

TEST(ShapefileReaderTest, GivesTheSameInPiecesAndThreads) {
  std::vector<std::string> shapes, names;
  for (int i = 0; i < 40000; ++i) {
    shapes.push_back(i % 7 == 0 ? NullShape() : PartsShape(3, {{{i + 0.5, 1}, {2, i / 3.0}}}));
    names.push_back("n" + std::to_string(i));
  }
  MadeShapefile made = MakeShapefile(3, shapes, NamedTable(names));
  ASSERT_OK_AND_ASSIGN(const ReadOutcome whole, ReadMade(made));
  ASSERT_EQ(whole.rows.size(), shapes.size());
  ReadOptions options;
  options.threads = 4;
  options.batch_rows = 997;
  ASSERT_OK_AND_ASSIGN(ReadOutcome pieces, ReadMade(made, Step(ReadFormat::kEsriShapefile), options));
  EXPECT_EQ(pieces.rows, whole.rows);
  made.shx.clear();
  ASSERT_OK_AND_ASSIGN(pieces, ReadMade(made, Step(ReadFormat::kEsriShapefile), options));
  EXPECT_EQ(pieces.rows, whole.rows);
}

class ShapefileFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) / "sluice-shapefile-test";
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string Write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return (folder_ / name).string();
  }
  Result<std::unique_ptr<Reader>> Open(const std::string& path,
                                       odf::ReadStep step = Step(ReadFormat::kEsriShapefile)) {
    ASSIGN_OR_RETURN(auto source, OpenFileSource(path));
    return OpenReader(step, std::move(source), {});
  }

  std::filesystem::path folder_;
};

TEST_F(ShapefileFilesTest, FindsTheFilesBesideTheShapes) {
  const MadeShapefile made = MakeShapefile(1, {PointShape(1, 1)},
                                           NamedTable({"Z\xfc"
                                                       "rich"}));
  const std::string path = Write("roads.shp", made.shp);
  EXPECT_THAT(Open(path), IsError(ErrorCode::kInvalidArgument, HasSubstr("there is no 'roads.dbf'")));
  Write("roads.DBF", made.dbf);
  Write("roads.cpg", "1252");
  Write("roads.prj", "GEOGCS[\"WGS 84\"]");
  ASSERT_OK_AND_ASSIGN(auto reader, Open(path));
  EXPECT_EQ(reader->projection(), "GEOGCS[\"WGS 84\"]");
  ASSERT_OK_AND_ASSIGN(ReadOutcome out, testing::Drain(*reader));
  EXPECT_THAT(out.rows, ElementsAre(R"({"coordinates":[1.0,1.0],"type":"Point"}|Zürich)"));
}

}  // namespace
TEST(ShapefileReaderTest, DescribesProjections) {
  EXPECT_THAT(DescribeProjection("PROJCS[\"NAD83 / UTM zone 10N\",GEOGCS[\"NAD83\"]]"),
              HasSubstr("'NAD83 / UTM zone 10N'"));
  for (const char* none : {"", "PROJCS", "PROJCS[\"open", "GEOGCS[\"GCS_WGS_1984\",DATUM[\"D_WGS_1984\"]]"})
    EXPECT_EQ(DescribeProjection(none), "") << none;
}

}  // namespace sluice::read
