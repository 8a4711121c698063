#include "connectors/web/headers.h"

#include <array>
#include <string_view>

#include "net/headers.h"
#include "pipeline/settings.h"

namespace sluice::connectors::web {
namespace {

// They tell where a message ends, and what is in it.
constexpr std::array<std::string_view, 5> kOwnHeaders = {"Content-Length", "Transfer-Encoding",
                                                         "Content-Encoding", "Connection", "Expect"};

}  // namespace

Result<std::map<std::string, std::string>> ReadHeaders(const pipeline::Settings& settings) {
  auto headers = settings.text_map("headers");
  for (const auto& [name, value] : headers) {
    if (!net::IsSafeField(name, value))
      return settings.Complain("headers",
                               fmt::format("'{}' is no header field: a name of letters, digits and "
                                           "hyphens, a value without line ends",
                                           name));
    for (const std::string_view own : kOwnHeaders) {
      if (net::EqualsIgnoringCase(name, own))
        return settings.Complain("headers",
                                 fmt::format("'{}' is set with each request and not by hand", own));
    }
  }
  const std::string& token = settings.text("token");
  if (token.empty()) return headers;
  for (const auto& [name, value] : headers) {
    if (net::EqualsIgnoringCase(name, "Authorization"))
      return settings.Complain("token", "it is a header Authorization, which 'headers' has as well");
  }
  headers["Authorization"] = "Bearer " + token;
  if (!net::IsSafeField("Authorization", headers["Authorization"]))
    return settings.Complain("token", "it holds characters that no header field can have");
  return headers;
}

}  // namespace sluice::connectors::web
