#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "read/json_rows.h"

namespace sluice::read {

// The records of an NDJSON text followed by kBlockPadding zeros. Confined to one thread.
class NdJsonScanner {
 public:
  explicit NdJsonScanner(std::string_view text) : text_(text), p_(text.data()), counted_(text.data()) {}

  // Gives the next record to `rows`, as row or reject. False at the end.
  Result<bool> Next(JsonRows* rows);
  // The text of the next object, for looking only; records that are none are passed over. False at the end.
  bool NextObject(std::string_view* object);

  int64_t records() const { return record_; }
  // Line feeds up to the end of what was read.
  int64_t lines() { return LineOf(p_); }

 private:
  const char* end() const { return text_.data() + text_.size(); }
  int64_t LineOf(const char* p);
  void ToRecord();
  // Passes over a bad record and says what it was.
  std::string_view SkipBadRecord(const char* start, const JsonError& error);
  // Null when something else than a record follows on the line of the object that ends at `p`.
  static const char* CheckBehind(const char* p, JsonError* error);

  std::string_view text_;
  const char* p_;
  const char* counted_;  // lines were counted up to here
  int64_t line_ = 0;
  int64_t record_ = 0;
};

}  // namespace sluice::read
