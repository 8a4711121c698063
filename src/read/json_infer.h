#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace arrow {
class Field;
class Schema;
}  // namespace arrow

namespace sluice::read {

// Guesses a schema from records (odf-ingest.md 1.7, decisions.md 6 and 20): mixes, lists of objects and
// objects that are not always there become String with JSON text, columns of nulls String. Columns come in
// alphabetical order of the first record, then of each later record that has new ones.
class JsonTypeGuess {
 public:
  JsonTypeGuess();
  ~JsonTypeGuess();
  JsonTypeGuess(JsonTypeGuess&&) noexcept;
  JsonTypeGuess& operator=(JsonTypeGuess&&) noexcept;

  // A checked value.
  void Add(std::string_view value);

  // The top level's fields, marked for JsonColumn; no fields when no record has any.
  std::shared_ptr<arrow::Schema> schema() const;

 private:
  struct Members;
  // `times`: how often the value could have been there.
  std::shared_ptr<arrow::Field> FieldOf(const std::string& name, int64_t times) const;

  uint32_t kinds_ = 0;  // bits
  int64_t objects_ = 0;
  std::unique_ptr<Members> members_;
  std::unique_ptr<JsonTypeGuess> item_;
};

}  // namespace sluice::read
