#pragma once

#include <cstddef>
#include <string_view>

#include "push/input.h"

namespace sluice::push {

// Finds where records end in bytes that come piece by piece. Confined.
class RecordScanner {
 public:
  explicit RecordScanner(RecordFormat format) : format_(format) {}

  // Looks at bytes[from..) where all before `from` has been looked at. The index behind the record's last
  // byte, its line end; npos when the record goes on, and then bytes.size() is where to go on from.
  size_t FindEnd(std::string_view bytes, size_t from);
  // For a new record.
  void Reset() { is_quoted_ = false; }

 private:
  const RecordFormat format_;
  bool is_quoted_ = false;
};

// Whether it holds nothing but spaces and line ends.
bool IsBlank(std::string_view record);

}  // namespace sluice::push
