#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/headers.h"

namespace sluice::net {

enum class BodyCoding { kIdentity, kGzip, kZstd };

// From Content-Encoding. Errors: kUnsupportedMedia for any other, and for several on top of one another.
Result<BodyCoding> BodyCodingOf(const Headers& headers);

// Against small bodies that expand without end.
struct DecodeLimits {
  uint64_t max_bytes = 1 << 20;  // expanded
  uint32_t max_ratio = 200;      // expanded to sent, looked at from the first MiB on
};

// Expands a body piece by piece; several gzip members or zstd frames in a row are one body. Memory: the
// format's window, at most 8 MiB. Confined.
class BodyDecoder {
 public:
  virtual ~BodyDecoder() = default;
  // kIdentity is not for here.
  static Result<std::unique_ptr<BodyDecoder>> Make(BodyCoding coding, const DecodeLimits& limits);

  // Appends at most 256 KiB of what `input` expands to, and removes from its front what was used up. Call
  // until it is empty and a call appends nothing. Errors: kInvalidArgument for broken data, kTooLarge.
  virtual Status Decode(std::string_view& input, std::string& expanded) = 0;
  // After the last input. Errors: kInvalidArgument when the data ends early.
  virtual Status Finish() = 0;
};

}  // namespace sluice::net
