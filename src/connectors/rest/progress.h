#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "connectors/rest/options.h"
#include "connectors/rest/paging.h"
#include "pipeline/feeder.h"

namespace sluice::connectors::rest {

// An item that is to be delivered.
struct Entry {
  int64_t mark = 0;
  std::string_view item;
  std::string wrong;  // what is wrong with it, if it has no mark
};

// Where a list was read up to, and the way of its items into the pipeline. Confined; `options` outlives it.
class Progress {
 public:
  explicit Progress(const RestOptions& options) : options_(options), next_(options.start) {}

  void GoOnFrom(const pipeline::Places& places);
  // The first mark that is not there yet.
  int64_t next() const { return next_; }
  // The page on which the last item stood.
  const PageRef& page() const { return page_; }

  // Of an answer's items those that are not there yet, by their marks. `base` = items of the list before
  // them, `server_seconds` = when it was given: a time far behind that is none, or nothing would be new until
  // then. Bad ones that were delivered before are left out.
  std::vector<Entry> NewOf(const std::vector<std::string_view>& items, int64_t base, int64_t server_seconds);
  // Delivers entries in the order of their marks; those of one page, which are read again as long as the page
  // is the one reached. Errors: those of the feeder.
  Status Deliver(std::vector<Entry> entries, const PageRef& page, pipeline::Feeder& feeder,
                 const std::stop_token& stop);
  // Everything before `next` is there, without any items.
  Status SkipTo(int64_t next, pipeline::Feeder& feeder, const std::stop_token& stop);

 private:
  pipeline::Place place() const { return {next_, CursorOf(page_), /*is_plain=*/true}; }

  const RestOptions& options_;
  int64_t next_;
  PageRef page_;
  std::unordered_set<size_t> bad_;  // hashes of items without a mark that were delivered
};

}  // namespace sluice::connectors::rest
