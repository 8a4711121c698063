#pragma once

#include <memory>

#include "base/result.h"
#include "read/reader.h"

namespace sluice::read {

// NdJson and NdGeoJson: records block by block on several threads (odf-ingest.md 1.7, 1.8). After a malformed
// record reading goes on at the next line, or, when the record had begun well and went over several lines, at
// the next line that starts with `{`.
Result<std::unique_ptr<Reader>> OpenNdJson(const odf::ReadStep& step, std::shared_ptr<arrow::Schema> declared,
                                           std::unique_ptr<ByteSource> source, const ReadOptions& options);

// Json and GeoJson: one document, kept in memory as text and checked as a whole before the first row
// (1.6, 1.8).
Result<std::unique_ptr<Reader>> OpenJsonDocument(const odf::ReadStep& step,
                                                 std::shared_ptr<arrow::Schema> declared,
                                                 std::unique_ptr<ByteSource> source,
                                                 const ReadOptions& options);

}  // namespace sluice::read
