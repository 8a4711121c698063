#include "server/config_values.h"

#include <charconv>
#include <cmath>

#include "base/quantity.h"
#include "workspace/config.h"

namespace sluice::server {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongestTime = std::chrono::hours(24 * 36'525);

// The whole text as a number.
template <class T>
std::optional<T> NumberOf(const std::string& text) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

Result<std::string> ConfigText(const ConfigValue& value) {
  if (!value.json.is_string() || value.json.get_ref<const std::string&>().empty())
    return InvalidArgument("a text is expected");
  return value.json.get<std::string>();
}

Result<bool> ConfigFlag(const ConfigValue& value) {
  if (value.is_loose && (value.json == "true" || value.json == "false")) return value.json == "true";
  if (!value.json.is_boolean()) return InvalidArgument("true or false is expected");
  return value.json.get<bool>();
}

Result<double> ConfigRate(const ConfigValue& value) {
  std::optional<double> rate;
  if (value.json.is_number()) rate = value.json.get<double>();
  if (value.is_loose && value.json.is_string()) rate = NumberOf<double>(value.json.get<std::string>());
  if (!rate || !(*rate > 0) || !std::isfinite(*rate)) return InvalidArgument("a number above 0 is expected");
  return *rate;
}

Result<uint64_t> ConfigCount(const ConfigValue& value) {
  std::optional<uint64_t> count;
  if (value.json.is_number_unsigned()) count = value.json.get<uint64_t>();
  if (value.is_loose && value.json.is_string()) count = NumberOf<uint64_t>(value.json.get<std::string>());
  if (!count || *count == 0 || *count > INT32_MAX)
    return InvalidArgument("a whole number from 1 to {} is expected", INT32_MAX);
  return *count;
}

Result<uint64_t> ConfigBytes(const ConfigValue& value) {
  std::optional<int64_t> bytes;
  if (value.json.is_number_unsigned() || value.json.is_string()) {
    auto parsed = ParseByteCount(value.json.is_string() ? value.json.get<std::string>() : value.json.dump());
    if (parsed.ok()) bytes = static_cast<int64_t>(*parsed);
  }
  if (!bytes || *bytes <= 0)
    return InvalidArgument("bytes are expected, such as 1048576, 64KiB, 8MiB or 2GiB");
  return static_cast<uint64_t>(*bytes);
}

Result<milliseconds> ConfigTime(const ConfigValue& value) {
  const auto wrong = [] { return InvalidArgument("a time is expected, such as 500ms, 30s, 10m, 24h or 7d"); };
  if (!value.json.is_string()) return wrong();
  const auto time = ParseDuration(value.json.get<std::string>(), BareNumber::kSeconds);
  if (!time.ok() || *time < milliseconds(1) || *time > kLongestTime) return wrong();
  return *time;
}

Result<net::HttpEndpoint> ParseListen(const std::string& text) {
  net::HttpEndpoint endpoint;
  if (text.starts_with("unix:")) {
    endpoint.unix_path = text.substr(5);
    if (endpoint.unix_path.empty()) return InvalidArgument("unix:PATH needs a path");
    return endpoint;
  }
  const auto colon = text.rfind(':');
  const std::string port = colon == std::string::npos ? text : text.substr(colon + 1);
  if (colon != std::string::npos) endpoint.host = text.substr(0, colon);
  if (endpoint.host.starts_with('[') && endpoint.host.ends_with(']'))
    endpoint.host = endpoint.host.substr(1, endpoint.host.size() - 2);
  const auto number = NumberOf<uint16_t>(port);
  if (!number || endpoint.host.empty()) return InvalidArgument("PORT, HOST:PORT or unix:PATH is expected");
  endpoint.port = *number;
  return endpoint;
}

bool IsLoopback(const net::HttpEndpoint& endpoint) {
  return !endpoint.unix_path.empty() || endpoint.host == "localhost" || endpoint.host == "::1" ||
         endpoint.host.starts_with("127.");
}

Status ParseBlockBudget(const std::string& text, gateway::GatewayOptions* options) {
  if (text == "unlimited") {
    options->blocks_per_second.reset();
    return {};
  }
  const auto rate = NumberOf<double>(text);
  if (!rate || !(*rate > 0) || !std::isfinite(*rate))
    return InvalidArgument("blocks a second are expected, or 'unlimited'");
  options->blocks_per_second = *rate;
  options->block_burst = std::max(1.0, *rate * 3600);
  return {};
}

}  // namespace sluice::server
