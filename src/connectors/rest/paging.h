#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "connectors/rest/client.h"
#include "connectors/rest/options.h"

namespace sluice::connectors::rest {

// A page of the list: a page's number, a token, a link; empty for the first one. `base` = items of the list
// before it, where that counts.
struct PageRef {
  std::string token;
  int64_t base = 0;
  bool operator==(const PageRef&) const = default;
};
// As the cursor of a place. A text that is none is the first page: what is there already is passed over.
std::string CursorOf(const PageRef& page);
PageRef PageOf(std::string_view cursor);

// Where to get the page. `since` empty = not said.
std::string UrlOf(const RestOptions& options, const Client& client, const PageRef& page,
                  const std::string& since);
// The page behind `page`, which had `count` items; nothing when it was the last. Errors: those of
// Client::Follow; kTooLarge for a token that is no such thing; kCorruption for a page larger than `page_size`
// where its size counts.
Result<std::optional<PageRef>> NextPage(const RestOptions& options, const Client& client, const PageRef& page,
                                        const std::string& url, const Answer& answer, int64_t count);
// The items of an answer. Errors: kCorruption when there is no list where the option `items` says.
Result<std::vector<std::string_view>> ItemsOf(const RestOptions& options, const Answer& answer,
                                              const std::string& url);
// The address with rel="next" in a header Link (RFC 8288).
std::optional<std::string> NextLink(std::string_view header);

}  // namespace sluice::connectors::rest
