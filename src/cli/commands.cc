#include "cli/commands.h"

#include <charconv>

namespace sluice::cli {

CLI::Validator WholeNumber(int64_t least) {
  return CLI::Validator(
      [least](const std::string& text) {
        int64_t value = 0;
        const auto end = text.data() + text.size();
        const auto read = std::from_chars(text.data(), end, value);
        if (read.ec == std::errc() && read.ptr == end && value >= least) return std::string();
        return fmt::format("'{}' is no whole number from {} on", text, least);
      },
      "");
}

}  // namespace sluice::cli
