#pragma once

#include <memory>

namespace arrow {
class KeyValueMetadata;
class Schema;
}  // namespace arrow

namespace sluice::columnar {

// `schema`, as the Parquet types give it, with what a file's ARROW:schema hint adds where both agree: the
// unit of dates that Parquet has no name for (Date64). A hint that is missing, unreadable or contradicts the
// file is ignored.
std::shared_ptr<arrow::Schema> ApplyHint(const arrow::Schema& schema,
                                         const arrow::KeyValueMetadata* metadata);

}  // namespace sluice::columnar
