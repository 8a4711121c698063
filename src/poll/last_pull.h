#pragma once

#include <optional>
#include <string>

#include "base/instant.h"
#include "workspace/workspace.h"

namespace sluice::poll {

// How the last pull of a dataset went, whoever asked for it: kept in `.sluice/derived/ID/last-pull.json` for
// `list -w`. May be lost.
struct LastPull {
  Instant start, end;
  std::optional<std::string> error;
};

// Nothing when there was none, or the file is damaged.
std::optional<LastPull> LoadLastPull(const workspace::Workspace& workspace, const workspace::Entry& entry);
// What cannot be kept is not: no pull fails for it.
void SaveLastPull(const workspace::Workspace& workspace, const workspace::Entry& entry, const LastPull& pull);

}  // namespace sluice::poll
