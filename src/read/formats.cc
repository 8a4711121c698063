#include <algorithm>
#include <cctype>
#include <iterator>
#include <string>
#include <vector>

#include "base/names.h"
#include "read/reader.h"

// The table of odf-ingest.md 1.2, and tsv.
namespace sluice::read {
namespace {

struct FormatRow {
  InputFormat format;
  const char* cli_name;
  const char* media_type;
  const char* extension;
};

const FormatRow kFormats[] = {
    {odf::ReadFormat::kCsv, "csv", "text/csv", "csv"},
    {{odf::ReadFormat::kCsv, true}, "tsv", "text/tab-separated-values", "tsv"},
    {odf::ReadFormat::kJson, "json", "application/json", "json"},
    {odf::ReadFormat::kNdJson, "ndjson", "application/x-ndjson", "ndjson"},
    {odf::ReadFormat::kGeoJson, "geojson", "application/geo+json", "geojson"},
    {odf::ReadFormat::kNdGeoJson, "ndgeojson", "application/x-ndgeojson", "ndgeojson"},
    {odf::ReadFormat::kParquet, "parquet", "application/vnd.apache.parquet", "parquet"},
    {odf::ReadFormat::kEsriShapefile, "esrishapefile", "application/vnd.shp", "shp"},
    // Other names of the last one.
    {odf::ReadFormat::kEsriShapefile, "shapefile", "x-gis/x-shapefile", "shx"},
};

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

Error UnknownFormat(std::string_view what, std::string_view given, const char* FormatRow::* column) {
  std::vector<std::string> names;
  for (const FormatRow& row : kFormats) names.emplace_back(row.*column);
  return MakeError(ErrorCode::kUnsupportedMedia, "unknown {} '{}'; choose one of {}", what, given,
                   JoinNames(names));
}

}  // namespace

constexpr uint8_t kTabs = 0x80;

uint8_t CodeOf(InputFormat format) {
  return static_cast<uint8_t>((static_cast<int>(format.read) + 1) | (format.tabs ? kTabs : 0));
}

InputFormat FormatOfCode(uint8_t code) {
  return {static_cast<odf::ReadFormat>((code & ~kTabs) - 1), (code & kTabs) != 0};
}

Result<InputFormat> FormatByName(std::string_view name) {
  const std::string lower = Lower(name);
  for (const FormatRow& row : kFormats) {
    if (lower == row.cli_name) return row.format;
  }
  return UnknownFormat("input format", name, &FormatRow::cli_name);
}

Result<InputFormat> FormatByMediaType(std::string_view media_type) {
  std::string type = Lower(media_type.substr(0, media_type.find(';')));
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!type.empty() && is_space(type.back())) type.pop_back();
  while (!type.empty() && is_space(type.front())) type.erase(0, 1);
  for (const FormatRow& row : kFormats) {
    if (type == row.media_type) return row.format;
  }
  return UnknownFormat("media type", media_type, &FormatRow::media_type);
}

std::optional<InputFormat> FormatByExtension(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const std::string extension = Lower(name.substr(dot + 1));
  for (const FormatRow& row : kFormats) {
    if (extension == row.extension) return row.format;
  }
  return std::nullopt;
}

std::string_view MediaTypeOf(InputFormat format) {
  const auto* row = std::find_if(std::begin(kFormats), std::end(kFormats),
                                 [&](const FormatRow& candidate) { return candidate.format == format; });
  return row == std::end(kFormats) ? "" : row->media_type;
}

}  // namespace sluice::read
