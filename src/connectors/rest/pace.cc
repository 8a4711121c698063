#include "connectors/rest/pace.h"

#include <algorithm>
#include <charconv>
#include <ctime>

#include "pipeline/backoff.h"

namespace sluice::connectors::rest {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kLongest{3600};

std::optional<int64_t> NumberOf(std::string_view text) {
  text = net::Trimmed(text);
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  // `30, 60;w=60`: the first number counts. A fraction is cut off.
  const bool is_number = error == std::errc() && (end == text.data() + text.size() || *end == ',' ||
                                                  *end == ';' || *end == ' ' || *end == '.');
  return is_number ? std::optional<int64_t>(number) : std::nullopt;
}

milliseconds Clamped(int64_t wait_seconds) {
  return seconds(std::clamp<int64_t>(wait_seconds, 0, kLongest.count()));
}

std::optional<std::string> Either(const net::Headers& headers, const char* one, const char* other) {
  auto found = headers.Find(one);
  return found ? found : headers.Find(other);
}

}  // namespace

std::optional<int64_t> ParseHttpDate(const std::string& text) {
  std::tm time = {};
  const char* end = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &time);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return static_cast<int64_t>(::timegm(&time));
}

std::optional<milliseconds> RetryAfter(const net::Headers& headers, int64_t now_seconds) {
  const auto value = headers.Find("Retry-After");
  if (!value) return std::nullopt;
  if (const auto wait = NumberOf(*value)) return Clamped(*wait);
  if (const auto date = ParseHttpDate(*value)) return Clamped(*date - now_seconds);
  return std::nullopt;
}

std::optional<milliseconds> UntilReset(const net::Headers& headers, int64_t now_seconds) {
  const auto remaining = Either(headers, "X-RateLimit-Remaining", "RateLimit-Remaining");
  if (!remaining || NumberOf(*remaining) != 0) return std::nullopt;
  const auto reset = Either(headers, "X-RateLimit-Reset", "RateLimit-Reset");
  const auto at = reset ? NumberOf(*reset) : std::nullopt;
  if (!at) return std::nullopt;
  constexpr int64_t kNoSpan = 1'000'000'000;  // more is a time, not a number of seconds from now
  return Clamped(*at > kNoSpan ? *at - now_seconds + 1 : *at);
}

Pace::Pace(double requests_per_second)
    : gap_(requests_per_second > 0 ? std::chrono::duration_cast<Clock::duration>(
                                         std::chrono::duration<double>(1 / requests_per_second))
                                   : Clock::duration(0)),
      next_(Clock::now()) {}

bool Pace::Wait(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const auto now = Clock::now();
    if (now >= next_) {
      next_ = now + gap_;
      return true;
    }
    const auto rest = std::chrono::ceil<milliseconds>(next_ - now);
    pipeline::SleepFor(rest, stop);
  }
  return false;
}

void Pace::Hold(milliseconds pause) { next_ = std::max(next_, Clock::now() + pause); }

}  // namespace sluice::connectors::rest
