#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "pipeline/record.h"

namespace arrow {
class RecordBatch;
}

namespace sluice::pipeline {

// A place in a record as configurations name it: a field (`data`, `metadata_type`), a value inside of the
// metadata (`metadata.author.name`, `metadata.tags[0]`), or a field that the model does not know
// (`extra.priority`). A part with a dot or bracket in its name is written in quotes: `metadata."a.b"`.
struct FieldPath {
  using Step = std::variant<std::string, size_t>;  // a key, or an index from 0
  Column column = Column::kData;
  std::vector<Step> steps;  // of kMetadata and kExtra only
  std::string text;         // as written

  bool is_inside() const { return !steps.empty(); }
  // Errors: kInvalidArgument naming the fields that there are.
  static Result<FieldPath> Parse(std::string_view text);
};

enum class ValueKind : uint8_t { kAbsent, kText, kNumber, kBoolean, kList, kObject };

// What stands there. Null counts as absent, and so does an empty field of the record itself.
struct FieldValue {
  ValueKind kind = ValueKind::kAbsent;
  std::string_view text;  // a text without quotes; else JSON. Valid until the next Read.
  // The elements of a list, as texts; those that are lists or objects themselves are left out.
  const std::vector<std::string>* elements = nullptr;
};

// Reads values at paths; keeps a JSON parser's buffers. Confined.
class FieldReader {
 public:
  FieldReader();
  ~FieldReader();
  FieldReader(FieldReader&&) noexcept;
  FieldReader& operator=(FieldReader&&) noexcept;

  FieldValue Read(const arrow::RecordBatch& records, int64_t row, const FieldPath& path);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::pipeline
