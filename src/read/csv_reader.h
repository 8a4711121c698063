#pragma once

#include <memory>

#include "base/result.h"
#include "read/reader.h"

namespace sluice::read {

// Csv (odf-ingest.md 1.5). `declared` is the step's schema or null. Blocks are parsed and cast on several
// threads: text is cut into cells by CsvScanner, cells become columns by columnar::TextCaster. Records that
// do not fit are rejects.
Result<std::unique_ptr<Reader>> OpenCsv(const odf::ReadStep& step, std::shared_ptr<arrow::Schema> declared,
                                        std::unique_ptr<ByteSource> source, const ReadOptions& options);

// OK when every column's type can be read from text. Errors: kUnsupported naming the column.
Status CheckCsvSchema(const arrow::Schema& schema);

}  // namespace sluice::read
