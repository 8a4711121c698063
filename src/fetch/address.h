#pragma once

#include <string>

#include "base/result.h"

namespace sluice::fetch {

// Errors: kPermissionDenied for a loopback, private, link-local or otherwise not public IP address
// (push-protocol.md 8).
Status CheckPublicAddress(const std::string& ip_address);

}  // namespace sluice::fetch
