#pragma once

#include <memory>
#include <vector>

#include "ingest/shape.h"

namespace arrow {
class Array;
}

namespace sluice::ingest {

// Adds the rows of a column that hold, inside of a list or struct, what no dataset can: a null where the type
// wants a value, a struct that is null (it has no logical hash), a list of fixed length that is null (readers
// of Parquet look for its items). The column is named with its path, as in `k[].x`.
void FindBadInnerValues(const arrow::Array& values, const std::string& column, std::vector<BadValue>* bad);

// True when a struct is null in one of the rows, at any depth.
bool HasNullStruct(const arrow::Array& values);

}  // namespace sluice::ingest
