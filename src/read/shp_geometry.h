#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Shapes of an ESRI shapefile as GeoJSON text (odf-ingest.md 1.8, 1.9): `{"coordinates":[...],"type":"..."}`,
// compact, keys sorted, every number with a point or an exponent. Points become Point, lines always
// MultiLineString, polygons and multipatches always MultiPolygon, so that a column holds one kind; vertices
// keep the file's order. A third coordinate is kept, measures are not: GeoJSON has no place for them.
namespace sluice::read {

// Appends `value`, which must be finite, as JSON: the fewest digits that read back as the same double.
void AppendJsonDouble(double value, std::string* out);

// Confined to one thread.
class ShpGeometryWriter {
 public:
  enum class Outcome : uint8_t { kGeometry, kNull, kBad };

  // `content` is a record's content, its type first. Appends to `out` unless the outcome is another one.
  Outcome Append(std::string_view content, std::string* out);
  // Why the last one was kBad; static text.
  const char* reason() const { return reason_; }

 private:
  struct Ring {
    size_t begin = 0, end = 0;  // points
    bool outer = true;
    double area = 0;  // without a sign
    double left = 0, bottom = 0, right = 0, top = 0;
    std::vector<size_t> holes;  // rings
  };

  Outcome Bad(const char* reason);
  bool ReadParts(std::string_view content, bool patches);
  bool ReadZ(std::string_view content, size_t offset);
  bool AllFinite() const;
  void SplitPatches(std::string_view content);
  void AddRing(size_t begin, size_t end, bool outer);
  void FindRings();
  void GiveHoles();
  void Measure(Ring* ring) const;
  bool IsAround(const Ring& ring, const Ring& hole) const;
  size_t OwnerOf(const Ring& hole, bool search) const;

  void AppendPoint(size_t i, std::string* out) const;
  void AppendRun(size_t begin, size_t end, bool close, std::string* out) const;
  Outcome AppendPointShape(std::string_view content, bool z, std::string* out);
  Outcome AppendMultiPoint(std::string_view content, bool z, std::string* out);
  Outcome AppendLines(std::string_view content, bool z, std::string* out);
  Outcome AppendPolygons(std::string_view content, bool z, bool patches, std::string* out);

  const char* reason_ = "";
  std::string_view points_;                // x, y pairs
  std::string_view zs_;                    // empty = none
  std::string copied_points_, copied_zs_;  // of multipatches, whose triangles repeat points
  std::vector<uint32_t> parts_;            // first point of each, then the number of points
  size_t after_points_ = 0;
  std::vector<Ring> rings_;
};

}  // namespace sluice::read
