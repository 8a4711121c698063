#include "connectors/rest/options.h"

#include <charconv>

#include "base/quantity.h"
#include "connectors/rest/marks.h"
#include "connectors/rest/presets.h"
#include "connectors/web/headers.h"
#include "net/url.h"
#include "pipeline/environment.h"
#include "pipeline/settings.h"

namespace sluice::connectors::rest {
namespace {

using pipeline::Option;
using pipeline::OptionType;
using pipeline::Settings;

constexpr int64_t kMostItems = 1'000'000;
constexpr std::chrono::milliseconds kSettleOfTimes{2'000};  // the second of the item and that of the server

// Options by name: the configuration's, else the preset's, else the default.
class Given {
 public:
  Given(const Settings& settings, const Preset& preset) : settings_(settings), preset_(preset) {}

  std::string Text(const std::string& name) const {
    const auto* preset = OfPreset(name);
    return preset != nullptr ? *preset : settings_.text(name);
  }
  int64_t Integer(const std::string& name) const {
    const auto* preset = OfPreset(name);
    return preset != nullptr ? std::atoll(preset->c_str()) : settings_.integer(name);
  }
  double Number(const std::string& name) const {
    const auto* preset = OfPreset(name);
    return preset != nullptr ? std::atof(preset->c_str()) : settings_.number(name);
  }
  bool Has(const std::string& name) const { return settings_.has(name) || OfPreset(name) != nullptr; }
  std::chrono::milliseconds Duration(const std::string& name) const {
    const auto* preset = OfPreset(name);
    const auto parsed = preset != nullptr ? ParseDuration(*preset) : settings_.duration(name);
    return parsed.ok() ? *parsed : settings_.duration(name);
  }

 private:
  const std::string* OfPreset(const std::string& name) const {
    const auto found = preset_.options.find(name);
    return settings_.has(name) || found == preset_.options.end() ? nullptr : &found->second;
  }

  const Settings& settings_;
  const Preset& preset_;
};

Paging PagingOf(const std::string& text) {
  static const std::map<std::string, Paging> kinds = {
      {"none", Paging::kNone}, {"page", Paging::kPage},     {"offset", Paging::kOffset},
      {"link", Paging::kLink}, {"cursor", Paging::kCursor}, {"before", Paging::kBefore}};
  return kinds.at(text);
}

Mark MarkKindOf(const std::string& text) {
  return text == "number" ? Mark::kNumber : text == "time" ? Mark::kTime : Mark::kIndex;
}

Status ReadPath(const Settings& settings, const Given& given, const std::string& name, JsonPath* path) {
  auto parsed = JsonPath::Parse(given.Text(name));
  if (!parsed.ok()) return settings.Complain(name, parsed.error().message());
  *path = std::move(parsed).value();
  return {};
}

Status ReadPaging(const Settings& settings, const Given& given, RestOptions* options) {
  options->paging = PagingOf(given.Text("pagination"));
  options->page_parameter = given.Text("page_parameter");
  if (options->page_parameter.empty()) options->page_parameter = given.Text("pagination");
  options->first_page = given.Integer("first_page");
  options->page_size = given.Integer("page_size");
  options->size_parameter = given.Text("size_parameter");
  if (options->first_page < 0) return settings.Complain("first_page", "a page's number is not negative");
  if (options->page_size < 0 || options->page_size > kMostItems)
    return settings.Complain("page_size", fmt::format("0 to {}", kMostItems));
  if (!options->size_parameter.empty() && options->page_size == 0)
    return settings.Complain("size_parameter", "it says 'page_size', which is not set");
  RETURN_IF_ERROR(ReadPath(settings, given, "next", &options->next));
  const bool has_next = !options->next.steps.empty();
  if (options->paging == Paging::kCursor && !has_next)
    return settings.Complain("next",
                             "pagination 'cursor' needs to know where the token stands in the answer");
  if (has_next && options->paging != Paging::kCursor && options->paging != Paging::kLink)
    return settings.Complain("next", "it goes with pagination 'link' or 'cursor'");
  return {};
}

Status ReadMarks(const Settings& settings, const Given& given, RestOptions* options) {
  options->mark = MarkKindOf(given.Text("mark"));
  const bool is_index = options->mark == Mark::kIndex;
  RETURN_IF_ERROR(ReadPath(settings, given, "mark_path", &options->mark_path));
  if (is_index != options->mark_path.steps.empty())
    return settings.Complain("mark_path",
                             "it says where in an item the number or time of 'mark' stands, and goes "
                             "with it");
  options->newest_first = given.Text("order") == "newest_first";
  options->since_parameter = given.Text("since_parameter");
  if (is_index && options->newest_first)
    return settings.Complain("order", "a list that does not grow at its end needs 'mark': number or time");
  if (is_index && !options->since_parameter.empty())
    return settings.Complain("since_parameter", "it says a 'mark', which is not set");
  if (SizeCounts(*options) && options->page_size == 0)
    return settings.Complain("page_size", "without 'mark' it must be known how many items a full page has");
  if (options->paging == Paging::kBefore) {
    if (options->mark != Mark::kNumber || options->newest_first || !options->since_parameter.empty())
      return settings.Complain(
          "pagination", "'before' goes with 'mark: number', and with neither 'order' nor 'since_parameter'");
    if (options->page_size < 2)
      return settings.Complain("page_size",
                               "with pagination 'before' it must be known how many items an answer has");
  }
  if (options->mark == Mark::kTime && !options->mapping.Sets(pipeline::Column::kDataId))
    return settings.Complain(
        "record", "with 'mark: time' the field data_id must be set: it tells items of one moment apart");
  auto start = ParseStart(options->mark, given.Text("start"));
  if (!start.ok()) return settings.Complain("start", start.error().message());
  options->start = *start;
  options->settle = given.Duration("settle");
  // The moment itself may not be over: what still appears in it would lie behind the position.
  if (options->mark == Mark::kTime && !given.Has("settle")) options->settle = kSettleOfTimes;
  return {};
}

Status ReadRequests(const Settings& settings, const Given& given, pipeline::Environment& environment,
                    RestOptions* options) {
  options->secret_query = settings.text_map("secret_query");
  ASSIGN_OR_RETURN(options->headers, web::ReadHeaders(settings));
  if (!settings.text("ca_file").empty()) options->ca_file = environment.Resolve(settings.text("ca_file"));
  options->timeout = given.Duration("timeout");
  if (options->timeout.count() <= 0) return settings.Complain("timeout", "a time limit is more than 0");
  options->interval = given.Duration("interval");
  if (options->interval.count() <= 0) return settings.Complain("interval", "a time is more than 0");
  options->once = settings.boolean("once");
  options->max_answer_bytes = settings.bytes("max_answer");
  options->max_backlog_bytes = settings.bytes("max_backlog");
  if (options->max_answer_bytes == 0 || options->max_answer_bytes > (uint64_t{1} << 30))
    return settings.Complain("max_answer", "1 byte to 1GiB");
  if (options->max_backlog_bytes == 0) return settings.Complain("max_backlog", "nothing fits into 0 bytes");
  options->requests_per_second = given.Number("requests_per_second");
  if (!(options->requests_per_second >= 0))
    return settings.Complain("requests_per_second", "a rate is not negative");
  options->attempts = settings.integer("attempts");
  if (options->attempts < 1) return settings.Complain("attempts", "1 or more");
  return {};
}

// The name stands in positions, which are no place for a password.
std::string WithoutCredentials(const std::string& url) {
  const size_t host = url.find("://") + 3;
  const size_t end = std::min(url.find_first_of("/?", host), url.size());
  const size_t at = url.rfind('@', end);
  return at == std::string::npos || at < host ? url : url.substr(0, host) + url.substr(at + 1);
}

Status ReadUrl(const Settings& settings, const Preset& preset, RestOptions* options) {
  options->url = preset.url.empty() ? settings.text("url") : preset.url;
  const auto resolved = net::ResolveUrl(options->url, options->url);
  const bool is_http = options->url.starts_with("http://") || options->url.starts_with("https://");
  if (!is_http || !resolved.ok() || options->url.find_first_of(" \t\r\n#") != std::string::npos)
    return settings.Complain(
        "url",
        fmt::format("'{}' is no URL of a list, such as https://forum.example/posts.json", options->url));
  options->query = preset.query;
  for (const auto& [name, value] : settings.text_map("query")) options->query[name] = value;
  options->name = settings.text("name");
  if (options->name.empty()) {
    options->name = WithoutCredentials(options->url);
    for (const auto& [name, value] : options->query)
      options->name +=
          fmt::format("{}{}={}", options->name.find('?') == std::string::npos ? '?' : '&', name, value);
  }
  return {};
}

}  // namespace

Result<RestOptions> ReadRestOptions(const Settings& settings, pipeline::Environment& environment) {
  Preset preset;
  if (const std::string& name = settings.text("preset"); !name.empty()) {
    const std::string& url = settings.text("url");
    if (!url.starts_with("http://") && !url.starts_with("https://"))
      return settings.Complain("url", fmt::format("'{}' is no URL, such as https://forum.example", url));
    auto made = MakePreset(name, url);
    if (!made.ok()) return settings.Complain("url", made.error().message());
    preset = std::move(made).value();
  }
  const Given given(settings, preset);
  RestOptions options;
  RETURN_IF_ERROR(ReadUrl(settings, preset, &options));
  RETURN_IF_ERROR(ReadRequests(settings, given, environment, &options));
  RETURN_IF_ERROR(ReadPath(settings, given, "items", &options.items));
  ASSIGN_OR_RETURN(
      options.mapping,
      Mapping::Parse(settings.has("record") ? &settings.tree("record") : nullptr, preset.record));
  RETURN_IF_ERROR(ReadPaging(settings, given, &options));
  RETURN_IF_ERROR(ReadMarks(settings, given, &options));
  return options;
}

std::vector<Option> RestOptionDeclarations() {
  return {
      {.name = "url",
       .description = "The list; with a preset the server (a forum), or the repository",
       .is_required = true},
      {.name = "preset",
       .description =
           "What is known of an API: all options below but credentials and limits, and the record's fields",
       .allowed = PresetNames()},
      {.name = "query", .type = OptionType::kTextMap, .description = "Parameters of each request"},
      {.name = "secret_query",
       .type = OptionType::kTextMap,
       .description = "Parameters that nobody may see, such as a key",
       .is_sensitive = true},
      {.name = "headers",
       .type = OptionType::kTextMap,
       .description = "Header fields of each request, such as Api-Key",
       .is_sensitive = true},
      {.name = "token", .description = "Bearer token to show", .is_sensitive = true},
      {.name = "ca_file", .description = "PEM file of the authorities to trust instead of the system's"},
      {.name = "items",
       .description = "Where in the answer the list stands, such as data.posts; empty = the answer is it"},
      {.name = "record",
       .type = OptionType::kTree,
       .description =
           "{FIELD: VALUE} of the record; a value is a text, {from: PLACE}, {from: [PLACE, ...]} for the first that "
           "is there, or {join: [PLACE, ...]}; a place is one in the item, such as author.name or tags[0]. metadata "
           "is the whole item unless said otherwise"},
      {.name = "mark",
       .description =
           "What tells new items: their place in a list that grows at its end only, or a number or time of their own "
           "that grows; with a time an item comes again when it was changed",
       .default_text = "position",
       .allowed = {"position", "number", "time"}},
      {.name = "mark_path",
       .description = "Where in an item the number or time stands, such as id or updated_at"},
      {.name = "order",
       .description = "Of the list. newest_first: read until a page has nothing new, then delivered in order",
       .default_text = "oldest_first",
       .allowed = {"oldest_first", "newest_first"}},
      {.name = "since_parameter",
       .description = "Parameter that asks for items from a mark on: the last number, or time in RFC 3339"},
      {.name = "start", .description = "Mark of the first item that is taken; empty = from the beginning"},
      {.name = "settle",
       .type = OptionType::kDuration,
       .description =
           "How old an item must be (by the time of 'mark', else created_at) to be taken: what is being written may "
           "show up behind a later one. With 'mark: time' 2s unless said otherwise",
       .default_text = "0s"},
      {.name = "pagination",
       .description =
           "How one page leads to the next: a page's number, a number of items to pass over, a link (at 'next' in the "
           "answer, else in the header Link), a token (at 'next'); before: the newest items below a number are asked "
           "for, span by span upwards",
       .default_text = "none",
       .allowed = {"none", "page", "offset", "link", "cursor", "before"}},
      {.name = "page_parameter",
       .description = "Parameter with the page, offset, token or number; empty = named as the pagination"},
      {.name = "first_page",
       .type = OptionType::kInteger,
       .description = "Number of the first page",
       .default_text = "1"},
      {.name = "page_size",
       .type = OptionType::kInteger,
       .description = "Items of a full page, not more than the server gives; 0 = not known",
       .default_text = "0"},
      {.name = "size_parameter", .description = "Parameter that asks for pages of page_size"},
      {.name = "next", .description = "Where in the answer the link to the next page stands, or its token"},
      {.name = "interval",
       .type = OptionType::kDuration,
       .description = "How long to wait at the end of the list before looking again",
       .default_text = "60s"},
      {.name = "once",
       .type = OptionType::kBoolean,
       .description = "End at the end of the list, instead of looking again",
       .default_text = "false"},
      {.name = "requests_per_second",
       .type = OptionType::kNumber,
       .description = "Requests at most; 0 = no limit but the server's",
       .default_text = "5"},
      {.name = "timeout",
       .type = OptionType::kDuration,
       .description = "Time limit of a request",
       .default_text = "30s"},
      {.name = "max_answer",
       .type = OptionType::kBytes,
       .description = "Largest answer",
       .default_text = "16MiB"},
      {.name = "max_backlog",
       .type = OptionType::kBytes,
       .description = "With newest_first: largest sum of answers that wait to be delivered in order",
       .default_text = "256MiB"},
      {.name = "attempts",
       .type = OptionType::kInteger,
       .description = "With once: failures in a row, without a new item, before it ends as failed",
       .default_text = "10"},
      {.name = "name",
       .description =
           "Under which the position is kept; empty = the URL with its query. Two readers of one list need two"},
  };
}

}  // namespace sluice::connectors::rest
