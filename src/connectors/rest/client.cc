#include "connectors/rest/client.h"

#include <ctime>

#include "net/body_coding.h"
#include "net/http_condition.h"
#include "net/quote.h"
#include "net/url.h"
#include "pipeline/json_scan.h"

namespace sluice::connectors::rest {
namespace {

constexpr uint32_t kMaxDepth = UINT32_MAX;  // bounded by the answer; that of an item is looked at on its own

constexpr size_t kMaxUrlBytes = 4096;
constexpr int kMaxRedirects = 5;

// The beginning of what a server says, for messages.
std::string Shortened(std::string_view text) {
  return net::OneLine(net::TextOfMarkup(text.substr(0, 4096)), 200);
}

void AddParameter(std::string_view name, std::string_view value, std::string* url) {
  *url += url->find('?') == std::string::npos ? '?' : '&';
  *url += net::PercentEncode(name);
  *url += '=';
  *url += net::PercentEncode(value);
}

// What `text` says of `whole`, said of `shown`.
std::string Replaced(std::string text, const std::string& whole, const std::string& shown) {
  for (size_t at = text.find(whole); at != std::string::npos; at = text.find(whole, at + shown.size()))
    text.replace(at, whole.size(), shown);
  return text;
}

// Whether every parameter of `asked` is still there after redirects: without them it is another list.
bool KeepsParameters(const std::string& asked, const std::string& answered) {
  const size_t query = asked.find('?');
  if (query == std::string::npos || asked == answered) return true;
  const size_t other = answered.find('?');
  const std::string kept = other == std::string::npos ? "" : "&" + answered.substr(other + 1) + "&";
  for (size_t at = query + 1; at < asked.size();) {
    const size_t end = std::min(asked.find('&', at), asked.size());
    if (kept.find("&" + asked.substr(at, end - at) + "&") == std::string::npos) return false;
    at = end + 1;
  }
  return true;
}

// The server asks to come later, by a status that means so, or by 403 with an allowance that is used up.
bool IsLimit(const net::HttpAnswer& answer, int64_t now) {
  if (answer.status == 429) return true;
  return answer.status == 403 && (answer.headers.Contains("Retry-After") || UntilReset(answer.headers, now));
}

// Some servers compress what nobody asked them to.
Result<std::string> Expanded(const net::HttpAnswer& answer, uint64_t max_bytes) {
  ASSIGN_OR_RETURN(const auto coding, net::BodyCodingOf(answer.headers));
  if (coding == net::BodyCoding::kIdentity) return answer.body;
  ASSIGN_OR_RETURN(const auto decoder, net::BodyDecoder::Make(coding, {.max_bytes = max_bytes}));
  std::string expanded;
  std::string_view rest = answer.body;
  for (size_t before = 1; !rest.empty() || before != expanded.size();) {
    before = expanded.size();
    RETURN_IF_ERROR(decoder->Decode(rest, expanded));
  }
  RETURN_IF_ERROR(decoder->Finish());
  return expanded;
}

// Without the mark of UTF-8 that some servers put in front.
void DropByteOrderMark(std::string* text) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  if (text->starts_with(kMark)) text->erase(0, kMark.size());
}

}  // namespace

Result<std::unique_ptr<Client>> Client::Make(const RestOptions& options) {
  for (const auto& [name, value] : options.headers) {
    if (!net::IsSafeField(name, value)) return InvalidArgument("header '{}' is no valid header field", name);
  }
  ASSIGN_OR_RETURN(auto http, net::HttpClient::Make({.user_agent = "sluice", .ca_file = options.ca_file}));
  return std::unique_ptr<Client>(new Client(options, std::move(http)));
}

std::string Client::UrlWith(const std::vector<std::pair<std::string, std::string>>& parameters) const {
  std::string url = options_.url;
  for (const auto& [name, value] : options_.query) AddParameter(name, value, &url);
  for (const auto& [name, value] : parameters) AddParameter(name, value, &url);
  return url;
}

