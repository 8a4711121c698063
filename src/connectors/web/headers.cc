#include "connectors/web/headers.h"

#include "net/headers.h"
#include "pipeline/settings.h"

namespace sluice::connectors::web {

Result<std::map<std::string, std::string>> ReadHeaders(const pipeline::Settings& settings) {
  auto headers = settings.text_map("headers");
  const std::string& token = settings.text("token");
  if (token.empty()) return headers;
  for (const auto& [name, value] : headers) {
    if (net::EqualsIgnoringCase(name, "Authorization"))
      return settings.Complain("token", "it is a header Authorization, which 'headers' has as well");
  }
  headers["Authorization"] = "Bearer " + token;
  return headers;
}

}  // namespace sluice::connectors::web
