#include "server/promises.h"

#include <nlohmann/json.hpp>

namespace sluice::server {

using nlohmann::json;

Promises Promises::Of(const gateway::GatewayOptions& options, std::vector<std::string> weakened) {
  Promises promises;
  promises.ack_durable = options.ack_durable;
  promises.key_window = options.journal.key_window;
  promises.receipt_window = options.journal.receipt_window;
  promises.keys_per_source = options.journal.keys_per_source;
  promises.weakened = std::move(weakened);
  return promises;
}

json ToJson(const Promises& promises) {
  return {{"ack", promises.ack_durable ? "durable" : "committed"},
          {"keyWindowSeconds", promises.key_window.count()},
          {"receiptWindowSeconds", promises.receipt_window.count()},
          {"keysPerSource", promises.keys_per_source},
          {"weakened", promises.weakened}};
}

Promises PromisesFrom(const json& json) {
  Promises promises = Promises::Of({}, {});
  if (!json.is_object()) return promises;
  promises.ack_durable = json.value("ack", "") == "durable";
  promises.key_window = std::chrono::seconds(json.value("keyWindowSeconds", promises.key_window.count()));
  promises.receipt_window =
      std::chrono::seconds(json.value("receiptWindowSeconds", promises.receipt_window.count()));
  promises.keys_per_source = json.value("keysPerSource", promises.keys_per_source);
  promises.weakened = json.value("weakened", promises.weakened);
  return promises;
}

}  // namespace sluice::server
