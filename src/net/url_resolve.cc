#include <curl/curl.h>

#include <memory>

#include "net/url.h"

namespace sluice::net {
namespace {

using Handle = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

std::optional<std::string> PartOf(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK) return std::nullopt;
  std::string copy(text);
  curl_free(text);
  return copy;
}

}  // namespace

Result<std::string> ResolveUrl(const std::string& base, const std::string& link) {
  const Handle url(curl_url(), &curl_url_cleanup);
  char* text = nullptr;
  const bool is_link = url && link.find('\0') == std::string::npos &&
                       curl_url_set(url.get(), CURLUPART_URL, base.c_str(), 0) == CURLUE_OK &&
                       curl_url_set(url.get(), CURLUPART_URL, link.c_str(), CURLU_URLENCODE) == CURLUE_OK &&
                       curl_url_set(url.get(), CURLUPART_FRAGMENT, nullptr, 0) == CURLUE_OK &&
                       curl_url_get(url.get(), CURLUPART_URL, &text, 0) == CURLUE_OK;
  if (!is_link) return InvalidArgument("'{}' is no link", link.substr(0, 200));
  std::string resolved(text);
  curl_free(text);
  return resolved;
}

Status CheckHttpUrl(const std::string& url) {
  // Else the library would see but the part before it.
  if (url.find('\0') != std::string::npos) return InvalidArgument("the URL has a zero byte in it");
  const Handle parsed(curl_url(), &curl_url_cleanup);
  if (!parsed) return Error(ErrorCode::kResourceExhausted, "out of memory");
  const CURLUcode code = curl_url_set(parsed.get(), CURLUPART_URL, EncodeUrl(url).c_str(), 0);
  const auto scheme = PartOf(parsed.get(), CURLUPART_SCHEME);
  if (code == CURLUE_OK && (scheme == "http" || scheme == "https")) return {};
  return InvalidArgument("'{}' is not a URL: {}", url,
                         code == CURLUE_OK ? "write http:// or https://" : curl_url_strerror(code));
}

std::string OriginOf(const std::string& url) {
  const Handle parsed(curl_url(), &curl_url_cleanup);
  if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, EncodeUrl(url).c_str(), 0) != CURLUE_OK)
    return url;
  std::string origin;
  for (const CURLUPart part : {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT}) {
    const auto text = PartOf(parsed.get(), part);
    if (!text) return url;
    origin += *text + " ";
  }
  return origin;
}

}  // namespace sluice::net
