#include "connectors/rest/source.h"

#include <algorithm>
#include <functional>

#include "connectors/rest/marks.h"
#include "net/url.h"
#include "pipeline/backoff.h"
#include "pipeline/environment.h"

namespace sluice::connectors::rest {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kOpenTimeout{10'000};
constexpr int kTries = 3;
constexpr int64_t kMostAheadSeconds = 60;
constexpr size_t kMostChecked = 1'000'000;
const pipeline::RetryOptions kPauses{.initial = milliseconds(500), .max = seconds(60)};

size_t HashOf(std::string_view text) { return std::hash<std::string_view>()(text); }

// The page that was reached last time is not known any more.
bool IsGone(ErrorCode code) {
  return code == ErrorCode::kNotFound || code == ErrorCode::kInvalidArgument ||
         code == ErrorCode::kPrecondition || code == ErrorCode::kInvalidRecords;
}

// By marks. What comes while pages are turned pushes others to the next one, where they are seen again.
void SortOnce(const RestOptions& options, std::vector<Entry>* entries) {
  std::stable_sort(entries->begin(), entries->end(),
                   [](const Entry& a, const Entry& b) { return a.mark < b.mark; });
  const auto end = std::unique(entries->begin(), entries->end(), [&](const Entry& a, const Entry& b) {
    if (a.mark != b.mark || !a.wrong.empty() || !b.wrong.empty()) return false;
    const std::string id = options.mapping.ValueOf(a.item, pipeline::Column::kDataId);
    return a.item == b.item ||
           (!id.empty() && id == options.mapping.ValueOf(b.item, pipeline::Column::kDataId));
  });
  entries->erase(end, entries->end());
}

}  // namespace

RestSource::RestSource(RestOptions options, pipeline::Environment& environment)
    : options_(std::move(options)), environment_(environment), progress_(options_) {}

Result<std::shared_ptr<arrow::RecordBatch>> RestSource::Reread(std::string_view item) const {
  std::string line;
  RETURN_IF_ERROR(options_.mapping.Append(net::Trimmed(item), &line));
  return pipeline::ParseAll(line);
}

Status RestSource::MakeClient() {
  ASSIGN_OR_RETURN(client_, Client::Make(options_));
  return {};
}

std::string RestSource::Since() const {
  const bool is_said = !options_.since_parameter.empty() && progress_.next() > 0;
  return is_said ? SinceText(options_.mark, progress_.next()) : "";
}

Status RestSource::Open(const pipeline::Places& from) {
  progress_.GoOnFrom(from);
  const std::string url = UrlOf(options_, *client_, PageRef(), Since());
  // A limit at the start is no reason to wait here.
  std::stop_source limited;
  const std::stop_callback at_stop(environment_.stop(), [&] { limited.request_stop(); });
  auto page = Ask(
      url, std::min(options_.timeout, kOpenTimeout), [&](milliseconds) { limited.request_stop(); },
      limited.get_token());
  if (page.ok()) {
    opened_.emplace(url, *std::move(page));
    return {};
  }
  if (limited.stop_requested()) return {};
  Error error = std::move(page).error();
  if (!IsRetryable(error.code()) && error.code() != ErrorCode::kTooLarge)
    return std::move(error).With(fmt::format("option 'url' ({})", Client::Shown(options_.url)));
  NoteOnce(error);
  return {};
}

Status RestSource::Read(pipeline::Feeder& feeder, const std::function<void(Status)>& tell,
                        const std::stop_token& stop) {
  int64_t failures = 0;
  while (!stop.stop_requested()) {
    Sweep sweep{feeder, tell, stop};
    Status swept = SweepList(sweep);
    if (stop.stop_requested()) break;
    if (swept.ok()) {
      failures = 0;
      tell({});
      noted_.clear();
      if (options_.once) return {};
      Idle(feeder, options_.interval, stop);
      continue;
    }
    failures = progress_.next() > sweep.start ? 1 : failures + 1;
    if (options_.once && failures >= options_.attempts) return swept;
    NoteOnce(swept.error());
    tell(swept);
    Idle(feeder, pipeline::PauseBefore(kPauses, failures), stop);
  }
  return {};
}

Status RestSource::SweepList(Sweep& sweep) {
  sweep.start = progress_.next();
  if (options_.paging == Paging::kBefore) return Spans(sweep);
  return options_.newest_first ? NewestFirst(sweep) : OldestFirst(sweep);
}

PageRef RestSource::PageReached() const {
  // With `since` the mark says it all.
  if (!options_.since_parameter.empty()) return {};
  if (options_.paging == Paging::kOffset && options_.mark == Mark::kIndex)
    return {std::to_string(progress_.next()), progress_.next()};
  // A place that was kept for another server is none here.
  const PageRef& page = progress_.page();
  const bool is_elsewhere = options_.paging == Paging::kLink && !page.token.empty() &&
                            net::OriginOf(page.token) != net::OriginOf(options_.url);
  return is_elsewhere ? PageRef() : page;
}

Status RestSource::OldestFirst(Sweep& sweep) {
  const bool has_since = !options_.since_parameter.empty();
  PageRef page = PageReached();
  bool is_resumed = page != PageRef();
  Held held;
  while (true) {
    const std::string url = UrlOf(options_, *client_, page, Since());
    auto fetched = Fetch(sweep, url);
    if (!fetched.ok() && is_resumed && IsGone(fetched.error().code())) {
      environment_.Note(
          fmt::format("rest: the page reached is not there any more ({}): going on from the first",
                      fetched.error().message()));
      page = PageRef();
      is_resumed = false;
      continue;
    }
    if (!fetched.ok()) return std::move(fetched).error();
    is_resumed = false;
    const auto got = *std::move(fetched);
    const auto count = static_cast<int64_t>(got->items.size());
    RETURN_IF_ERROR(CheckMoves(sweep, url, *got));
    RETURN_IF_ERROR(CheckOrder(sweep, got->items, page.base));
    auto entries = progress_.NewOf(got->items, page.base, got->answer.server_seconds);
    const bool is_young = HoldBack(&entries, got->answer.server_seconds);
    auto next = Next(sweep, page, url, *got);
    const bool is_last = next.ok() && (!*next || (SizeCounts(options_) && count < options_.page_size));
    const int64_t before = progress_.next();
    RETURN_IF_ERROR(DeliverRipe(sweep, &held, std::move(entries), got, page, is_young || is_last));
    if (is_young) return {};
    const bool is_on = progress_.next() > before;
    if (has_since && is_on) {
      // What changes while pages are turned moves to the end and pulls others forward: never turn a page
      // that can be asked for anew.
      page = PageRef();
      held = Held();
      sweep.pages.clear();
      sweep.last_body = 0;
      continue;
    }
    if (!next.ok()) return std::move(next).error();
    if (is_on) RETURN_IF_ERROR(CheckFull(sweep, page, count));
    if (is_last) return CheckGrown(url, page.base + count);
    page = **std::move(next);
  }
}

Status RestSource::DeliverRipe(Sweep& sweep, Held* held, std::vector<Entry> entries,
                               const std::shared_ptr<Page>& got, const PageRef& page, bool is_all) {
  if (held->entries.empty()) held->first = page;
  std::vector<Entry> ripe = std::move(held->entries);
  std::move(entries.begin(), entries.end(), std::back_inserter(ripe));
  SortOnce(options_, &ripe);
  held->entries.clear();
  if (options_.mark == Mark::kTime && !is_all && !ripe.empty()) {
    const int64_t moment = ripe.back().mark >> kTieBits;
    const auto split = std::find_if(ripe.begin(), ripe.end(),
                                    [&](const Entry& entry) { return entry.mark >> kTieBits == moment; });
    held->entries.assign(std::make_move_iterator(split), std::make_move_iterator(ripe.end()));
    ripe.erase(split, ripe.end());
  }
  for (const Entry& entry : ripe) {
    if (sweep.marks.size() < kMostChecked) sweep.marks.insert(entry.mark);
  }
  const bool has_since = !options_.since_parameter.empty();
  const bool is_any = !ripe.empty();
  RETURN_IF_ERROR(
      progress_.Deliver(std::move(ripe), has_since ? PageRef() : held->first, sweep.feeder, sweep.stop));
  // What is held now is of the last moment, and so of this page alone, or of all pages since the first.
  if (is_any) {
    held->first = page;
    held->pages.clear();
    held->bytes = 0;
  }
  if (held->entries.empty()) return {};
  held->pages.push_back(got);
  held->bytes += got->answer.body.size();
  return CheckBacklog(held->bytes);
}

Status RestSource::CheckBacklog(uint64_t bytes) const {
  if (bytes <= options_.max_backlog_bytes) return {};
  return MakeError(
      ErrorCode::kTooLarge,
      "'{}' has more new items than the option 'max_backlog' has room for ({} bytes): give 'start' to "
      "begin later, or more room",
      Client::Shown(options_.url), options_.max_backlog_bytes);
}

Status RestSource::CheckGrown(const std::string& url, int64_t count) const {
  if (options_.mark != Mark::kIndex || count >= progress_.next()) return {};
  return MakeError(
      ErrorCode::kCorruption,
      "the list of '{}' has {} items and had {}: what does not only grow at its end needs the option "
      "'mark'",
      Client::Shown(url), count, progress_.next());
}

Status RestSource::NewestFirst(Sweep& sweep) {
  std::vector<std::shared_ptr<Page>> pages;  // that the entries point into
  std::vector<Entry> backlog;
  uint64_t bytes = 0;
  int64_t server_seconds = 0;
  PageRef page;
  while (true) {
    const std::string url = UrlOf(options_, *client_, page, Since());
    ASSIGN_OR_RETURN(auto got, Fetch(sweep, url));
    RETURN_IF_ERROR(CheckMoves(sweep, url, *got));
    if (server_seconds == 0) server_seconds = got->answer.server_seconds;
    auto entries = progress_.NewOf(got->items, 0, got->answer.server_seconds);
    // Items without a mark do not say whether there are more new ones.
    const bool is_new =
        std::any_of(entries.begin(), entries.end(), [](const Entry& e) { return e.wrong.empty(); });
    ASSIGN_OR_RETURN(auto next, Next(sweep, page, url, *got));
    bytes += got->answer.body.size();
    RETURN_IF_ERROR(CheckBacklog(bytes));
    std::move(entries.begin(), entries.end(), std::back_inserter(backlog));
    if (!backlog.empty()) pages.push_back(std::move(got));
    if (!is_new || !next) break;
    page = *std::move(next);
  }
  SortOnce(options_, &backlog);
  HoldBack(&backlog, server_seconds);
  return progress_.Deliver(std::move(backlog), PageRef(), sweep.feeder, sweep.stop);
}

Status RestSource::Spans(Sweep& sweep) {
  const std::string url = UrlOf(options_, *client_, PageRef(), "");
  ASSIGN_OR_RETURN(auto newest, Fetch(sweep, url));
  int64_t first = INT64_MAX, last = -1;
  for (const std::string_view item : newest->items) {
    const auto mark = MarkOf(options_, item, 0);
    if (!mark.ok()) continue;
    first = std::min(first, *mark);
    last = std::max(last, *mark);
  }
  // All that is new is on the newest page.
  if (first <= progress_.next() || last < 0) {
    auto entries = progress_.NewOf(newest->items, 0, newest->answer.server_seconds);
    HoldBack(&entries, newest->answer.server_seconds);
    return progress_.Deliver(std::move(entries), PageRef(), sweep.feeder, sweep.stop);
  }
  while (progress_.next() <= last) {
    // One less than a page: whether the number itself is meant is not the same everywhere.
    const int64_t end = std::min(progress_.next() + options_.page_size - 1, last + 1);
    const std::string span = UrlOf(options_, *client_, PageRef{std::to_string(end), 0}, "");
    ASSIGN_OR_RETURN(auto got, Fetch(sweep, span));
    auto entries = progress_.NewOf(got->items, 0, got->answer.server_seconds);
    if (!entries.empty() && entries.back().mark > end)
      return MakeError(ErrorCode::kCorruption,
                       "'{}' gave item {} where those below {} were asked for: it does not know the "
                       "parameter '{}' (option 'page_parameter')",
                       Client::Shown(span), entries.back().mark, end, options_.page_parameter);
    std::erase_if(entries, [&](const Entry& entry) { return entry.mark >= end; });
    const bool is_young = HoldBack(&entries, got->answer.server_seconds);
    RETURN_IF_ERROR(progress_.Deliver(std::move(entries), PageRef(), sweep.feeder, sweep.stop));
    if (is_young) return {};
    RETURN_IF_ERROR(progress_.SkipTo(end, sweep.feeder, sweep.stop));
  }
  return {};
}

Status RestSource::CheckMoves(Sweep& sweep, const std::string& url, const Page& got) const {
  std::string shown;  // what tells one page from another
  for (const std::string_view item : got.items) {
    const auto mark = MarkOf(options_, item, 0);
    shown += options_.mark != Mark::kIndex && mark.ok() ? std::to_string(*mark) + ' ' : std::string(item);
  }
  const size_t body = HashOf(shown);
  if (!got.items.empty() && body == sweep.last_body)
    return MakeError(ErrorCode::kCorruption,
                     "two pages of '{}' are the same: it does not know the parameter '{}' (option "
                     "'page_parameter'), or goes in a circle",
                     Client::Shown(url), options_.page_parameter);
  sweep.last_body = body;
  return {};
}

Result<std::optional<PageRef>> RestSource::Next(Sweep& sweep, const PageRef& page, const std::string& url,
                                                const Page& got) const {
  sweep.pages.insert(HashOf(url));
  ASSIGN_OR_RETURN(
      auto next, NextPage(options_, *client_, page, url, got.answer, static_cast<int64_t>(got.items.size())));
  if (next && sweep.pages.contains(HashOf(UrlOf(options_, *client_, *next, Since()))))
    return MakeError(ErrorCode::kCorruption, "the pages of '{}' go in a circle: '{}' was there before",
                     Client::Shown(url), next->token);
  return next;
}

Status RestSource::CheckOrder(const Sweep& sweep, const std::vector<std::string_view>& items,
                              int64_t base) const {
  if (options_.mark == Mark::kIndex || sweep.marks.size() >= kMostChecked) return {};
  for (const std::string_view item : items) {
    const auto mark = MarkOf(options_, item, base);
    if (!mark.ok() || *mark < sweep.start || *mark >= progress_.next() || sweep.marks.contains(*mark))
      continue;
    return MakeError(ErrorCode::kCorruption,
                     "the items of '{}' are not in the order of '{}', oldest first: set the option 'order'",
                     Client::Shown(options_.url), options_.mark_path.text);
  }
  return {};
}

Status RestSource::CheckFull(Sweep& sweep, const PageRef& page, int64_t count) {
  if (!SizeCounts(options_) || count == 0 || count >= options_.page_size) return {};
  const int64_t number = page.token.empty() ? options_.first_page : std::atoll(page.token.c_str());
  const std::string url = UrlOf(options_, *client_, PageRef{std::to_string(number + 1), 0}, "");
  ASSIGN_OR_RETURN(const auto next, Fetch(sweep, url));
  if (next->items.empty()) return {};
  return MakeError(ErrorCode::kCorruption,
                   "a page of '{}' has {} items and is not the last, but the option 'page_size' says {}",
                   Client::Shown(url), count, options_.page_size);
}

bool RestSource::HoldBack(std::vector<Entry>* entries, int64_t server_seconds) const {
  if (options_.settle.count() <= 0) return false;
  const int64_t limit = server_seconds - std::chrono::ceil<seconds>(options_.settle).count();
  const auto young = std::find_if(entries->begin(), entries->end(), [&](const Entry& entry) {
    const auto at = SecondsOf(options_, entry.item);
    return at && *at > limit && *at <= server_seconds + kMostAheadSeconds;  // one in the future never ripens
  });
  const bool is_any = young != entries->end();
  entries->erase(young, entries->end());
  return is_any;
}

Result<std::shared_ptr<RestSource::Page>> RestSource::Ask(const std::string& url, milliseconds timeout,
                                                          const std::function<void(milliseconds)>& limited,
                                                          const std::stop_token& stop) {
  auto page = std::make_shared<Page>();
  ASSIGN_OR_RETURN(page->answer, client_->Get(url, timeout, limited, stop));
  ASSIGN_OR_RETURN(page->items, ItemsOf(options_, page->answer, url));
  return page;
}

Result<std::shared_ptr<RestSource::Page>> RestSource::Fetch(Sweep& sweep, const std::string& url) {
  if (opened_) {
    auto opened = std::move(*opened_);
    opened_.reset();
    if (opened.first == url) return std::move(opened.second);
  }
  const auto limited = [&](milliseconds wait) {
    if (wait >= seconds(5))
      environment_.Note(fmt::format("rest: '{}' asks to wait {} s", Client::Shown(url), wait.count() / 1000));
  };
  for (int64_t attempt = 1;; ++attempt) {
    auto page = Ask(url, options_.timeout, limited, sweep.stop);
    if (page.ok()) {
      sweep.tell({});
      return page;
    }
    const ErrorCode code = page.error().code();
    const bool may_pass =
        IsRetryable(code) || code == ErrorCode::kCorruption || code == ErrorCode::kUnsupported;
    if (!may_pass || attempt >= kTries) return page;
    sweep.tell(page.error());
    NoteOnce(page.error());
    if (!pipeline::SleepFor(pipeline::PauseBefore(kPauses, attempt), sweep.stop))
      return MakeError(ErrorCode::kCancelled, "stopped");
  }
}

void RestSource::NoteOnce(const Error& error) {
  std::string text = error.ToString();
  if (text == noted_) return;
  environment_.Note("rest: " + text);
  noted_ = std::move(text);
}

void RestSource::Idle(pipeline::Feeder& feeder, milliseconds pause, const std::stop_token& stop) {
  constexpr milliseconds kStep{200};  // what failed is offered again
  const auto until = std::chrono::steady_clock::now() + pause;
  while (!stop.stop_requested()) {
    if (!feeder.Pump(stop).ok()) return;
    const auto rest = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now());
    if (rest.count() <= 0) return;
    pipeline::SleepFor(std::min(rest, kStep), stop);
  }
}

}  // namespace sluice::connectors::rest
