#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "base/result.h"
#include "cli/session.h"
#include "workspace/compact.h"

namespace sluice::cli {

// How commands talk to a node: the one of this workspace, over its socket, or any by its URL.
struct NodeAddress {
  std::string url;    // `http://host:port`
  std::string token;  // may be empty
  std::string unix_socket;
};

// How long a node may be silent before it is taken to be stuck: less for a session that will not wait so long
// for another writer.
inline constexpr std::chrono::milliseconds kLongestSilence{5000};
std::chrono::milliseconds SilenceOf(const Session& session);
// The node of this workspace. Errors: kNotFound when none is running; kUnavailable when it is silent.
Result<NodeAddress> FindNode(const workspace::Workspace& workspace,
                             std::chrono::milliseconds patience = kLongestSilence);
// One call; its answer's JSON. Errors: kUnavailable when the node is silent; those that the node answers,
// with its message.
Result<nlohmann::json> CallNode(const NodeAddress& node, const std::string& method, const std::string& path,
                                const std::string& body = "",
                                std::chrono::milliseconds timeout = std::chrono::seconds(60));

// Makes the workspace's writing commands take turns with its node, if one runs, and commit what a node that
// does not run any more has left in its queue (decisions.md 11).
void LiveBesideNode(Session& session, workspace::Workspace& workspace);

// Compacts a dataset through whoever keeps the node's log, so that keys and receipts stay good
// (decisions.md 14).
Result<workspace::CompactOutcome> CompactDataset(Session& session, workspace::Workspace& workspace,
                                                 const workspace::Entry& entry,
                                                 const workspace::CompactOptions& options);

}  // namespace sluice::cli
