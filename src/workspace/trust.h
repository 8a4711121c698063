#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "odf/events.h"

namespace sluice::workspace {

// The polling sources that this workspace's user wrote or trusts (push-protocol.md 8), known by a digest of
// their content in `.sluice/trusted-sources`. What came otherwise, with a copied or synchronised dataset, may
// not run commands, reach private addresses, or read the environment and the workspace's variables.

enum class Trust {
  kNone,
  kPublic,  // it may do what it asks for, and reach public addresses only
  kWhole,
};

// A source that is recorded already with as much trust is a success. Durable.
Status TrustSource(const std::string& workspace_root, const odf::SetPollingSource& source,
                   Trust trust = Trust::kWhole);
// Those among the events.
Status TrustSources(const std::string& workspace_root, const std::vector<odf::MetadataEvent>& events);
Result<Trust> TrustOf(const std::string& workspace_root, const odf::SetPollingSource& source);
// Wholly.
Result<bool> IsTrustedSource(const std::string& workspace_root, const odf::SetPollingSource& source);

}  // namespace sluice::workspace
