#pragma once

#include <memory>

#include "base/result.h"
#include "odf/schema.h"

namespace arrow {
class Schema;
class DataType;
class Field;
}  // namespace arrow

// ODF schema <-> Arrow schema (odf-metadata.md 7.2-7.6).
namespace sluice::odf {

// The canonical Arrow type, changed by encoding attributes where the field has them. Errors: kUnsupported
// naming field and type.
Result<std::shared_ptr<arrow::Schema>> ToArrow(const DataSchema& schema);
Result<std::shared_ptr<arrow::DataType>> ToArrow(const DataType& type);
Result<std::shared_ptr<arrow::Field>> ToArrow(const DataField& field);

// What the writer stores: explicit unit and timezone, no encoding attributes, no extras. Large and View
// variants become the plain type. Errors: kUnsupported naming field and type (Dictionary, Interval, Union,
// ...).
Result<DataSchema> FromArrow(const arrow::Schema& schema);
Result<DataType> FromArrow(const arrow::DataType& type);

// A legacy SetDataSchema.rawArrowSchema (bare FlatBuffer, not an IPC message). Errors: kCorruption.
Result<DataSchema> FromRawArrow(std::string_view bytes);

// Removes the three encoding attributes from every field, descending through Option and Struct.
DataSchema StripEncodings(DataSchema schema);

}  // namespace sluice::odf
