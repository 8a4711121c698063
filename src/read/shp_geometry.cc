#include "read/shp_geometry.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

namespace sluice::read {
namespace {

static_assert(std::endian::native == std::endian::little, "shapes are read where they lie");

enum Shape : uint32_t {
  kNullShape = 0,
  kPoint = 1,
  kPolyLine = 3,
  kPolygon = 5,
  kMultiPoint = 8,
  kPointZ = 11,
  kPolyLineZ = 13,
  kPolygonZ = 15,
  kMultiPointZ = 18,
  kPointM = 21,
  kPolyLineM = 23,
  kPolygonM = 25,
  kMultiPointM = 28,
  kMultiPatch = 31,
};

enum PatchPart : uint32_t {
  kTriangleStrip = 0,
  kTriangleFan = 1,
  kOuterRing = 2,
  kInnerRing = 3,
  kFirstRing = 4,
  kPlainRing = 5,
};

constexpr size_t kTypeBytes = 4;
constexpr size_t kBoxBytes = 32;
constexpr size_t kRangeBytes = 16;
constexpr size_t kPointBytes = 16;
constexpr const char* kTooShort = "the shape's record is too short for what it says";
constexpr const char* kNotFinite = "a coordinate is not a finite number";

template <class T>
T At(std::string_view bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

double XOf(std::string_view points, size_t i) { return At<double>(points, i * kPointBytes); }
double YOf(std::string_view points, size_t i) { return At<double>(points, i * kPointBytes + 8); }

// Twice the signed area; negative for clockwise rings.
double AreaOf(std::string_view points, size_t begin, size_t end) {
  const double x0 = XOf(points, begin), y0 = YOf(points, begin);
  double area = 0;
  for (size_t i = begin + 1; i + 1 < end; ++i) {
    area +=
        (XOf(points, i) - x0) * (YOf(points, i + 1) - y0) - (XOf(points, i + 1) - x0) * (YOf(points, i) - y0);
  }
  return area;
}

bool IsInside(std::string_view points, size_t begin, size_t end, double x, double y) {
  bool inside = false;
  for (size_t i = begin, j = end - 1; i < end; j = i++) {
    const double xi = XOf(points, i), yi = YOf(points, i), xj = XOf(points, j), yj = YOf(points, j);
    if ((yi > y) != (yj > y) && x < (xj - xi) * (y - yi) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

}  // namespace

void AppendJsonDouble(double value, std::string* out) {
  // Shortest digits and exponent first, then laid out as JSON writers commonly do.
  char buffer[40];
  const auto [end, error] =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  const char* p = buffer;
  if (*p == '-') {
    *out += '-';
    ++p;
  }
  const char* e = static_cast<const char*>(std::memchr(p, 'e', static_cast<size_t>(end - p)));
  int exponent = 0;
  std::from_chars(e + (e[1] == '+' ? 2 : 1), end, exponent);
  char digits[24];
  int count = 0;
  digits[count++] = *p;
  for (const char* q = p + 2; q < e; ++q) digits[count++] = *q;
  const int point = exponent + 1;  // digits in front of the point
  if (value == 0) {
    *out += "0.0";
  } else if (point > 16 || point < -4) {
    out->append(digits, 1);
    if (count > 1) out->append(".").append(digits + 1, static_cast<size_t>(count - 1));
    *out += 'e';
    *out += std::to_string(exponent);
  } else if (point <= 0) {
    out->append("0.").append(static_cast<size_t>(-point), '0').append(digits, static_cast<size_t>(count));
  } else if (count <= point) {
    out->append(digits, static_cast<size_t>(count))
        .append(static_cast<size_t>(point - count), '0')
        .append(".0");
  } else {
    out->append(digits, static_cast<size_t>(point)).append(".");
    out->append(digits + point, static_cast<size_t>(count - point));
  }
}

ShpGeometryWriter::Outcome ShpGeometryWriter::Bad(const char* reason) {
  reason_ = reason;
  return Outcome::kBad;
}

ShpGeometryWriter::Outcome ShpGeometryWriter::Append(std::string_view content, std::string* out) {
  if (content.size() < kTypeBytes) return Bad(kTooShort);
  points_ = zs_ = {};
  switch (At<uint32_t>(content, 0)) {
    case kNullShape:
      return Outcome::kNull;
    case kPoint:
    case kPointM:
      return AppendPointShape(content, false, out);
    case kPointZ:
      return AppendPointShape(content, true, out);
    case kMultiPoint:
    case kMultiPointM:
      return AppendMultiPoint(content, false, out);
    case kMultiPointZ:
      return AppendMultiPoint(content, true, out);
    case kPolyLine:
    case kPolyLineM:
      return AppendLines(content, false, out);
    case kPolyLineZ:
      return AppendLines(content, true, out);
    case kPolygon:
    case kPolygonM:
      return AppendPolygons(content, false, false, out);
    case kPolygonZ:
      return AppendPolygons(content, true, false, out);
    case kMultiPatch:
      return AppendPolygons(content, true, true, out);
    default:
      return Bad("the shape's type is unknown");
  }
}

void ShpGeometryWriter::AppendPoint(size_t i, std::string* out) const {
  *out += '[';
  AppendJsonDouble(XOf(points_, i), out);
  *out += ',';
  AppendJsonDouble(YOf(points_, i), out);
  if (!zs_.empty()) {
    *out += ',';
    AppendJsonDouble(At<double>(zs_, i * 8), out);
  }
  *out += ']';
}

void ShpGeometryWriter::AppendRun(size_t begin, size_t end, bool close, std::string* out) const {
  *out += '[';
  for (size_t i = begin; i < end; ++i) {
    if (i > begin) *out += ',';
    AppendPoint(i, out);
  }
  if (close && end - begin > 1 &&
      (XOf(points_, begin) != XOf(points_, end - 1) || YOf(points_, begin) != YOf(points_, end - 1))) {
    *out += ',';
    AppendPoint(begin, out);
  }
  *out += ']';
}

bool ShpGeometryWriter::AllFinite() const {
  for (const std::string_view numbers : {points_, zs_}) {
    for (size_t at = 0; at < numbers.size(); at += 8) {
      if (!std::isfinite(At<double>(numbers, at))) return false;
    }
  }
  return true;
}

ShpGeometryWriter::Outcome ShpGeometryWriter::AppendPointShape(std::string_view content, bool z,
                                                               std::string* out) {
  if (content.size() < kTypeBytes + kPointBytes + (z ? 8 : 0)) return Bad(kTooShort);
  points_ = content.substr(kTypeBytes, kPointBytes);
  if (z) zs_ = content.substr(kTypeBytes + kPointBytes, 8);
  if (!AllFinite()) return Bad(kNotFinite);
  *out += "{\"coordinates\":";
  AppendPoint(0, out);
  *out += ",\"type\":\"Point\"}";
  return Outcome::kGeometry;
}

bool ShpGeometryWriter::ReadZ(std::string_view content, size_t offset) {
  const size_t bytes = points_.size() / 2;
  if (content.size() < offset + kRangeBytes + bytes) return false;
  zs_ = content.substr(offset + kRangeBytes, bytes);
  return true;
}

ShpGeometryWriter::Outcome ShpGeometryWriter::AppendMultiPoint(std::string_view content, bool z,
                                                               std::string* out) {
  constexpr size_t kCountAt = kTypeBytes + kBoxBytes;
  if (content.size() < kCountAt + 4) return Bad(kTooShort);
  const size_t count = At<uint32_t>(content, kCountAt);
  if ((content.size() - kCountAt - 4) / kPointBytes < count) return Bad(kTooShort);
  points_ = content.substr(kCountAt + 4, count * kPointBytes);
  if (z && !ReadZ(content, kCountAt + 4 + points_.size())) return Bad(kTooShort);
  if (!AllFinite()) return Bad(kNotFinite);
  *out += "{\"coordinates\":";
  AppendRun(0, count, false, out);
  *out += ",\"type\":\"MultiPoint\"}";
  return Outcome::kGeometry;
}

bool ShpGeometryWriter::ReadParts(std::string_view content, bool patches) {
  constexpr size_t kCountsAt = kTypeBytes + kBoxBytes;
  if (content.size() < kCountsAt + 8) return false;
  const size_t parts = At<uint32_t>(content, kCountsAt);
  const size_t points = At<uint32_t>(content, kCountsAt + 4);
  const size_t rest = content.size() - kCountsAt - 8;
  const size_t bytes_a_part = patches ? 8 : 4;
  if (parts > rest / bytes_a_part || points > (rest - parts * bytes_a_part) / kPointBytes) return false;
  parts_.resize(parts + 1);
  std::memcpy(parts_.data(), content.data() + kCountsAt + 8, parts * 4);
  parts_[parts] = static_cast<uint32_t>(points);
  if (!std::is_sorted(parts_.begin(), parts_.end())) return false;
  const size_t begin = kCountsAt + 8 + parts * bytes_a_part;
  points_ = content.substr(begin, points * kPointBytes);
  after_points_ = begin + points_.size();
  return true;
}

ShpGeometryWriter::Outcome ShpGeometryWriter::AppendLines(std::string_view content, bool z,
                                                          std::string* out) {
  if (!ReadParts(content, false)) return Bad(kTooShort);
  if (z && !ReadZ(content, after_points_)) return Bad(kTooShort);
  if (!AllFinite()) return Bad(kNotFinite);
  *out += "{\"coordinates\":[";
  bool first = true;
  for (size_t i = 0; i + 1 < parts_.size(); ++i) {
    if (parts_[i] == parts_[i + 1]) continue;
    if (!first) *out += ',';
    first = false;
    AppendRun(parts_[i], parts_[i + 1], false, out);
  }
  *out += "],\"type\":\"MultiLineString\"}";
  return Outcome::kGeometry;
}

// Rings of a polygon: clockwise ones are outer.
void ShpGeometryWriter::FindRings() {
  rings_.clear();
  for (size_t i = 0; i + 1 < parts_.size(); ++i) {
    if (parts_[i] == parts_[i + 1]) continue;
    const double area = AreaOf(points_, parts_[i], parts_[i + 1]);
    AddRing(parts_[i], parts_[i + 1], area <= 0);
    rings_.back().area = std::abs(area);
  }
  // A hole in nothing is a ring that runs the wrong way round.
  if (std::none_of(rings_.begin(), rings_.end(), [](const Ring& ring) { return ring.outer; })) {
    for (Ring& ring : rings_) ring.outer = true;
  }
  GiveHoles();
}

void ShpGeometryWriter::Measure(Ring* ring) const {
  ring->left = ring->right = XOf(points_, ring->begin);
  ring->bottom = ring->top = YOf(points_, ring->begin);
  for (size_t i = ring->begin; i < ring->end; ++i) {
    const double x = XOf(points_, i), y = YOf(points_, i);
    ring->left = std::min(ring->left, x);
    ring->right = std::max(ring->right, x);
    ring->bottom = std::min(ring->bottom, y);
    ring->top = std::max(ring->top, y);
  }
}

bool ShpGeometryWriter::IsAround(const Ring& ring, const Ring& hole) const {
  if (hole.left < ring.left || hole.right > ring.right || hole.bottom < ring.bottom || hole.top > ring.top)
    return false;
  // A vertex may lie on the ring around it: most of a few decide.
  int inside = 0, asked = 0;
  for (size_t k = hole.begin; k < hole.end && asked < 3; ++k, ++asked)
    inside += IsInside(points_, ring.begin, ring.end, XOf(points_, k), YOf(points_, k)) ? 1 : 0;
  return inside * 2 > asked;
}

// The smallest outer ring around a hole; where there is none, the last one before it.
size_t ShpGeometryWriter::OwnerOf(const Ring& hole, bool search) const {
  size_t owner = rings_.size(), before = rings_.size();
  for (size_t i = 0; i < rings_.size(); ++i) {
    const Ring& ring = rings_[i];
    if (!ring.outer) continue;
    if (ring.begin < hole.begin || before == rings_.size()) before = i;
    const bool smaller = owner == rings_.size() || ring.area < rings_[owner].area;
    if (search && smaller && IsAround(ring, hole)) owner = i;
  }
  return owner == rings_.size() ? before : owner;
}

void ShpGeometryWriter::GiveHoles() {
  // More pairs than any real shape has would take hours.
  constexpr size_t kMostPairs = 100'000'000;
  const auto outers = static_cast<size_t>(
      std::count_if(rings_.begin(), rings_.end(), [](const Ring& ring) { return ring.outer; }));
  const size_t inners = rings_.size() - outers;
  if (inners == 0) return;
  const bool search = outers > 1 && inners <= kMostPairs / outers;
  for (Ring& ring : rings_) {
    if (search) Measure(&ring);
  }
  size_t last_outer = rings_.size();
  for (size_t i = 0; i < rings_.size(); ++i) {
    if (rings_[i].outer) {
      last_outer = i;
    } else if (search || last_outer == rings_.size()) {
      rings_[OwnerOf(rings_[i], search)].holes.push_back(i);
    } else {
      rings_[last_outer].holes.push_back(i);
    }
  }
}

void ShpGeometryWriter::AddRing(size_t begin, size_t end, bool outer) {
  Ring ring;
  ring.begin = begin;
  ring.end = end;
  ring.outer = outer;
  rings_.push_back(std::move(ring));
}

// Parts of a multipatch as rings; triangles become rings of their own, with points repeated.
void ShpGeometryWriter::SplitPatches(std::string_view content) {
  const size_t types_at = kTypeBytes + kBoxBytes + 8 + (parts_.size() - 1) * 4;
  rings_.clear();
  copied_points_.clear();
  copied_zs_.clear();
  const auto copy = [this](size_t i) {
    copied_points_ += points_.substr(i * kPointBytes, kPointBytes);
    copied_zs_ += zs_.substr(i * 8, 8);
  };
  size_t outer = 0;
  for (size_t part = 0; part + 1 < parts_.size(); ++part) {
    const size_t begin = parts_[part], end = parts_[part + 1];
    const auto type = At<uint32_t>(content, types_at + part * 4);
    if (begin == end) continue;
    if (type == kTriangleStrip || type == kTriangleFan) {
      for (size_t i = begin; i + 2 < end; ++i) {
        const size_t at = copied_points_.size() / kPointBytes;
        const size_t first = type == kTriangleFan ? begin : i;
        for (const size_t vertex : {first, i + 1, i + 2, first}) copy(vertex);
        AddRing(at, at + 4, true);
      }
      continue;
    }
    const size_t at = copied_points_.size() / kPointBytes;
    for (size_t i = begin; i < end; ++i) copy(i);
    const bool hole = (type == kInnerRing || type == kPlainRing) && outer < rings_.size();
    if (hole) {
      rings_[outer].holes.push_back(rings_.size());
    } else {
      outer = rings_.size();
    }
    AddRing(at, at + end - begin, !hole);
  }
  points_ = copied_points_;
  zs_ = copied_zs_;
}

ShpGeometryWriter::Outcome ShpGeometryWriter::AppendPolygons(std::string_view content, bool z, bool patches,
                                                             std::string* out) {
  if (!ReadParts(content, patches)) return Bad(kTooShort);
  if (z && !ReadZ(content, after_points_)) return Bad(kTooShort);
  if (!AllFinite()) return Bad(kNotFinite);
  if (patches) {
    SplitPatches(content);
  } else {
    FindRings();
  }
  *out += "{\"coordinates\":[";
  bool first = true;
  for (const Ring& ring : rings_) {
    if (!ring.outer) continue;
    if (!first) *out += ',';
    first = false;
    *out += '[';
    AppendRun(ring.begin, ring.end, true, out);
    for (const size_t hole : ring.holes) {
      *out += ',';
      AppendRun(rings_[hole].begin, rings_[hole].end, true, out);
    }
    *out += ']';
  }
  *out += "],\"type\":\"MultiPolygon\"}";
  return Outcome::kGeometry;
}

}  // namespace sluice::read
