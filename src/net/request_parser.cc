#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>

#include "net/request_parser_internal.h"

namespace sluice::net {

namespace http = boost::beast::http;

namespace {

std::string_view ToStd(boost::beast::string_view text) { return {text.data(), text.size()}; }

bool IsDigits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// `http://host/path?query` -> `/path?query`, and the host; the text itself when it is not an absolute
// address.
std::string_view OriginForm(std::string_view target, std::optional<std::string>* host) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (target.size() < scheme.size() || !EqualsIgnoringCase(target.substr(0, scheme.size()), scheme))
      continue;
    target.remove_prefix(scheme.size());
    const size_t end = std::min(target.find_first_of("/?#"), target.size());
    if (end == 0) return {};  // no host
    *host = target.substr(0, end);
    return end == target.size() ? std::string_view("/") : target.substr(end);
  }
  return target;
}

bool HasEncodedSlash(std::string_view path) {
  for (size_t at = path.find('%'); at != std::string_view::npos; at = path.find('%', at + 1)) {
    const std::string_view escape = path.substr(at, 3);
    for (const std::string_view slash : {"%2f", "%5c"}) {
      if (EqualsIgnoringCase(escape, slash)) return true;
    }
  }
  return false;
}

bool HasDotSegment(std::string_view path) {
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    if (path.substr(0, end) == "." || path.substr(0, end) == "..") return true;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return false;
}

bool HasControl(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// Of the first line, which is then taken for one with another version of the protocol.
bool LacksCarriageReturn(std::string_view head) {
  const std::string_view line = head.substr(0, head.find('\n'));
  return line.size() < head.size() && (line.ends_with("HTTP/1.1") || line.ends_with("HTTP/1.0"));
}

}  // namespace

RequestParser::RequestParser(HttpRequest& request, const ParserLimits& limits)
    : request_(request), limits_(limits) {
  Base::header_limit(limits.max_header_bytes);
  Base::body_limit(boost::none);  // ours is checked in TakeBody
}

std::optional<uint64_t> RequestParser::content_length() const {
  const auto length = Base::content_length();
  return length ? std::optional<uint64_t>(*length) : std::nullopt;
}

void RequestParser::Refuse(int status, std::string message) {
  if (!refusal_) refusal_ = Refusal{status, std::move(message)};
}

size_t RequestParser::Put(std::string_view bytes) {
  Code error;
  const size_t used = Base::put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  if (!error || error == http::error::need_more) return used;
  if (error == http::error::header_limit) {
    Refuse(431, fmt::format("the header is larger than the limit of {} bytes", limits_.max_header_bytes));
  } else if (error == http::error::bad_version && LacksCarriageReturn(bytes)) {
    Refuse(400, "cannot read the request: the lines of its header do not end in CR LF");
  } else if (error == http::error::bad_version) {
    Refuse(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  } else {
    Refuse(400, fmt::format("cannot read the request: {}", error.message()));
  }
  return used;
}

size_t RequestParser::PutHeader(std::string_view bytes) {
  Base::eager(false);
  const size_t used = Put(bytes);
  if (refusal_) return used;
  if (is_header_done_) {
    CheckHeader();
  } else if (bytes.size() - used > limits_.max_header_bytes) {
    Refuse(431, fmt::format("the header is larger than the limit of {} bytes", limits_.max_header_bytes));
  }
  return used;
}

size_t RequestParser::PutBody(std::string_view bytes, std::string& body) {
  Base::eager(true);
  body_ = &body;
  size_t used = 0;
  // One call stops after each change of state.
  while (used < bytes.size() && !is_done() && !refusal_) {
    const size_t n = Put(bytes.substr(used));
    if (n == 0) break;
    used += n;
  }
  body_ = nullptr;
  return used;
}

void RequestParser::CheckHeader() {
  CheckFraming();
  CheckTarget();
}

void RequestParser::CheckFraming() {
  size_t lengths = 0, encodings = 0, hosts = 0;
  for (const auto& [name, value] : request_.headers.fields()) {
    if (EqualsIgnoringCase(name, "Content-Length")) {
      ++lengths;
      if (!IsDigits(value)) Refuse(400, fmt::format("Content-Length '{}' is not a number", value));
    } else if (EqualsIgnoringCase(name, "Transfer-Encoding")) {
      ++encodings;
      if (!EqualsIgnoringCase(value, "chunked")) {
        Refuse(501, fmt::format("Transfer-Encoding '{}' is not known; only 'chunked' is", value));
      }
    } else if (EqualsIgnoringCase(name, "Host")) {
      ++hosts;
    }
  }
  if (lengths > 1) Refuse(400, "the request has several lengths");
  if (lengths > 0 && encodings > 0) Refuse(400, "the request has both a length and a transfer encoding");
  if (encodings > 1 || (encodings > 0 && !is_http11())) {
    Refuse(400, "the request's transfer encoding cannot be told");
  }
  if (hosts > 1) Refuse(400, "the request has several Hosts");
  if (hosts == 0 && is_http11()) Refuse(400, "the request has no Host");
}

void RequestParser::CheckTarget() {
  std::optional<std::string> host;
  const std::string_view target = OriginForm(request_.target, &host);
  // RFC 9112 3.2.2: the header's own says nothing then.
  if (host) request_.headers.Set("Host", *host);
  const std::string_view path = target.substr(0, target.find_first_of("?#"));
  if (HasEncodedSlash(path)) {
    Refuse(400, "the path has an encoded slash; names cannot hold one");
    return;
  }
  auto url = target.starts_with('?') ? ParseTarget("/" + std::string(target)) : ParseTarget(target);
  if (!url.ok()) {
    Refuse(400, url.error().ToString());
    return;
  }
  if (HasDotSegment(url->path) || HasControl(url->path)) {
    Refuse(400, "the path has a '.' or '..' between slashes, or a control character");
    return;
  }
  request_.url = std::move(*url);
}

void RequestParser::on_request_impl(http::verb, View method, View target, int version, Code&) {
  request_.method = ToStd(method);
  request_.target = ToStd(target);
  version_ = version;
}

void RequestParser::on_field_impl(http::field, View name, View value, Code& error) {
  if (is_header_done_) return;  // of a chunked body's trailer nothing is used
  if (request_.headers.fields().size() >= limits_.max_header_fields) {
    Refuse(431, fmt::format("the header has more than {} fields", limits_.max_header_fields));
    error = http::error::header_limit;
    return;
  }
  request_.headers.Add(std::string(ToStd(name)), std::string(ToStd(value)));
}

size_t RequestParser::TakeBody(View bytes, Code& error) {
  if (bytes.size() > max_body_bytes_ - std::min(max_body_bytes_, body_bytes_)) {
    Refuse(413, fmt::format("the body is larger than the limit of {} bytes", max_body_bytes_));
    error = http::error::body_limit;
    return 0;
  }
  body_bytes_ += bytes.size();
  body_->append(bytes.data(), bytes.size());
  return bytes.size();
}

}  // namespace sluice::net
