#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "gateway/gateway.h"

namespace sluice::server {

// What the configuration of a node means for what it guarantees; for `status` and `explain`.
struct Promises {
  bool ack_durable = false;  // pushes are answered when they are in the queue
  std::chrono::seconds key_window{}, receipt_window{};
  uint64_t keys_per_source = 0;
  std::vector<std::string> weakened;  // in plain words

  static Promises Of(const gateway::GatewayOptions& options, std::vector<std::string> weakened);
};

nlohmann::json ToJson(const Promises& promises);
// Of what a node answered; members that are missing are as by default.
Promises PromisesFrom(const nlohmann::json& json);

}  // namespace sluice::server
