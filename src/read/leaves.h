#pragma once

#include <cstdint>

namespace arrow {
class Array;
}

// What a typed column can hold although no dataset may, at any depth of its lists and structs. Types are
// plain (columnar/plain_types.h). Cost: one pass over the texts, or numbers, of a column that has such.
namespace sluice::read {

// True when every text is UTF-8, which Parquet promises and nobody checks.
bool HasOnlyUtf8(const arrow::Array& array);

// How many floating-point values are infinite.
int64_t CountInfinite(const arrow::Array& array);

}  // namespace sluice::read
