#include "sql/geometry.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "sql/names.h"
#include "sql/projection.h"
#include "sql/scalar_functions.h"

namespace sluice::sql {
namespace {

using nlohmann::json;

constexpr int kMaxCollections = 16;  // inside each other

struct Kind {
  std::string_view name;
  std::string_view wkt;
  int depth;  // of the arrays in `coordinates`
};
constexpr std::array kKinds = {
    Kind{"Point", "POINT", 1},
    Kind{"LineString", "LINESTRING", 2},
    Kind{"MultiPoint", "MULTIPOINT", 2},
    Kind{"Polygon", "POLYGON", 3},
    Kind{"MultiLineString", "MULTILINESTRING", 3},
    Kind{"MultiPolygon", "MULTIPOLYGON", 4},
};
constexpr std::string_view kCollection = "GeometryCollection";
constexpr std::string_view kWktCollection = "GEOMETRYCOLLECTION";

std::string Shown(std::string_view text) {
  constexpr size_t kMost = 60;
  if (text.size() <= kMost) return std::string(text);
  size_t end = kMost;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "...";
}

const Kind* FindKind(std::string_view name) {
  const auto found =
      std::find_if(kKinds.begin(), kKinds.end(), [&](const Kind& kind) { return kind.name == name; });
  return found == kKinds.end() ? nullptr : found;
}

bool IsPosition(const json& value) {
  return value.is_array() && value.size() >= 2 &&
         std::all_of(value.begin(), value.end(), [](const json& number) { return number.is_number(); });
}

bool HasDepth(const json& value, int depth) {
  if (depth == 1) return IsPosition(value);
  return value.is_array() &&
         std::all_of(value.begin(), value.end(), [&](const json& part) { return HasDepth(part, depth - 1); });
}

bool IsGeometry(const json& value, int collections) {
  if (!value.is_object() || !value.contains("type") || !value["type"].is_string()) return false;
  const auto& type = value["type"].get_ref<const std::string&>();
  if (type == kCollection) {
    return collections < kMaxCollections && value.contains("geometries") && value["geometries"].is_array() &&
           std::all_of(
               value["geometries"].begin(), value["geometries"].end(),
               [&](const json& part) { return IsGeometry(part, collections + 1); });
  }
  const Kind* kind = FindKind(type);
  if (kind == nullptr || !value.contains("coordinates")) return false;
  const json& coordinates = value["coordinates"];
  if (coordinates.is_array() && coordinates.empty()) return true;
  return HasDepth(coordinates, kind->depth);
}

// Without members that are not geometry's own, which could be nested as deeply as they like.
json Bare(json&& geometry) {
  if (geometry["type"] != kCollection)
    return {{"type", std::move(geometry["type"])}, {"coordinates", std::move(geometry["coordinates"])}};
  json parts = json::array();
  for (json& part : geometry["geometries"]) parts.push_back(Bare(std::move(part)));
  return {{"type", kCollection}, {"geometries", std::move(parts)}};
}

// Calls `visit` for every position of a checked geometry.
void VisitPositions(json& value, const std::function<void(json&)>& visit) {
  if (value.is_object()) {
    for (const char* key : {"coordinates", "geometries"}) {
      if (value.contains(key)) VisitPositions(value[key], visit);
    }
  } else if (value.is_array() && !value.empty() && value[0].is_number()) {
    visit(value);
  } else if (value.is_array()) {
    for (json& part : value) VisitPositions(part, visit);
  }
}

json MakeGeometry(std::string_view type, json coordinates) {
  return {{"type", type}, {"coordinates", std::move(coordinates)}};
}

// --- well-known text

class WktReader {
 public:
  explicit WktReader(std::string_view text) : text_(text) {}

  Result<json> Read() {
    // EWKT's `SRID=4326;` in front says what we do not keep.
    if (text_.size() > 5 && Upper(text_.substr(0, 5)) == "SRID=")
      at_ = std::min(text_.find(';'), text_.size() - 1) + 1;
    ASSIGN_OR_RETURN(json geometry, Geometry(0));
    SkipSpace();
    if (at_ < text_.size()) return Wrong("the end");
    return geometry;
  }

