#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "columnar/cast.h"

namespace arrow {
class DataType;
}  // namespace arrow

namespace sluice::read {

// How many records are looked at where types are guessed.
inline constexpr size_t kInferenceRecords = 1000;

// Guesses one column's type from its values (odf-ingest.md 1.5): each value has a class, the classes seen are
// combined.
class CsvTypeGuess {
 public:
  // Null cells (no data) say nothing.
  void Add(std::string_view cell, const columnar::CastOptions& options);
  // String when nothing was seen (decisions.md 20).
  std::shared_ptr<arrow::DataType> type() const;

 private:
  uint32_t classes_ = 0;  // bits
};

}  // namespace sluice::read
