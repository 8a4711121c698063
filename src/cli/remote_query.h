#pragma once

#include <chrono>
#include <string>

#include "base/result.h"
#include "cli/node_client.h"
#include "cli/session.h"
#include "columnar/format.h"

namespace sluice::cli {

// A query that a node runs over the datasets that its token may read.
struct RemoteQuery {
  NodeAddress node;
  std::string statement;
  std::string engine;  // dialect; empty: the node's own
  columnar::OutputFormat format = columnar::OutputFormat::kJson;
  std::chrono::milliseconds timeout{0};  // of the whole call; 0 = none
};

// Writes the rows to `sink` as the node sends them; a table, which is for people, when all are there. Errors:
// those of the node, with its message; kTooLarge for a table of more than 64 MiB; kUnavailable; kTimeout.
Status QueryNode(Session& session, const RemoteQuery& query, const columnar::Sink& sink);

}  // namespace sluice::cli
