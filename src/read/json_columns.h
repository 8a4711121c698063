#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "columnar/cast.h"
#include "read/json_text.h"

namespace arrow {
class Array;
class DataType;
class Field;
class Schema;
}  // namespace arrow

namespace sluice::read {

// A JSON value that does not fit its column.
struct BadJson {
  size_t row = 0;    // within the cells of the call
  std::string path;  // below the column: `.b`, `[]`; empty for the column itself
  std::string value;
  std::string reason;
};

// One column grown from checked JSON values (odf-ingest.md 1.7): a leaf hands text to a TextCaster, lists and
// structs split their values and pass them on. Confined to one thread.
class JsonColumn {
 public:
  // Fields made by the functions below have rules of their own. Errors: kUnsupported for types that JSON
  // cannot give.
  static Result<std::unique_ptr<JsonColumn>> Make(const arrow::Field& field,
                                                  const columnar::CastOptions& options);
  virtual ~JsonColumn() = default;

  // Appends cells[0], cells[stride], ...: `count` of them; no data = absent or null. A value that does not
  // fit is appended as null and added to `bad`, in no particular order.
  virtual Status Append(const std::string_view* cells, size_t stride, size_t count,
                        std::vector<BadJson>* bad) = 0;
  virtual Result<std::shared_ptr<arrow::Array>> Finish() = 0;
};

// OK when every column can be read from JSON. Errors: kUnsupported naming the column.
Status CheckJsonSchema(const arrow::Schema& schema);

// Nullable fields of guessed types. JsonTextField is a String that takes any value: strings as they are,
// others as canonical JSON. GuessedField refuses what contradicts the guess: fractions in integers, nulls in
// structs.
std::shared_ptr<arrow::Field> JsonTextField(const std::string& name);
std::shared_ptr<arrow::Field> GuessedField(const std::string& name, std::shared_ptr<arrow::DataType> type);

// `schema` without the marks that those functions leave.
std::shared_ptr<arrow::Schema> WithoutMarks(const std::shared_ptr<arrow::Schema>& schema);

}  // namespace sluice::read
