#pragma once

#include <cstdint>
#include <string>

namespace sluice::columnar {

// One cell or record that does not fit, as people are told of it.
struct Reject {
  int64_t record = 0;  // 1-based number of the record in its input
  int64_t line = 0;    // 1-based line, 0 where the format has none
  std::string column;  // empty when the whole record is bad
  std::string value;   // shortened to 200 bytes
  std::string reason;
  std::string raw;  // the record's text where the reader still has it, for the rejects file
  bool of_result =
      false;  // the record is a row of a query's result, which may come of any records of the input
};

}  // namespace sluice::columnar
