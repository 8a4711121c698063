#pragma once

#include <memory>

#include "index/key_index.h"
#include "index/store.h"

namespace sluice::index {

// Encodes the value of one row into `head` (what precedes the row's bytes). Null: the row is not stored (-C).
struct RowValue {
  std::string_view head;
  std::string_view tail;
};
class RowValues {
 public:
  RowValues(bool rows, uint16_t schema_number) : rows_(rows) { AppendRowHeader(schema_number, &live_); }
  RowValue Of(const IndexRow& row) const {
    if (!rows_) return {};
    if (row.retract) return {kRetractedValue, {}};
    return {live_, row.row};
  }

 private:
  bool rows_;
  std::string live_;
};

// A load of a whole history (`target` given) or a bulk Apply.
Result<std::unique_ptr<Loader>> MakeLoader(Store* store, const KeySet& set,
                                           const std::shared_ptr<arrow::Schema>& row_schema,
                                           const std::optional<multiformats::Multihash>& target);

}  // namespace sluice::index
