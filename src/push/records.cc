#include <algorithm>

#include "push/records_internal.h"

namespace sluice::push {
namespace {

// A quote opens a field only where a field begins; elsewhere it is a character like any other (5" pipe).
bool MayOpen(char before) { return std::string_view(",;\t|\n\r\"").find(before) != std::string_view::npos; }

}  // namespace

size_t RecordScanner::FindEnd(std::string_view bytes, size_t from) {
  if (format_ == RecordFormat::kLines) {
    const size_t end = bytes.find('\n', from);
    return end == std::string_view::npos ? end : end + 1;
  }
  for (size_t i = from; i < bytes.size(); ++i) {
    const char c = bytes[i];
    if (c == '"') {
      // Of a doubled quote the first one ends the field and the second one opens it again.
      if (is_quoted_) {
        is_quoted_ = false;
      } else {
        is_quoted_ = i == 0 || MayOpen(bytes[i - 1]);
      }
    } else if (c == '\n' && !is_quoted_) {
      return i + 1;
    }
  }
  return std::string_view::npos;
}

bool IsBlank(std::string_view record) {
  return record.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

}  // namespace sluice::push
