#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "net/http_client.h"
#include "pipeline/declaration.h"
#include "pipeline/settings.h"

// What connectors to Amazon's services share: whose calls they sign.
namespace sluice::connectors::aws {

// region, access_key_id, secret_access_key, session_token. `region` = its description.
std::vector<pipeline::Option> SigningOptions(std::string region);
// The options, else the environment's variables of every AWS program; `region` where neither says it. Errors:
// kInvalidArgument naming the option that is missing.
Result<net::AwsSigning> ReadSigning(const pipeline::Settings& settings, std::string service,
                                    std::string region);

}  // namespace sluice::connectors::aws
