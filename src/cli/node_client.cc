#include "cli/node_client.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "gateway/gateway.h"
#include "net/http_client.h"
#include "net/url.h"
#include "server/server.h"

namespace sluice::cli {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds kShortestSilence{200};  // also of who does not want to wait at all

// The node looks at what was written before it answers that a turn has ended.
constexpr std::chrono::milliseconds kLookAgain{1000};

std::chrono::milliseconds Patience(const Session& session) {
  return std::max<std::chrono::milliseconds>(std::chrono::seconds(session.lock_timeout_seconds),
                                             kShortestSilence);
}

// Ends the lease when the last holder lets go.
class Lease {
 public:
  Lease(NodeAddress node, std::string id, std::chrono::milliseconds patience)
      : node_(std::move(node)), id_(std::move(id)), patience_(patience) {}
  ~Lease() { (void)CallNode(node_, "DELETE", "/operator/lease/" + id_, "", patience_).ok(); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

 private:
  NodeAddress node_;
  std::string id_;
  std::chrono::milliseconds patience_;
};

Result<std::shared_ptr<void>> AskForTurn(Session& session, workspace::Workspace& workspace,
                                         const std::optional<multiformats::DatasetId>& dataset) {
  ASSIGN_OR_RETURN(const auto node, FindNode(workspace, SilenceOf(session)));
  std::string query = dataset ? "?dataset=" + net::PercentEncode(dataset->ToString()) : "";
  if (dataset && session.drop_queue) query += "&dropQueue=true";
  if (dataset && session.adds_to) query += "&addsTo=" + net::PercentEncode(*session.adds_to);
  ASSIGN_OR_RETURN(const json answer,
                   CallNode(node, "POST", "/operator/lease" + query, "", Patience(session)));
  session.Say("A node is running here: taking turns with it");
  return std::shared_ptr<void>(
      std::make_shared<Lease>(node, answer.value("lease", ""), std::max(SilenceOf(session), kLookAgain)));
}

// Batches that a node acknowledged and did not live to commit.
Status SettleQueue(Session& session, workspace::Workspace& workspace, const multiformats::DatasetId& id) {
  std::error_code error;
  if (!std::filesystem::exists(workspace.root() + "/log/bodies", error)) return {};
  // A silent one holds the workspace, and is not waited for once more.
  const auto node = FindNode(workspace, SilenceOf(session));
  if (node.ok()) return {};
  if (node.error().code() != ErrorCode::kNotFound) return node.error();
  ASSIGN_OR_RETURN(auto entries, workspace.List());
  for (const auto& entry : entries) {
    if (entry.id != id) continue;
    gateway::GatewayOptions options;
    options.ack_durable = session.drop_queue;  // what is to be given up is not committed meanwhile
    auto gateway = gateway::Gateway::Open(workspace, session.clock(), options);
    // Busy: whoever has it opened the log first, and settles it.
    if (!gateway.ok() && gateway.error().code() == ErrorCode::kUnavailable) return {};
    if (!gateway.ok()) return std::move(gateway).error();
    if ((*gateway)->journal_stats().queued == 0) return {};
    session.Say("{} what a node left in its queue", session.drop_queue ? "Giving up" : "Committing");
    const gateway::Exclusive how{session.drop_queue, std::chrono::seconds(session.lock_timeout_seconds),
                                 session.adds_to};
    return (*gateway)->RunExclusive(entry, how, [] { return OkStatus(); });
  }
  return {};
}

}  // namespace

std::chrono::milliseconds SilenceOf(const Session& session) {
  return std::min(kLongestSilence, Patience(session));
}

Result<NodeAddress> FindNode(const workspace::Workspace& workspace, std::chrono::milliseconds patience) {
  NodeAddress node;
  node.url = "http://node";
  node.unix_socket = server::NodeSocket(workspace);
  std::error_code error;
  if (!std::filesystem::exists(node.unix_socket, error))
    return NotFound("no node is running in this workspace");
  auto alive = CallNode(node, "GET", "/livez", "", patience);
  if (alive.ok()) return node;
  if (alive.error().code() == ErrorCode::kTimeout) {
    return MakeError(ErrorCode::kUnavailable, "the node of this workspace has been silent for {} s on '{}'",
                     std::chrono::duration<double>(patience).count(), node.unix_socket);
  }
  return NotFound("no node is running in this workspace");
}

Result<json> CallNode(const NodeAddress& node, const std::string& method, const std::string& path,
                      const std::string& body, std::chrono::milliseconds timeout) {
  ASSIGN_OR_RETURN(auto client, net::HttpClient::Make());
  net::HttpCall call;
  call.method = method;
  call.url = node.url + path;
  call.body = body;
  call.unix_socket = node.unix_socket;
  call.timeout = timeout;
  call.stall_timeout = std::chrono::milliseconds(0);
  if (!node.token.empty()) call.headers.Set("Authorization", "Bearer " + node.token);
  ASSIGN_OR_RETURN(const auto answer, client->Send(call));
  json parsed = json::parse(answer.body, nullptr, false);
  if (answer.status >= 200 && answer.status < 300) {
    if (parsed.is_discarded())
      return MakeError(ErrorCode::kUnavailable, "'{}' answered what is no JSON", call.url);
    return parsed;
  }
  const Status status = net::CheckAnswer(answer);
  const ErrorCode code = status.ok() ? ErrorCode::kUnavailable : status.error().code();
  if (parsed.is_object() && parsed.contains("message")) return Error(code, parsed.value("message", ""));
  return Error(code, status.ok() ? "unexpected answer" : status.error().message());
}

Result<workspace::CompactOutcome> CompactDataset(Session& session, workspace::Workspace& workspace,
                                                 const workspace::Entry& entry,
                                                 const workspace::CompactOptions& options) {
  const auto node = FindNode(workspace, SilenceOf(session));
  if (!node.ok() && node.error().code() != ErrorCode::kNotFound) return node.error();
  if (node.ok()) {
    session.Say("A node is running here: it compacts");
    ASSIGN_OR_RETURN(
        const json answer,
        CallNode(*node, "POST",
                 fmt::format("/operator/compact?dataset={}&maxSliceBytes={}&maxSliceRecords={}&"
                             "keepMetadataOnly={}&verify={}",
                             net::PercentEncode(entry.id.ToString()), options.max_slice_bytes,
                             options.max_slice_records, options.keep_metadata_only, options.verify_first),
                 "", std::chrono::hours(24)));
    return workspace::CompactOutcome{answer.value("changed", false), answer.value("oldFilesKept", false)};
  }
  std::error_code error;
  if (!std::filesystem::exists(workspace.root() + "/log/bodies", error))
    return workspace::Compact(workspace, entry, options);
  ASSIGN_OR_RETURN(auto gateway, gateway::Gateway::Open(workspace, session.clock(), {}));
  return gateway->Compact(entry, options);
}

void LiveBesideNode(Session& session, workspace::Workspace& workspace) {
  workspace.set_ask_for_turn(
      [&session, &workspace](const auto& dataset) { return AskForTurn(session, workspace, dataset); });
  auto settled = std::make_shared<std::set<multiformats::DatasetId>>();
  workspace.set_before_commit([&session, &workspace, settled](const multiformats::DatasetId& id) -> Status {
    if (!settled->insert(id).second) return {};
    return SettleQueue(session, workspace, id);
  });
}

}  // namespace sluice::cli
