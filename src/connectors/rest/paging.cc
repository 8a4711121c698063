#include "connectors/rest/paging.h"

#include <nlohmann/json.hpp>

#include "base/names.h"

namespace sluice::connectors::rest {
namespace {

constexpr size_t kMaxTokenBytes = 4096;

// What `next` says in the answer: a text or a number that is not empty.
Result<std::optional<std::string>> NextText(const RestOptions& options, const Answer& answer,
                                            const std::string& url) {
  const auto value = FindValue(answer.body, options.next);
  if (!value || *value == "false") return std::optional<std::string>();
  auto text = TextOf(*value);
  if (!text || text->size() > kMaxTokenBytes || value->starts_with('{') || value->starts_with('['))
    return MakeError(ErrorCode::kCorruption, "'{}' in the answer of '{}' is no token or link: {}",
                     options.next.text, Client::Shown(url), value->substr(0, 200));
  return text->empty() ? std::optional<std::string>() : text;
}

Result<std::optional<PageRef>> NextNumbered(const RestOptions& options, const PageRef& page,
                                            const std::string& url, int64_t count) {
  if (SizeCounts(options) && count > options.page_size)
    return MakeError(ErrorCode::kCorruption,
                     "'{}' has {} items on a page, more than the option 'page_size' says ({})",
                     Client::Shown(url), count, options.page_size);
  if (count == 0) return std::optional<PageRef>();
  PageRef next;
  next.base = page.base + count;
  if (options.paging == Paging::kPage) {
    const int64_t number = page.token.empty() ? options.first_page : std::atoll(page.token.c_str());
    next.token = std::to_string(number + 1);
  } else {
    next.token = std::to_string(next.base);
  }
  return std::optional<PageRef>(std::move(next));
}

}  // namespace

std::string CursorOf(const PageRef& page) {
  if (page == PageRef()) return "";
  return nlohmann::json({{"page", page.token}, {"base", page.base}})
      .dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::json::error_handler_t::replace);
}

PageRef PageOf(std::string_view cursor) {
  const auto json = nlohmann::json::parse(cursor, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return {};
  const auto page = json.find("page");
  const auto base = json.find("base");
  if (page == json.end() || !page->is_string() || base == json.end() || !base->is_number_integer()) return {};
  return {page->get<std::string>(), base->get<int64_t>()};
}

std::string UrlOf(const RestOptions& options, const Client& client, const PageRef& page,
                  const std::string& since) {
  if (options.paging == Paging::kLink && !page.token.empty()) return page.token;
  std::vector<std::pair<std::string, std::string>> parameters;
  if (!options.size_parameter.empty())
    parameters.emplace_back(options.size_parameter, std::to_string(options.page_size));
  if (!since.empty()) parameters.emplace_back(options.since_parameter, since);
  if (options.paging == Paging::kPage) {
    parameters.emplace_back(options.page_parameter,
                            page.token.empty() ? std::to_string(options.first_page) : page.token);
  } else if (options.paging == Paging::kOffset) {
    parameters.emplace_back(options.page_parameter, std::to_string(page.base));
  } else if (!page.token.empty()) {
    parameters.emplace_back(options.page_parameter, page.token);
  }
  return client.UrlWith(parameters);
}

Result<std::optional<PageRef>> NextPage(const RestOptions& options, const Client& client, const PageRef& page,
                                        const std::string& url, const Answer& answer, int64_t count) {
  switch (options.paging) {
    case Paging::kNone:
    case Paging::kBefore:
      return std::optional<PageRef>();
    case Paging::kPage:
    case Paging::kOffset:
      return NextNumbered(options, page, url, count);
    case Paging::kCursor:
    case Paging::kLink:
      break;
  }
  std::optional<std::string> next;
  if (options.paging == Paging::kLink && options.next.steps.empty()) {
    next = NextLink(answer.headers.Joined("Link"));
  } else {
    ASSIGN_OR_RETURN(next, NextText(options, answer, url));
  }
  // Some give a token at the end as well, and no items.
  if (!next || (options.paging == Paging::kCursor && count == 0)) return std::optional<PageRef>();
  if (options.paging == Paging::kLink) {
    ASSIGN_OR_RETURN(next, client.Follow(url, *next));
  }
  return std::optional<PageRef>(PageRef{*std::move(next), page.base + count});
}

Result<std::vector<std::string_view>> ItemsOf(const RestOptions& options, const Answer& answer,
                                              const std::string& url) {
  const auto list = FindValue(answer.body, options.items);
  auto items = list ? Elements(*list) : std::nullopt;
  if (items) return *std::move(items);
  const auto names = MemberNames(answer.body);
  return MakeError(ErrorCode::kCorruption,
                   "the answer of '{}' has no list at '{}', which is the option 'items'{}",
                   Client::Shown(url), options.items.text,
                   names.empty() ? "" : fmt::format("; it has {}", JoinNames(names)));
}

std::optional<std::string> NextLink(std::string_view header) {
  for (size_t at = header.find('<'); at != std::string_view::npos; at = header.find('<', at + 1)) {
    const size_t end = header.find('>', at);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view link = header.substr(at + 1, end - at - 1);
    // Parameters reach to the next comma outside of quotes.
    bool is_quoted = false;
    size_t stop = end + 1;
    for (; stop < header.size() && (is_quoted || header[stop] != ','); ++stop) {
      if (header[stop] == '"') is_quoted = !is_quoted;
    }
    std::string_view parameters = header.substr(end + 1, stop - end - 1);
    while (!parameters.empty()) {
      parameters.remove_prefix(1);  // the semicolon
      const std::string_view one = net::Trimmed(parameters.substr(0, parameters.find(';')));
      const size_t equals = one.find('=');
      if (equals != std::string_view::npos &&
          net::EqualsIgnoringCase(net::Trimmed(one.substr(0, equals)), "rel")) {
        std::string_view relations = net::Trimmed(one.substr(equals + 1));
        if (relations.starts_with('"') && relations.ends_with('"') && relations.size() >= 2)
          relations = relations.substr(1, relations.size() - 2);
        while (!relations.empty()) {
          const size_t space = relations.find(' ');
          if (net::EqualsIgnoringCase(relations.substr(0, space), "next")) return std::string(link);
          relations = space == std::string_view::npos ? std::string_view() : relations.substr(space + 1);
        }
      }
      const size_t next = parameters.find(';');
      parameters = next == std::string_view::npos ? std::string_view() : parameters.substr(next);
    }
    at = stop;
  }
  return std::nullopt;
}

}  // namespace sluice::connectors::rest
