#include "sql/geometry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/testing/matchers.h"
#include "sql/projection.h"

namespace sluice::sql {
namespace {

using ::testing::HasSubstr;

std::string FromWkt(std::string_view wkt) {
  auto geometry = GeometryFromWkt(wkt);
  return geometry.ok() ? GeometryText(*geometry) : geometry.error().message();
}

TEST(GeometryTest, TakesGeometriesOnly) {
  const auto parse = [](std::string_view text) {
    auto geometry = ParseGeometry(text);
    return geometry.ok() ? GeometryText(*geometry) : std::string("refused");
  };
  EXPECT_EQ(parse(R"({"type":"Point","coordinates":[1,2.5]})"), R"({"coordinates":[1,2.5],"type":"Point"})");
  EXPECT_EQ(parse(R"({"type":"Feature","properties":{},"geometry":{"type":"Point","coordinates":[1,2]}})"),
            R"({"coordinates":[1,2],"type":"Point"})");
  EXPECT_EQ(parse(R"({"type":"Point","coordinates":[1,2],"crs":{"a":[[[]]]}})"),
            R"({"coordinates":[1,2],"type":"Point"})");
  EXPECT_EQ(
      parse(R"({"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[1,2],"x":1}]})"),
      R"({"geometries":[{"coordinates":[1,2],"type":"Point"}],"type":"GeometryCollection"})");
  EXPECT_EQ(parse(R"({"type":"MultiPolygon","coordinates":[]})"),
            R"({"coordinates":[],"type":"MultiPolygon"})");
  for (const char* wrong :
       {"", "null", "7", "{}", R"({"type":"Point"})", R"({"type":"Point","coordinates":[1]})",
        R"({"type":"Point","coordinates":["1","2"]})", R"({"type":"LineString","coordinates":[1,2]})",
        R"({"type":"Circle","coordinates":[1,2]})", R"({"type":"Feature","geometry":null})"}) {
    EXPECT_EQ(parse(wrong), "refused") << wrong;
  }
  // Deep nonsense ends neither the stack nor the program.
  std::string deep = R"({"type":"Point","coordinates":[1,2],"x":)" + std::string(100000, '[') +
                     std::string(100000, ']') + "}";
  EXPECT_EQ(parse(deep), R"({"coordinates":[1,2],"type":"Point"})");
  std::string nested =
      R"({"type":"Polygon","coordinates":)" + std::string(100000, '[') + std::string(100000, ']') + "}";
  EXPECT_EQ(parse(nested), "refused");
}

TEST(GeometryTest, ReadsAndWritesWellKnownText) {
  for (
      const auto& [wkt, text] : std::vector<std::pair<std::string, std::string>>{
          {"POINT (1 2.5)", R"({"coordinates":[1.0,2.5],"type":"Point"})"},
          {"POINT Z (1 2 3)", R"({"coordinates":[1.0,2.0,3.0],"type":"Point"})"},
          {"LINESTRING (0 0, 1 2)", R"({"coordinates":[[0.0,0.0],[1.0,2.0]],"type":"LineString"})"},
          {"MULTIPOINT (1 2, 3 4)", R"({"coordinates":[[1.0,2.0],[3.0,4.0]],"type":"MultiPoint"})"},
          {"POLYGON ((0 0, 1 0, 1 1, 0 0), (2 2, 3 2, 3 3, 2 2))",
           R"({"coordinates":[[[0.0,0.0],[1.0,0.0],[1.0,1.0],[0.0,0.0]],[[2.0,2.0],[3.0,2.0],[3.0,3.0],[2.0,2.0]]],"type":"Polygon"})"},
          {"MULTIPOLYGON EMPTY", R"({"coordinates":[],"type":"MultiPolygon"})"},
          {"GEOMETRYCOLLECTION (POINT (1 2), LINESTRING (0 0, -1.5 1e+20))",
           R"({"geometries":[{"coordinates":[1.0,2.0],"type":"Point"},{"coordinates":[[0.0,0.0],[-1.5,1e+20]],"type":"LineString"}],"type":"GeometryCollection"})"}}) {
    EXPECT_EQ(FromWkt(wkt), text);
    ASSERT_OK_AND_ASSIGN(const auto geometry, ParseGeometry(text));
    EXPECT_EQ(WktOf(geometry), wkt);
  }
  EXPECT_EQ(FromWkt("SRID=4326;point(1 2)"), R"({"coordinates":[1.0,2.0],"type":"Point"})");
  EXPECT_EQ(FromWkt("MultiPoint ((1 2), (3 4))"),
            R"({"coordinates":[[1.0,2.0],[3.0,4.0]],"type":"MultiPoint"})");
  EXPECT_EQ(FromWkt("POINTZ(1 2 3)"), R"({"coordinates":[1.0,2.0,3.0],"type":"Point"})");
  EXPECT_THAT(FromWkt("POINT (1)"), HasSubstr("two or three numbers at character 9"));
  EXPECT_THAT(FromWkt("POINT M (1 2 3)"), HasSubstr("without measures"));
  EXPECT_THAT(FromWkt("CIRCLE (1 2)"), HasSubstr("a kind of geometry"));
  EXPECT_THAT(FromWkt("POINT (1 2) x"), HasSubstr("the end"));
  EXPECT_THAT(FromWkt(""), HasSubstr("a kind of geometry"));
  EXPECT_THAT(FromWkt("SRID="), HasSubstr("a kind of geometry"));
}

TEST(GeometryTest, TransformsEveryPosition) {
  TransformerPool pool;
  ASSERT_OK_AND_ASSIGN(
      auto line,
      ParseGeometry(R"({"type":"LineString","coordinates":[[491000,5459000,7],[491100,5459000]]})"));
  ASSERT_OK_AND_ASSIGN(const auto moved, TransformGeometry(line, "epsg:26910", "EPSG:4326", &pool));
  // Vancouver: longitude first.
  EXPECT_NEAR(moved["coordinates"][0][0].get<double>(), -123.123752, 1e-6);
  EXPECT_NEAR(moved["coordinates"][0][1].get<double>(), 49.283686, 1e-6);
  EXPECT_EQ(moved["coordinates"][0][2], 7);
  ASSERT_OK_AND_ASSIGN(const auto back, TransformGeometry(moved, "EPSG:4326", "epsg:26910", &pool));
  EXPECT_NEAR(back["coordinates"][1][0].get<double>(), 491100, 1e-6);
  EXPECT_NEAR(back["coordinates"][1][1].get<double>(), 5459000, 1e-6);
}

TEST(GeometryTest, RefusesWhatIsNoSystem) {
  TransformerPool pool;
  ASSERT_OK_AND_ASSIGN(const auto point, ParseGeometry(R"({"type":"Point","coordinates":[0,91]})"));
  const auto transform = [&](std::string_view from, std::string_view to) {
    return TransformGeometry(point, from, to, &pool);
  };
  EXPECT_THAT(transform("epsg:999999", "epsg:4326"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("EPSG:999999")));
  EXPECT_THAT(transform("epsg:4326", "+proj=utm +nadgrids=/etc/passwd"),
              IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_THAT(transform("file:/etc/passwd", "epsg:4326"), IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_THAT(transform("epsg:4326", "epsg:3857"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("no counterpart")));
}

}  // namespace
}  // namespace sluice::sql
