#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "connectors/postgres/connection.h"
#include "connectors/postgres/target.h"

namespace arrow {
class Array;
class RecordBatch;
}  // namespace arrow

// Records in PostgreSQL's binary forms. Batches are of pipeline::RecordSchema(), rows inside of them.
namespace sluice::connectors::postgres {

// The columns of a batch, found once. Cheap to copy.
class Records {
 public:
  explicit Records(std::shared_ptr<arrow::RecordBatch> batch);
  int64_t rows() const;
  const arrow::Array& array(pipeline::Column column) const { return *arrays_[static_cast<size_t>(column)]; }
  // A text field, empty when null.
  std::string_view text(pipeline::Column column, int64_t row) const;
  // With uuids in small letters, as a column of type uuid holds them: one that is spelled in two ways is one.
  Result<Records> WithSmallUuids() const;

 private:
  std::shared_ptr<arrow::RecordBatch> batch_;
  std::array<const arrow::Array*, pipeline::kColumns> arrays_;
};

// Why the record cannot be stored in this table; nothing when it can, as far as can be told without asking:
// NUL characters, which PostgreSQL has no way to keep; lone surrogates in jsonb; texts that are too long; a
// `uuid` that is none for a column of that type; unknown fields without a column for them.
std::optional<std::string> Refusal(const Target& target, const Records& records, int64_t row);

// What COPY ... (FORMAT binary) begins and ends with.
std::string_view CopyBeginning();
std::string_view CopyEnd();
// One tuple of COPY: `number` first when there is one (int4), then the target's columns. `created_at` comes
// from the row `first_row`.
void AppendCopyRow(const Target& target, const Records& records, int64_t row, std::optional<int32_t> number,
                   int64_t first_row, std::string* out);

// The values of one column in `rows` as an array.
Parameter ArrayOf(const TargetColumn& column, const Records& records, std::span<const int64_t> rows);

}  // namespace sluice::connectors::postgres
