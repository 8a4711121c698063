#pragma once

#include <array>
#include <string>
#include <vector>

#include "read/shapefile_reader.h"

// Shapefiles made byte by byte, so that tests can also make damaged ones.
namespace sluice::read::testing {

using Points = std::vector<std::array<double, 2>>;

// Contents of records, the type first.
std::string NullShape();
std::string PointShape(double x, double y);
std::string PointZShape(double x, double y, double z);
// `type`: 3 lines, 5 polygon, 13 and 15 with z (each point's is `z` plus its number), 8 and 18 points.
std::string PartsShape(uint32_t type, const std::vector<Points>& parts, double z = 0);
std::string MultiPatchShape(const std::vector<uint32_t>& types, const std::vector<Points>& parts);

struct MadeField {
  std::string name;
  char type = 'C';
  int length = 10;
};
// Values fill their fields, padded with blanks on the right.
struct MadeTable {
  std::vector<MadeField> fields;
  std::vector<std::vector<std::string>> rows;
  std::vector<size_t> deleted;
  uint8_t mark = 0;  // of the character set
};

struct MadeShapefile {
  std::string shp, shx, dbf, cpg, prj;
};
MadeShapefile MakeShapefile(uint32_t type, const std::vector<std::string>& shapes, const MadeTable& table);
// As the reader takes it; without an index when `shx` is empty.
ShapefileParts PartsOf(const MadeShapefile& made);

}  // namespace sluice::read::testing
