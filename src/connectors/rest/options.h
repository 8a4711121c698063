#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "connectors/rest/json_slice.h"
#include "connectors/rest/mapping.h"
#include "pipeline/declaration.h"

namespace sluice::pipeline {
class Environment;
class Settings;
}  // namespace sluice::pipeline

namespace sluice::connectors::rest {

// How one answer leads to the next.
enum class Paging : uint8_t {
  kNone,    // all is in one answer
  kPage,    // a parameter with the page's number
  kOffset,  // a parameter with the number of items before the page
  kLink,    // the answer says the address of the next one: in its JSON, or in the header Link
  kCursor,  // the answer says a token, which goes into a parameter
  kBefore,  // a parameter with a number: the newest items below it; asked for span by span, upwards
};

// What tells an item that is new from those that were there before.
enum class Mark : uint8_t {
  kIndex,   // its place in the list, which grows at its end only
  kNumber,  // a number of its own that grows, such as an id
  kTime,    // a time of its own; a changed item has a later one, and comes again
};

struct RestOptions {
  std::string url;   // without what `query` adds
  std::string name;  // of the partition
  std::map<std::string, std::string> query;
  std::map<std::string, std::string> secret_query;
  std::map<std::string, std::string> headers;
  std::string ca_file;
  std::chrono::milliseconds timeout{30'000};
  uint64_t max_answer_bytes = 16 << 20;

  JsonPath items;
  Mapping mapping;

  Paging paging = Paging::kNone;
  std::string page_parameter;  // of kPage, kOffset, kCursor, kBefore
  int64_t first_page = 1;
  int64_t page_size = 0;  // 0 = not known
  std::string size_parameter;
  JsonPath next;  // of kLink (empty = the header) and kCursor

  Mark mark = Mark::kIndex;
  JsonPath mark_path;
  bool newest_first = false;
  std::string since_parameter;
  int64_t start = 0;  // the first mark that counts, as Marks has it
  std::chrono::milliseconds settle{0};
  uint64_t max_backlog_bytes = 256 << 20;

  std::chrono::milliseconds interval{60'000};
  bool once = false;
  double requests_per_second = 0;
  int64_t attempts = 10;
};

// With page numbers an item's place in the list is known only if all pages before it are full.
inline bool SizeCounts(const RestOptions& options) {
  return options.mark == Mark::kIndex && options.paging == Paging::kPage;
}

std::vector<pipeline::Option> RestOptionDeclarations();
// With what the preset says where the configuration says nothing. Errors: kInvalidArgument naming file, line
// and option.
Result<RestOptions> ReadRestOptions(const pipeline::Settings& settings, pipeline::Environment& environment);

}  // namespace sluice::connectors::rest