 private:
  static std::string Upper(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return out;
  }
  void SkipSpace() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  bool Take(char c) {
    SkipSpace();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string Word() {
    SkipSpace();
    const size_t begin = at_;
    while (at_ < text_.size() && std::isalpha(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
    return Upper(text_.substr(begin, at_ - begin));
  }
  Error Wrong(std::string_view expected) const {
    return InvalidArgument("expected {} at character {} of the well-known text '{}'", expected, at_ + 1,
                           Shown(text_));
  }

  Result<json> Geometry(int collections) {
    std::string word = Word();
    bool measured = false;
    if (word.ends_with("ZM")) measured = true, word.resize(word.size() - 2);
    const bool collection = word == kWktCollection;
    const auto kind = std::find_if(kKinds.begin(), kKinds.end(), [&](const Kind& k) {
      return k.wkt == word || fmt::format("{}Z", k.wkt) == word || fmt::format("{}M", k.wkt) == word;
    });
    if (!collection && kind == kKinds.end()) return Wrong("a kind of geometry");
    if (!collection && word.size() == kind->wkt.size() + 1 && word.back() == 'M') measured = true;
    const size_t before = at_;
    const std::string mark = Word();
    bool empty = mark == "EMPTY";
    if (mark == "M" || mark == "ZM") measured = true;
    if (mark == "Z" || mark == "M" || mark == "ZM") {
      const size_t behind = at_;
      empty = Word() == "EMPTY";
      if (!empty) at_ = behind;
    } else if (!empty) {
      at_ = before;
    }
    // Measures have no place in GeoJSON.
    if (measured) return Wrong("a geometry without measures");
    if (collection) return Collection(empty, collections);
    if (empty) return MakeGeometry(kind->name, json::array());
    ASSIGN_OR_RETURN(json coordinates, Coordinates(kind->depth, kind->name == "MultiPoint"));
    return MakeGeometry(kind->name, std::move(coordinates));
  }

  Result<json> Collection(bool empty, int collections) {
    json parts = json::array();
    if (!empty) {
      if (collections >= kMaxCollections) return Wrong("fewer collections inside each other");
      if (!Take('(')) return Wrong("'('");
      do {
        ASSIGN_OR_RETURN(json part, Geometry(collections + 1));
        parts.push_back(std::move(part));
      } while (Take(','));
      if (!Take(')')) return Wrong("')'");
    }
    return json{{"type", kCollection}, {"geometries", std::move(parts)}};
  }

  Result<json> Coordinates(int depth, bool points) {
    if (!Take('(')) return Wrong("'('");
    json list = json::array();
    if (depth == 1) {
      ASSIGN_OR_RETURN(list, Position());
    } else {
      do {
        // Points of a MULTIPOINT come with parentheses of their own or without.
        const bool bracket = points && Take('(');
        Result<json> part = depth == 2 ? Position() : Coordinates(depth - 1, false);
        if (!part.ok()) return part;
        if (bracket && !Take(')')) return Wrong("')'");
        list.push_back(std::move(part).value());
      } while (Take(','));
    }
    if (!Take(')')) return Wrong("')'");
    return list;
  }

  Result<json> Position() {
    json position = json::array();
    for (;;) {
      SkipSpace();
      double number = 0;
      const char* begin = text_.data() + at_;
      const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), number);
      if (error != std::errc() || !std::isfinite(number)) break;
      at_ += static_cast<size_t>(end - begin);
      position.push_back(number);
    }
    if (position.size() < 2 || position.size() > 3) return Wrong("two or three numbers");
    return position;
  }

  std::string_view text_;
  size_t at_ = 0;
};

void AppendPosition(const json& position, std::string* out) {
  for (size_t i = 0; i < position.size() && i < 3; ++i) {
    if (i > 0) *out += ' ';
    *out += fmt::format("{}", position[i].get<double>());
  }
}

void AppendNested(const json& value, int depth, std::string* out) {
  *out += '(';
  if (depth == 1) {
    AppendPosition(value, out);
  } else {
    for (size_t i = 0; i < value.size(); ++i) {
      if (i > 0) *out += ", ";
      if (depth == 2) {
        AppendPosition(value[i], out);
      } else {
        AppendNested(value[i], depth - 1, out);
      }
    }
  }
  *out += ')';
}

bool HasZ(const json& geometry) {
  bool z = false;
  json copy = geometry;
  VisitPositions(copy, [&](json& position) { z = z || position.size() > 2; });
  return z;
}

void AppendWkt(const json& geometry, std::string* out) {
  const auto& type = geometry["type"].get_ref<const std::string&>();
  if (type == kCollection) {
    *out += kWktCollection;
    const json& parts = geometry["geometries"];
    if (parts.empty()) {
      *out += " EMPTY";
      return;
    }
    *out += " (";
    for (size_t i = 0; i < parts.size(); ++i) {
      if (i > 0) *out += ", ";
      AppendWkt(parts[i], out);
    }
    *out += ')';
    return;
  }
  const Kind& kind = *FindKind(type);
  *out += kind.wkt;
  if (HasZ(geometry)) *out += " Z";
  *out += ' ';
  const json& coordinates = geometry["coordinates"];
  if (coordinates.empty()) {
    *out += "EMPTY";
  } else {
    AppendNested(coordinates, kind.depth, out);
  }
}

}  // namespace

Result<json> ParseGeometry(std::string_view text) {
  json value = json::parse(text, nullptr, false);
  if (value.is_object() && value.contains("type") && value["type"] == "Feature" &&
      value.contains("geometry")) {
    json geometry = std::move(value["geometry"]);
    value = std::move(geometry);
  }
  if (value.is_discarded() || !IsGeometry(value, 0))
    return InvalidArgument("'{}' is no GeoJSON geometry", Shown(text));
  return Bare(std::move(value));
}

std::string GeometryText(const json& geometry) { return geometry.dump(); }

Result<json> GeometryFromWkt(std::string_view wkt) { return WktReader(wkt).Read(); }

std::string WktOf(const json& geometry) {
  std::string out;
  AppendWkt(geometry, &out);
  return out;
}

Result<json> TransformGeometry(json geometry, std::string_view from, std::string_view to,
                               TransformerPool* pool) {
  std::vector<json*> positions;
  std::vector<double> xs, ys;
  VisitPositions(geometry, [&](json& position) {
    positions.push_back(&position);
    xs.push_back(position[0].get<double>());
    ys.push_back(position[1].get<double>());
  });
  ASSIGN_OR_RETURN(auto transformer, pool->Take(from, to));
  transformer->Apply(xs, ys);
  pool->Give(from, to, std::move(transformer));
  for (size_t i = 0; i < positions.size(); ++i) {
    json& position = *positions[i];
    if (!std::isfinite(xs[i]) || !std::isfinite(ys[i])) {
      return InvalidArgument("the position {} of '{}' has no counterpart in '{}'", position.dump(), from, to);
    }
    position[0] = xs[i];
    position[1] = ys[i];
  }
  return geometry;
}

json FlipGeometry(json geometry) {
  VisitPositions(geometry, [](json& position) { std::swap(position[0], position[1]); });
  return geometry;
}

namespace {

using Given = Result<std::optional<CellValue>>;

Given Text(std::string text) { return std::optional<CellValue>(CellValue{std::move(text), 0}); }

// x (0) or y (1) of a point.
Given Coordinate(std::span<const Cell> cells, size_t index) {
  ASSIGN_OR_RETURN(const json geometry, ParseGeometry(cells[0].text));
  if (geometry["type"] != "Point") return InvalidArgument("'{}' is no point", Shown(cells[0].text));
  if (geometry["coordinates"].empty()) return std::optional<CellValue>();
  return std::optional<CellValue>(CellValue{{}, geometry["coordinates"][index].get<double>()});
}

}  // namespace

Status RegisterGeometryFunctions(duckdb_connection connection) {
  using enum CellType;
  auto pool = std::make_shared<TransformerPool>();
  const auto add = [&](const char* name, std::vector<CellType> parameters, CellType result, auto run) {
    return RegisterScalar(connection,
                          {std::string(kMacroPrefix) + name, std::move(parameters), result, false, run});
  };
  RETURN_IF_ERROR(add("st_geomfromgeojson", {kText}, kText, [](std::span<const Cell> cells) -> Given {
    ASSIGN_OR_RETURN(const json geometry, ParseGeometry(cells[0].text));
    return Text(GeometryText(geometry));
  }));
  RETURN_IF_ERROR(add("st_geomfromtext", {kText}, kText, [](std::span<const Cell> cells) -> Given {
    ASSIGN_OR_RETURN(const json geometry, GeometryFromWkt(cells[0].text));
    return Text(GeometryText(geometry));
  }));
  RETURN_IF_ERROR(add("st_astext", {kText}, kText, [](std::span<const Cell> cells) -> Given {
    ASSIGN_OR_RETURN(const json geometry, ParseGeometry(cells[0].text));
    return Text(WktOf(geometry));
  }));
  RETURN_IF_ERROR(add("st_geometrytype", {kText}, kText, [](std::span<const Cell> cells) -> Given {
    ASSIGN_OR_RETURN(const json geometry, ParseGeometry(cells[0].text));
    return Text("ST_" + geometry["type"].get<std::string>());
  }));
  RETURN_IF_ERROR(add("st_flipcoordinates", {kText}, kText, [](std::span<const Cell> cells) -> Given {
    ASSIGN_OR_RETURN(json geometry, ParseGeometry(cells[0].text));
    return Text(GeometryText(FlipGeometry(std::move(geometry))));
  }));
  RETURN_IF_ERROR(
      add("st_transform", {kText, kText, kText}, kText, [pool](std::span<const Cell> cells) -> Given {
        ASSIGN_OR_RETURN(json geometry, ParseGeometry(cells[0].text));
        ASSIGN_OR_RETURN(geometry,
                         TransformGeometry(std::move(geometry), cells[1].text, cells[2].text, pool.get()));
        return Text(GeometryText(geometry));
      }));
  RETURN_IF_ERROR(add("st_point", {kDouble, kDouble}, kText, [](std::span<const Cell> cells) -> Given {
    if (!std::isfinite(cells[0].number) || !std::isfinite(cells[1].number))
      return InvalidArgument("({}, {}) is no point", cells[0].number, cells[1].number);
    return Text(GeometryText(MakeGeometry("Point", json::array({cells[0].number, cells[1].number}))));
  }));
  RETURN_IF_ERROR(add("st_x", {kText}, kDouble,
                      [](std::span<const Cell> cells) -> Given { return Coordinate(cells, 0); }));
  return add("st_y", {kText}, kDouble,
             [](std::span<const Cell> cells) -> Given { return Coordinate(cells, 1); });
}

}  // namespace sluice::sql
