#pragma once

#include <map>
#include <string>

#include "base/result.h"

namespace sluice::pipeline {
class Settings;
}

// What connectors that call a server by HTTP have in common.
namespace sluice::connectors::web {

// The options `headers` and `token` as the headers of each request. Errors: kInvalidArgument naming the
// option when both say who calls.
Result<std::map<std::string, std::string>> ReadHeaders(const pipeline::Settings& settings);

}  // namespace sluice::connectors::web
