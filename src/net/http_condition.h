#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

#include "net/http_message.h"

namespace sluice::net {

struct ByteRange {
  uint64_t offset = 0;
  uint64_t size = 0;
};

enum class RangeKind { kNone, kSatisfiable, kUnsatisfiable };

// A `Range` value against a body of `total` bytes. Several ranges, other units and bad syntax count as none:
// the whole body is a right answer to them.
RangeKind ParseRange(std::string_view value, uint64_t total, ByteRange& range);

// If-None-Match with weak comparison: `*`, or a list of entity tags.
bool MatchesAnyTag(std::string_view list, std::string_view tag);

// Turns a 200 of GET or HEAD into 304 (ETag against If-None-Match), 206 or 416 (Range, If-Range) where the
// request asks for it. Bodies of unknown length are left whole.
void ApplyConditions(const HttpRequest& request, HttpResponse& response);

// `Sun, 06 Nov 1994 08:49:37 GMT`.
std::string FormatHttpDate(std::time_t time);
// In seconds since 1970, in the three forms that RFC 9110 (5.6.7) has readers accept; nothing for what is
// none.
std::optional<int64_t> ParseHttpDate(const std::string& text);
// The whole number that a field begins with: `30, 60;w=60` is 30, a fraction is cut off.
std::optional<int64_t> NumberIn(const Headers& headers, std::string_view name);
// What `Retry-After` says: seconds, or a date. At most an hour; nothing where it says nothing.
std::optional<std::chrono::milliseconds> RetryAfter(const Headers& headers, int64_t now_seconds);

}  // namespace sluice::net
