#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"
#include "gateway/gateway.h"
#include "net/http_server.h"

// Values of a node's configuration, strictly: what is no such value is an error that says what is expected.
namespace sluice::server {

// One value: of a file, where its type is what was written, or a text of the command line or the environment,
// which is whatever the key takes.
struct ConfigValue {
  nlohmann::json json;
  bool is_loose = false;  // a text that may stand for a number or a flag
};

// Errors of all: kInvalidArgument saying what is expected, without the value.
Result<std::string> ConfigText(const ConfigValue& value);
Result<bool> ConfigFlag(const ConfigValue& value);
Result<double> ConfigRate(const ConfigValue& value);     // above 0
Result<uint64_t> ConfigCount(const ConfigValue& value);  // above 0
Result<uint64_t> ConfigBytes(const ConfigValue& value);  // 1048576, `64KiB`, `8MiB`; above 0
// `500ms`, `30s`, `10m`, `24h`, `7d`; at least a millisecond, at most 100 years.
Result<std::chrono::milliseconds> ConfigTime(const ConfigValue& value);

// `8080`, `127.0.0.1:8080`, `[::1]:8080`, `unix:/path`.
Result<net::HttpEndpoint> ParseListen(const std::string& text);
// Whether only this machine can reach it.
bool IsLoopback(const net::HttpEndpoint& endpoint);
// Blocks a second, or `unlimited`.
Status ParseBlockBudget(const std::string& text, gateway::GatewayOptions* options);

}  // namespace sluice::server
