#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

// Geometries in queries are GeoJSON text, as the readers give them and as they are stored. Pure functions.
namespace sluice::sql {

class TransformerPool;

// A checked geometry object: its type known, its coordinates numbers nested as the type wants. Of a feature
// its geometry. Errors: kInvalidArgument quoting the start of the text.
Result<nlohmann::json> ParseGeometry(std::string_view text);

// Compact, keys sorted.
std::string GeometryText(const nlohmann::json& geometry);

// Well-known text; a third coordinate is kept. Errors: kInvalidArgument with the place.
Result<nlohmann::json> GeometryFromWkt(std::string_view wkt);
std::string WktOf(const nlohmann::json& geometry);

// Every position into another coordinate system; further coordinates stay. Errors: kInvalidArgument for
// unknown systems and for positions that have no counterpart.
Result<nlohmann::json> TransformGeometry(nlohmann::json geometry, std::string_view from, std::string_view to,
                                         TransformerPool* pool);
// x and y changed over.
nlohmann::json FlipGeometry(nlohmann::json geometry);

}  // namespace sluice::sql
