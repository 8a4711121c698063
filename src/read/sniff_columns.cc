#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>

#include <functional>
#include <string_view>
#include <unordered_set>

#include "read/rejects.h"
#include "read/sniff_internal.h"

namespace sluice::read {
namespace {

// Beyond that many values nobody remembers them; a column is then taken as it was so far.
constexpr size_t kMostValues = 4 << 20;
constexpr size_t kExampleBytes = 40;

// Keys are told apart by a hash of 64 bits; floats and nested values make no keys.
class Hashes {
 public:
  static bool CanHash(const arrow::DataType& type) {
    return type.id() == arrow::Type::STRING ||
           (arrow::is_primitive(type.id()) && !arrow::is_floating(type.id()) &&
            type.id() != arrow::Type::BOOL);
  }
  static uint64_t Of(const arrow::Array& array, int64_t row) {
    if (array.type_id() == arrow::Type::STRING)
      return std::hash<std::string_view>{}(static_cast<const arrow::StringArray&>(array).GetView(row));
    const auto& fixed = static_cast<const arrow::FixedWidthType&>(*array.type());
    const auto bytes = static_cast<size_t>(fixed.bit_width() / 8);
    const auto* values =
        array.data()->buffers[1]->data() + (array.offset() + row) * static_cast<int64_t>(bytes);
    return std::hash<std::string_view>{}({reinterpret_cast<const char*>(values), bytes});
  }
};

uint64_t Mix(uint64_t a, uint64_t b) { return a ^ (b + 0x9e3779b97f4a7c15ULL + (a << 6) + (a >> 2)); }

struct SeenValues {
  std::unordered_set<uint64_t> values;
  bool unique = true;

  void Add(uint64_t hash) {
    if (!unique || values.size() >= kMostValues) return;
    unique = values.insert(hash).second;
    if (!unique) values = {};
  }
};

}  // namespace

struct ColumnFacts::Column {
  bool can_hash = false;
  bool nulls = false;
  std::string example;
  SeenValues alone, paired;
};

ColumnFacts::ColumnFacts(const arrow::Schema& schema) {
  for (const auto& field : schema.fields()) {
    columns_.emplace_back();
    columns_.back().can_hash = Hashes::CanHash(*field->type());
  }
}

ColumnFacts::~ColumnFacts() = default;

void ColumnFacts::PairWith(size_t first) { pair_ = first; }

void ColumnFacts::Add(const arrow::RecordBatch& batch) {
  const bool pairs = pair_ && columns_[*pair_].can_hash;
  for (size_t c = 0; c < columns_.size(); ++c) {
    Column& column = columns_[c];
    const arrow::Array& array = *batch.column(static_cast<int>(c));
    column.nulls = column.nulls || array.null_count() > 0;
    for (int64_t row = 0; column.example.empty() && row < array.length(); ++row) {
      if (array.IsNull(row)) continue;
      auto scalar = array.GetScalar(row);
      if (!scalar.ok()) break;
      column.example = (*scalar)->ToString();
      if (column.example.size() > kExampleBytes)
        column.example = Shortened(column.example.substr(0, kExampleBytes)) + "...";
    }
    if (!column.can_hash || column.nulls) continue;
    const arrow::Array* other = pairs && *pair_ != c ? batch.column(static_cast<int>(*pair_)).get() : nullptr;
    if (other != nullptr && other->null_count() > 0) other = nullptr;
    for (int64_t row = 0; row < array.length(); ++row) {
      const uint64_t hash = Hashes::Of(array, row);
      column.alone.Add(hash);
      if (other != nullptr) column.paired.Add(Mix(Hashes::Of(*other, row), hash));
    }
  }
  records_ += batch.num_rows();
}

bool ColumnFacts::has_nulls(size_t column) const { return columns_[column].nulls; }
const std::string& ColumnFacts::example(size_t column) const { return columns_[column].example; }

bool ColumnFacts::is_unique(size_t column) const {
  const Column& c = columns_[column];
  return records_ > 0 && c.can_hash && !c.nulls && c.alone.unique;
}

bool ColumnFacts::is_unique(size_t first, size_t second) const {
  const Column& c = columns_[second];
  return records_ > 0 && pair_ == first && !columns_[first].nulls && c.can_hash && !c.nulls &&
         c.paired.unique && !c.paired.values.empty();
}

}  // namespace sluice::read
