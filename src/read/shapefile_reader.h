#pragma once

#include <memory>
#include <string>

#include "odf/events.h"
#include "read/random_file.h"
#include "read/reader.h"

namespace sluice::read {

// The files that make up a shapefile, wherever they lie.
struct ShapefileParts {
  std::unique_ptr<RandomFile> shp;
  std::unique_ptr<RandomFile> dbf;
  std::unique_ptr<RandomFile> shx;  // null = read the shapes in the order they lie in
  std::string cpg;                  // text of the file that names the character set
  std::string prj;                  // the projection as well-known text
  std::shared_ptr<void> keep;       // what must outlive the files
};

// Rows of a shapefile: the table's fields and `geometry`, GeoJSON text (odf-ingest.md 1.9). Coordinates stay
// in the file's projection. Records that are deleted in the table are left out; a null shape is a NULL
// geometry. Errors: kInvalidArgument naming the part that is cut off, damaged or of another number of
// records.
Result<std::unique_ptr<Reader>> OpenShapefileParts(const odf::ReadStep& step,
                                                   std::shared_ptr<arrow::Schema> declared,
                                                   ShapefileParts parts, const ReadOptions& options);

// OK when every column can be read from a table's text. Errors: kUnsupported naming the column.
Status CheckShapefileSchema(const arrow::Schema& schema);

// `source` is a zip archive, or a .shp file with its neighbours in the same folder.
Result<std::unique_ptr<Reader>> OpenShapefile(const odf::ReadStep& step,
                                              std::shared_ptr<arrow::Schema> declared,
                                              std::unique_ptr<ByteSource> source, const ReadOptions& options);

}  // namespace sluice::read
