#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "odf/events.h"

namespace sluice::server {

// What a manifest can make this machine do or tell (push-protocol.md 8).
enum class Capability { kPipe, kContainer, kExec, kFile, kFilesGlob, kSsh, kEnv, kPrivateAddresses };

// `pipe`, `container`, `exec`, `file`, `filesGlob`, `ssh`, `env`, `privateAddresses`.
std::string_view NameOf(Capability capability);
std::set<Capability> AllCapabilities();
// Errors: kInvalidArgument listing the names.
Result<Capability> ParseCapability(std::string_view name);

// What an account was granted.
using Capabilities = std::function<std::set<Capability>(const std::string& account)>;

// What the events of a manifest would use, as far as they tell: where an address leads is found out when it
// is connected to.
std::set<Capability> NeededCapabilities(const std::vector<odf::MetadataEvent>& events);
// Errors: kPermissionDenied naming what is not granted.
Status CheckCapabilities(const std::vector<odf::MetadataEvent>& events, const std::set<Capability>& granted);

}  // namespace sluice::server
