#pragma once

#include <memory>
#include <string>

#include "base/result.h"

namespace sluice::read {

class ByteSource;

// Character sets of inputs other than UTF-8, turned into UTF-8 while the bytes pass.
// OK for the names that are known, in any case. Errors: kUnsupported listing them.
Status CheckEncoding(const std::string& encoding);

// `source` itself when the encoding is UTF-8 or absent (empty). Bytes that the character set does not have
// are an error of the wrapped source's Read (kInvalidArgument with the byte offset).
Result<std::unique_ptr<ByteSource>> Transcode(std::unique_ptr<ByteSource> source,
                                              const std::string& encoding);

}  // namespace sluice::read
