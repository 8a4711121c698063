#include "server/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace sluice::server {

std::string LabelValue(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == '"') escaped += '\\';
    if (c == '\n') {
      escaped += "\\n";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

// Whatever else clients think of is one label.
static bool IsKnown(const std::string& method) {
  static constexpr std::array<std::string_view, 8> kMethods = {"GET",    "HEAD",  "POST",    "PUT",
                                                               "DELETE", "PATCH", "OPTIONS", "TRACE"};
  return std::find(kMethods.begin(), kMethods.end(), method) != kMethods.end();
}

void Metrics::OnRequest(const std::string& route, const std::string& method, int status, uint64_t bytes_in,
                        std::chrono::steady_clock::duration took) {
  const double seconds = std::chrono::duration<double>(took).count();
  std::lock_guard lock(mutex_);
  auto& counts = routes_[route];
  ++counts.answers[{IsKnown(method) ? method : "other", status}];
  ++counts.count;
  counts.seconds += seconds;
  counts.bytes_in += bytes_in;
  for (size_t i = 0; i < kBoundCount; ++i) {
    if (seconds <= kBounds[i]) ++counts.buckets[i];
  }
}

std::string Metrics::Render() const {
  std::lock_guard lock(mutex_);
  std::string out =
      "# HELP sluice_http_requests_total Requests answered.\n# TYPE sluice_http_requests_total counter\n";
  for (const auto& [route, counts] : routes_) {
    for (const auto& [key, count] : counts.answers) {
      out += fmt::format("sluice_http_requests_total{{route=\"{}\",method=\"{}\",status=\"{}\"}} {}\n",
                         LabelValue(route), LabelValue(key.first), key.second, count);
    }
  }
  out +=
      "# HELP sluice_http_request_bytes_total Bytes of request bodies, decoded.\n"
      "# TYPE sluice_http_request_bytes_total counter\n";
  for (const auto& [route, counts] : routes_)
    out += fmt::format("sluice_http_request_bytes_total{{route=\"{}\"}} {}\n", LabelValue(route),
                       counts.bytes_in);
  out +=
      "# HELP sluice_http_request_seconds Time from the request's header to its answer.\n"
      "# TYPE sluice_http_request_seconds histogram\n";
  for (const auto& [route, counts] : routes_) {
    const std::string label = LabelValue(route);
    for (size_t i = 0; i < kBoundCount; ++i) {
      out += fmt::format("sluice_http_request_seconds_bucket{{route=\"{}\",le=\"{}\"}} {}\n", label,
                         kBounds[i], counts.buckets[i]);
    }
    out += fmt::format("sluice_http_request_seconds_bucket{{route=\"{}\",le=\"+Inf\"}} {}\n", label,
                       counts.count);
    out += fmt::format("sluice_http_request_seconds_sum{{route=\"{}\"}} {}\n", label, counts.seconds);
    out += fmt::format("sluice_http_request_seconds_count{{route=\"{}\"}} {}\n", label, counts.count);
  }
  return out;
}

}  // namespace sluice::server
