#pragma once

#include <memory>

#include "base/result.h"
#include "odf/schema.h"

namespace arrow {
class DataType;
}

namespace sluice::odf {

// `canonical`, the Arrow type of `field`, changed by the field's encoding attributes (odf-metadata.md 7.4).
// Errors: kUnsupported for an attribute that does not fit the type.
Result<std::shared_ptr<arrow::DataType>> ApplyEncodings(const DataField& field,
                                                        std::shared_ptr<arrow::DataType> canonical);

}  // namespace sluice::odf
