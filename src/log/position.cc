#include <algorithm>
#include <array>
#include <charconv>

#include "log/log.h"

namespace sluice::log {
namespace {

constexpr size_t kIdSize = 36;

bool ParseNumber(std::string_view text, uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::string Position::ToString() const {
  return fmt::format("{}:{}:{}:{}", log_id, segment, offset, sequence);
}

Result<Position> Position::Parse(std::string_view text) {
  Position position;
  std::string_view rest = text;
  bool is_good = text.size() > kIdSize;
  if (is_good) {
    position.log_id = text.substr(0, kIdSize);
    rest.remove_prefix(kIdSize);
  }
  for (uint64_t* number : std::array{&position.segment, &position.offset, &position.sequence}) {
    is_good = is_good && rest.starts_with(':');
    if (!is_good) break;
    rest.remove_prefix(1);
    const size_t colon = std::min(rest.find(':'), rest.size());
    is_good = ParseNumber(rest.substr(0, colon), *number);
    rest.remove_prefix(colon);
  }
  if (!is_good || !rest.empty()) {
    return InvalidArgument("'{}' is not a log position (<log id>:<segment>:<offset>:<sequence>)", text);
  }
  return position;
}

}  // namespace sluice::log
