#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "connectors/rest/options.h"

namespace sluice::connectors::rest {

// The marks of items as positions: numbers that grow in the order in which items are to be read, the same for
// the same item whenever it is read. A number stands for itself. A time has the milliseconds since 1970 above
// 20 bits made of the item's identifier, so that items of one moment have an order that does not depend on
// which of them are there.
inline constexpr int kTieBits = 20;

// Of an item; `index` = its place in the list, for Mark::kIndex. Errors: kInvalidRecords naming place and
// value.
Result<int64_t> MarkOf(const RestOptions& options, std::string_view item, int64_t index);
// What the parameter `since` says when everything before `next` is there: the last number, or its second.
std::string SinceText(Mark mark, int64_t next);
// A configured start. Errors: kInvalidArgument.
Result<int64_t> ParseStart(Mark mark, const std::string& text);
// When the item was made or changed, for holding back the newest, in seconds since 1970. Nothing where it
// does not say.
std::optional<int64_t> SecondsOf(const RestOptions& options, std::string_view item);

}  // namespace sluice::connectors::rest
