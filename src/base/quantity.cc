#include "base/quantity.h"

#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

namespace sluice {
namespace {

// Clocks count nanoseconds in 63 bits: a hundred years can be added to any of their times.
constexpr double kLimitMillis = 3.2e12;
constexpr double kLimitBytes = 9e15;

using Unit = std::pair<std::string_view, double>;

// A number of at least 0 and the unit behind it. Nothing when it is none.
template <size_t N>
std::optional<double> Parse(std::string_view text, const std::array<Unit, N>& units, double limit) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !std::isfinite(number) || number < 0) return std::nullopt;
  std::string_view rest(end, static_cast<size_t>(text.data() + text.size() - end));
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  for (const auto& [name, factor] : units) {
    if (rest == name && number * factor < limit) return number * factor;
  }
  return std::nullopt;
}

}  // namespace

Result<std::chrono::milliseconds> ParseDuration(std::string_view text, BareNumber bare) {
  static constexpr std::array<Unit, 6> kUnits = {
      {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"min", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
  static constexpr std::array<Unit, 1> kSeconds = {{{"", 1000}}};
  if (text == "0") return std::chrono::milliseconds(0);
  auto value = Parse(text, kUnits, kLimitMillis);
  if (!value && bare == BareNumber::kSeconds) value = Parse(text, kSeconds, kLimitMillis);
  if (!value) return InvalidArgument("'{}' is no duration, such as 200ms, 30s, 5m, 1h", text);
  return std::chrono::milliseconds(std::llround(*value));
}

std::string FormatDuration(std::chrono::milliseconds duration) {
  const int64_t ms = duration.count();
  if (ms % 86'400'000 == 0 && ms > 0) return fmt::format("{}d", ms / 86'400'000);
  if (ms % 3'600'000 == 0 && ms > 0) return fmt::format("{}h", ms / 3'600'000);
  if (ms % 60'000 == 0 && ms > 0) return fmt::format("{}m", ms / 60'000);
  if (ms % 1000 == 0) return fmt::format("{}s", ms / 1000);
  return fmt::format("{}ms", ms);
}

Result<uint64_t> ParseByteCount(std::string_view text) {
  static constexpr std::array<Unit, 11> kUnits = {{{"", 1},
                                                   {"B", 1},
                                                   {"KiB", 1024.0},
                                                   {"MiB", 1048576.0},
                                                   {"GiB", 1073741824.0},
                                                   {"TiB", 1099511627776.0},
                                                   {"kB", 1e3},
                                                   {"KB", 1e3},
                                                   {"MB", 1e6},
                                                   {"GB", 1e9},
                                                   {"TB", 1e12}}};
  const auto value = Parse(text, kUnits, kLimitBytes);
  if (!value) return InvalidArgument("'{}' is no number of bytes, such as 64KiB, 1GiB, 1000", text);
  return static_cast<uint64_t>(std::llround(*value));
}

std::string ShowBytes(uint64_t bytes) {
  static constexpr std::array<std::string_view, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{}B", bytes) : fmt::format("{:.1f}{}", value, kUnits[unit]);
}

}  // namespace sluice
