#pragma once

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

}  // namespace sluice::net