Result<std::string> Client::Follow(const std::string& url, const std::string& link) const {
  ASSIGN_OR_RETURN(std::string next, net::ResolveUrl(url, link));
  if (net::OriginOf(next) != net::OriginOf(options_.url))
    return MakeError(ErrorCode::kPermissionDenied,
                     "the next link of '{}' leads to another server, '{}': nothing is asked there",
                     Shown(url), Shown(next));
  // An answer may repeat what it was asked with; that is to be kept nowhere.
  const size_t query = next.find('?');
  if (query != std::string::npos && !options_.secret_query.empty()) {
    std::string kept = next.substr(0, query);
    for (size_t at = query + 1; at < next.size();) {
      const size_t end = std::min(next.find('&', at), next.size());
      const std::string parameter = next.substr(at, end - at);
      const auto name = net::PercentDecode(parameter.substr(0, parameter.find('=')));
      if (!name.ok() || !options_.secret_query.contains(*name)) {
        kept += kept.size() == query ? '?' : '&';
        kept += parameter;
      }
      at = end + 1;
    }
    next = std::move(kept);
  }
  if (next.size() > kMaxUrlBytes)
    return MakeError(ErrorCode::kTooLarge, "the next link of '{}' has more than {} bytes", Shown(url),
                     kMaxUrlBytes);
  return next;
}

Error Client::ErrorOf(const std::string& url, const net::HttpAnswer& answer) const {
  const int status = answer.status;
  if (status == 401 || status == 403) {
    const bool has_any = !options_.headers.empty() || !options_.secret_query.empty();
    return Error(
        status == 401 ? ErrorCode::kUnauthenticated : ErrorCode::kPermissionDenied,
        fmt::format("'{}' refuses the credentials ({}), which are the options 'token', 'headers' and "
                    "'secret_query'{}: {}",
                    Shown(url), status, has_any ? "" : ", none of them set", Shortened(answer.body)));
  }
  const Status checked = net::CheckAnswer(answer);
  return Error(checked.ok() ? ErrorCode::kUnavailable : checked.error().code(),
               fmt::format("'{}' answered {}: {}", Shown(url), status, Shortened(answer.body)));
}

Result<Answer> Client::Get(const std::string& url, std::chrono::milliseconds timeout,
                           const std::function<void(std::chrono::milliseconds)>& limited,
                           const std::stop_token& stop) {
  net::HttpCall call;
  call.url = url;
  for (const auto& [name, value] : options_.secret_query) AddParameter(name, value, &call.url);
  call.headers.Set("Accept", "application/json");
  for (const auto& [name, value] : options_.headers) call.headers.Set(name, value);
  call.timeout = timeout;
  call.connect_timeout = timeout;
  call.max_redirects = kMaxRedirects;
  call.max_body_bytes = options_.max_answer_bytes;
  constexpr std::chrono::milliseconds kFirstPause{1000}, kLongestPause{60'000};
  for (auto pause = kFirstPause;; pause = std::min(pause * 2, kLongestPause)) {
    if (!pace_.Wait(stop)) return MakeError(ErrorCode::kCancelled, "stopped");
    auto got = http_->Send(call, stop);
    if (!got.ok()) {
      std::string message = Replaced(got.error().ToString(), call.url, Shown(url));
      if (got.error().code() == ErrorCode::kTooLarge)
        message += ": the option 'max_answer' says how large an answer may be";
      return Error(got.error().code(), fmt::format("'{}': {}", Shown(url), message));
    }
    const auto date = got->headers.Find("Date");
    const auto server = date ? net::ParseHttpDate(*date) : std::nullopt;
    const int64_t now = server.value_or(static_cast<int64_t>(std::time(nullptr)));
    if (IsLimit(*got, now)) {
      const auto said = net::RetryAfter(got->headers, now);
      const auto wait = said ? said : UntilReset(got->headers, now);
      pace_.Hold(wait.value_or(pause));
      limited(wait.value_or(pause));
      continue;
    }
    if (const auto wait = UntilReset(got->headers, now)) pace_.Hold(*wait);
    if (got->status / 100 != 2) {
      // 503 with a time to come again: no sooner, but it is an error meanwhile.
      if (const auto wait = net::RetryAfter(got->headers, now)) pace_.Hold(*wait);
      return ErrorOf(url, *got);
    }
    if (!KeepsParameters(call.url, got->url))
      return MakeError(
          ErrorCode::kUnsupported,
          "'{}' redirects to '{}' without the parameters of the request: set the option 'url' to "
          "where the list is",
          Shown(url), Shown(got->url));
    auto body = Expanded(*got, options_.max_answer_bytes);
    if (!body.ok())
      return Error(body.error().code(),
                   fmt::format("the answer of '{}': {}", Shown(url), body.error().ToString()));
    got->body = *std::move(body);
    DropByteOrderMark(&got->body);
    std::string why;
    if (!pipeline::IsJson(got->body, kMaxDepth, &why))
      return MakeError(ErrorCode::kCorruption, "the answer of '{}' is no JSON ({}): {}", Shown(url), why,
                       Shortened(got->body));
    return Answer{std::move(got->body), std::move(got->headers), now};
  }
}

}  // namespace sluice::connectors::rest
