#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace sluice::net {

// `%41` -> `A`. Errors: kInvalidArgument for a `%` that is not followed by two hexadecimal digits.
Result<std::string> PercentDecode(std::string_view text);
// Everything but letters, digits and `-._~` as `%XX`; `/` is left alone when `keep_slash`.
std::string PercentEncode(std::string_view text, bool keep_slash = false);

// An address as people write it: what may stand in no URL (blanks, quotes, angle brackets, letters of other
// scripts) as `%XX` behind the host; all else is left as it is.
std::string EncodeUrl(std::string_view url);
// The same for a part of one behind the host.
std::string EncodeForeign(std::string_view text);
// Whether `url`, so encoded, can be asked for over HTTP. Errors: kInvalidArgument saying what is wrong with
// it.
Status CheckHttpUrl(const std::string& url);

// A request target taken apart, decoded.
struct Target {
  std::string path;
  std::vector<std::pair<std::string, std::string>> query;

  std::optional<std::string> Parameter(std::string_view name) const;
};

// `/a%20b?x=1&y`. Errors: kInvalidArgument for what is not a path, for bad escapes and for zero bytes.
Result<Target> ParseTarget(std::string_view target);

// Where a link leads that stands in a document at `base`: an absolute URL without a fragment. Errors:
// kInvalidArgument quoting the link.
Result<std::string> ResolveUrl(const std::string& base, const std::string& link);
// Scheme, host and port as one text to compare; the whole text where it is no URL.
std::string OriginOf(const std::string& url);

}  // namespace sluice::net
