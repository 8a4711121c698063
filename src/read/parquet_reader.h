#pragma once

#include <memory>

#include "base/result.h"
#include "read/reader.h"

namespace sluice::read {

// Parquet (odf-ingest.md 1.10): the file's own columns, or those of `declared` by name, cast to its types.
// Columns that the schema does not know are dropped, missing optional ones are null. What is not a file on
// disk is copied to options.spill_folder first.
Result<std::unique_ptr<Reader>> OpenParquet(std::shared_ptr<arrow::Schema> declared,
                                            std::unique_ptr<ByteSource> source, const ReadOptions& options);

}  // namespace sluice::read
