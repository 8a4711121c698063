#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "merge/merger.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

// Rows small enough to write down, to enumerate and to merge by hand.
namespace sluice::merge::testing {

// A row of SmallSchema. `op` counts where a schema or an output has it.
struct Row {
  std::optional<int> op;
  std::optional<std::string> city;
  std::optional<int> year = 2020;
  std::optional<int> value;
  std::optional<int> event_time;

  auto operator<=>(const Row&) const = default;
};
using Rows = std::vector<Row>;

// `+A v1@2023 #2020`: op, city, value, event time (a plain number of milliseconds); `·` for NULL; year only
// when it is not 2020.
std::string ToString(const Row& row);
std::string ToString(const Rows& rows);
// Rows separated by commas. Op, event time and year may be missing; a lone value is `v·`.
Rows Parse(const std::string& text);

// [op INT32,] event_time TIMESTAMP, year INT32, city STRING, value INT32; all nullable.
std::shared_ptr<arrow::Schema> SmallSchema(bool with_op);
std::shared_ptr<arrow::RecordBatch> ToBatch(const Rows& rows, bool with_op);
Rows FromBatches(const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches);

// What was committed, as the key index would answer. `key` as in KeyColumnsOf.
class MemoryHistory : public KeyHistory {
 public:
  explicit MemoryHistory(std::vector<std::string> key) : key_(std::move(key)) {}

  // Takes merged rows in order, with event times filled. Also takes rows of another schema than SmallSchema.
  Status Commit(const Rows& rows);
  Status CommitBatch(const arrow::RecordBatch& output);

  bool empty() const override { return schema_ == nullptr; }
  Result<std::vector<KeyState>> Find(const std::vector<std::string_view>& keys) override;
  std::shared_ptr<arrow::Schema> row_schema() const override { return schema_; }
  Status Scan(const std::function<Status(std::string_view, std::string_view)>& visit) override;

  int64_t asked = 0;  // keys that Find was given

 private:
  std::vector<std::string> key_;
  std::shared_ptr<arrow::Schema> schema_;
  std::map<std::string, std::optional<std::string>, std::less<>> states_;
};

}  // namespace sluice::merge::testing
