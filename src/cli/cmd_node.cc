// What a node is asked: its queue, its state, its guarantees.
#include <nlohmann/json.hpp>

#include "base/quantity.h"
#include "cli/commands.h"
#include "cli/node_client.h"
#include "cli/rows.h"
#include "ingest/frame.h"
#include "net/url.h"
#include "server/config.h"
#include "server/promises.h"
#include "workspace/config.h"

namespace sluice::cli {
namespace {

using nlohmann::json;

struct NodeArgs {
  std::string url, token, format, dataset, receipt, config;
};

void AddNodeOptions(CLI::App* command, NodeArgs& args) {
  command->add_option("--url", args.url, "The node's URL (default: the node of this workspace)");
  command->add_option("--token", args.token, "Access token (default: SLUICE_TOKEN)")->envname("SLUICE_TOKEN");
}

Result<NodeAddress> AddressOf(Session& session, const NodeArgs& args) {
  if (!args.url.empty()) return NodeAddress{args.url, args.token, ""};
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  auto node = FindNode(*workspace, SilenceOf(session));
  if (!node.ok() && node.error().code() == ErrorCode::kNotFound)
    return NotFound("no node is running in this workspace; start one with 'sluice serve', or give --url");
  return node;
}

std::string TextOf(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null()) return "";
  return value.dump();
}

Status ShowStatus(Session& session, const NodeArgs& args) {
  ASSIGN_OR_RETURN(const auto node, AddressOf(session, args));
  ASSIGN_OR_RETURN(const json status,
                   CallNode(node, "GET", args.url.empty() ? "/operator/status" : "/platform/status"));
  if (args.format == "json") return session.Out(status.dump(2) + "\n");
  if (status.value("ready", false)) {
    session.Say("Ready. {} batch(es) queued{}", TextOf(status["queuedBatches"]),
                status.contains("waitingBytes")
                    ? fmt::format(", {} bytes waiting in memory", TextOf(status["waitingBytes"]))
                    : "");
  } else {
    session.Warn("Not ready: " + TextOf(status["reason"]));
  }
  for (const auto& pull : status.value("schedule", json::array())) {
    const std::string when =
        pull.value("isRunning", false) ? "is being pulled" : "is pulled next at " + TextOf(pull["nextRun"]);
    session.Say("{} {}{}", TextOf(pull["dataset"]), when,
                pull["lastError"].is_null() ? "" : "; the last pull failed: " + TextOf(pull["lastError"]));
  }
  ASSIGN_OR_RETURN(auto format, session.FormatOrDefault(args.format));
  RowTable table;
  for (const char* name : {"Dataset", "Source", "Queued", "Oldest", "Committed", "StoppedAt", "LastError"})
    table.Text(name);
  for (const auto& dataset : status["datasets"]) {
    for (const auto& source : dataset["sources"]) {
      table.Add({TextOf(dataset["dataset"]), TextOf(source["sourceName"]), TextOf(source["queued"]),
                 TextOf(source["oldest"]), TextOf(source["committed"]), TextOf(source["stoppedAt"]),
                 TextOf(source["lastError"])});
    }
  }
  return table.Print(session, format);
}

Status ShowQueue(Session& session, const NodeArgs& args) {
  ASSIGN_OR_RETURN(const auto node, AddressOf(session, args));
  ASSIGN_OR_RETURN(const json queue,
                   CallNode(node, "GET", "/" + net::PercentEncode(args.dataset, true) + "/queue"));
  if (args.format == "json") return session.Out(queue.dump(2) + "\n");
  ASSIGN_OR_RETURN(auto format, session.FormatOrDefault(args.format));
  RowTable table;
  for (const char* name : {"Receipt", "Source", "State", "Received", "Bytes", "Reason"}) table.Text(name);
  for (const auto& source : queue["sources"]) {
    if (source["stoppedAt"].is_null()) continue;
    table.Add({TextOf(source["stoppedAt"]), TextOf(source["sourceName"]), std::string("stopped"),
               TextOf(source["oldest"]), TextOf(source["queuedBytes"]), TextOf(source["lastError"])});
  }
  for (const auto& letter : queue["deadLetters"]) {
    table.Add({TextOf(letter["receipt"]), TextOf(letter["sourceName"]), std::string("dead letter"),
               TextOf(letter["received"]), TextOf(letter["bytes"]), TextOf(letter["reason"])});
  }
  return table.Print(session, format);
}

Status ChangeQueue(Session& session, const NodeArgs& args, const std::string& action) {
  ASSIGN_OR_RETURN(const auto node, AddressOf(session, args));
  if (action == "drop") {
    ASSIGN_OR_RETURN(
        const bool sure,
        session.Confirm(fmt::format(
            "Give up batch {} and those that build on it? They cannot be brought back", args.receipt)));
    if (!sure) return Error(ErrorCode::kCancelled, "nothing was dropped");
  }
  ASSIGN_OR_RETURN(const json answer, CallNode(node, "POST",
                                               "/" + net::PercentEncode(args.dataset, true) + "/queue/" +
                                                   net::PercentEncode(args.receipt) + "/" + action));
  session.Say("{}: {}", args.receipt, TextOf(answer["status"]));
  return {};
}

// --- explain ---

struct Guarantee {
  std::string with_state, without_state;
};

Guarantee GuaranteeOf(const odf::MergeStrategy& merge) {
  switch (merge.kind) {
    case odf::MergeKind::kAppend:
      return {"exactly once",
              "at least once: a repeated batch is appended again; give it a source state or an "
              "Idempotency-Key"};
    case odf::MergeKind::kLedger:
      return {"exactly once",
              "exactly once by primary key: a repeated record is known by its key; two different "
              "records with one key: the first stays"};
    case odf::MergeKind::kSnapshot:
      return {"exactly once",
              "converges: a repeated snapshot adds nothing, but an old one sent late takes the "
              "dataset back; give it a source state"};
    case odf::MergeKind::kChangelogStream:
      return {"exactly once",
              "at least once: repeated changes are recorded again; give them a source state or an "
              "Idempotency-Key"};
    case odf::MergeKind::kUpsertStream:
      return {"exactly once",
              "converges: a repeat adds nothing unless newer values came in between; give it a "
              "source state"};
  }
  return {};
}

// What the node's configuration makes of the guarantees: of a file, of the running node, or the default.
Result<server::Promises> PromisesOf(const NodeArgs& args, const workspace::Workspace& workspace,
                                    std::string* whose) {
  if (!args.config.empty()) {
    server::ConfigReader reader(server::ProcessEnvironment);
    RETURN_IF_ERROR(reader.ReadFile(args.config));
    ASSIGN_OR_RETURN(auto config, reader.Finish());
    *whose = "a node with the configuration '" + args.config + "'";
    return server::Promises::Of(config.gateway, config.weakened);
  }
  auto node = FindNode(workspace);
  if (!node.ok() && node.error().code() != ErrorCode::kNotFound) return std::move(node).error();
  if (node.ok()) {
    ASSIGN_OR_RETURN(const json status, CallNode(*node, "GET", "/operator/status"));
    *whose = "the node that is running here";
    return server::PromisesFrom(status.value("promises", json()));
  }
  *whose = "a node without a configuration";
  return server::Promises::Of({}, {});
}

std::string ExplainNode(const server::Promises& promises, const std::string& whose) {
  std::string text = whose + "\n";
  text += promises.ack_durable
              ? "  answers pushes when they are durable in its queue; receipts say what became of them\n"
              : "  answers pushes when they are committed, unless the client prefers respond-async\n";
  text += fmt::format("  keeps receipts for {}\n", FormatDuration(promises.receipt_window));
  for (const auto& line : promises.weakened) text += "  weakened, as asked for: " + line + "\n";
  if (promises.weakened.empty()) text += "  nothing in its configuration weakens what follows\n";
  return text;
}

Status Explain(Session& session, const NodeArgs& args) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  std::string whose;
  ASSIGN_OR_RETURN(const auto promises, PromisesOf(args, *workspace, &whose));
  RETURN_IF_ERROR(session.Out(ExplainNode(promises, whose)));
  ASSIGN_OR_RETURN(auto entries,
                   args.dataset.empty() ? workspace->List() : workspace->ResolvePattern(args.dataset));
  for (const auto& entry : entries) {
    ASSIGN_OR_RETURN(auto dataset, workspace->Open(entry));
    const auto& state = dataset->state();
    std::string text = fmt::format("{}\n", entry.alias);
    if (state.push_sources.empty()) text += "  no push source: nothing can be pushed\n";
    for (const auto& [name, source] : state.push_sources) {
      const auto guarantee = GuaranteeOf(source.event.merge);
      text += fmt::format("  source '{}' ({}, {})\n", name, odf::NameOf(source.event.read.format),
                          odf::NameOf(source.event.merge.kind));
      text += fmt::format(
          "    with ODF-Source-State and ODF-If-Source-State: {}; the state is committed in the "
          "same block as the records\n",
          guarantee.with_state);
      text += fmt::format(
          "    with Idempotency-Key: exactly once while the key is remembered ({}, {} keys), on this node; a copy "
          "of the dataset does not know the keys\n",
          FormatDuration(promises.key_window), promises.keys_per_source);
      text += fmt::format("    with neither: {}\n", guarantee.without_state);
      text +=
          "    answered 200: durable in the chain; answered 202 (Prefer: respond-async): durable in the queue, "
          "committed later, its receipt says how\n";
      if (source.event.preprocess) {
        const auto is_row_by_row = sql::IsRowByRow(ingest::ToSpec(*source.event.preprocess));
        text +=
            is_row_by_row.ok() && *is_row_by_row
                ? "    its query takes each record by itself: it runs once over single records that come together\n"
                : "    its query runs once for every batch: one that aggregates sees one batch at a time\n";
      }
      text += source.state
                  ? fmt::format("    present state: '{}' ({})\n", source.state->value, source.state->kind)
                  : std::string("    present state: none\n");
    }
    text +=
        "  tamper-evidence: a rewritten chain verifies; keep a block hash that you were answered, or the output "
        "of 'sluice head --sign', and check it with 'sluice verify --contains'\n";
    RETURN_IF_ERROR(session.Out(text));
  }
  return {};
}

}  // namespace

void AddNode(Commands& commands) {
  auto args = std::make_shared<NodeArgs>();
  auto* status =
      commands.Add("status", "Show what a node is doing: queue, states, last errors", "sluice status",
                   [args](Session& session) { return ShowStatus(session, *args); });
  AddNodeOptions(status, *args);
  status->add_option("-o,--output-format", args->format, "table, csv, json, ndjson, json-soa, json-aoa");

  auto* queue = commands.Add("queue", "Show and mend a node's queue", "sluice queue list readings", nullptr);
  queue->require_subcommand(1);
  auto* list = commands.Add(
      "list", "Batches that stopped their source, and dead letters", "sluice queue list readings",
      [args](Session& session) { return ShowQueue(session, *args); }, queue);
  list->add_option("dataset", args->dataset, "The dataset")->required();
  list->add_option("-o,--output-format", args->format, "table, csv, json, ndjson, json-soa, json-aoa");
  AddNodeOptions(list, *args);
  for (const std::string action : {"retry", "drop"}) {
    auto* command = commands.Add(
        action,
        action == "retry" ? "Try a stopped batch or a dead letter again"
                          : "Give a batch up, and those that build on it",
        "sluice queue " + action + " readings RECEIPT",
        [args, action](Session& session) { return ChangeQueue(session, *args, action); }, queue);
    command->add_option("dataset", args->dataset, "The dataset")->required();
    command->add_option("receipt", args->receipt, "The batch's receipt")->required();
    AddNodeOptions(command, *args);
  }

  auto* explain =
      commands.Add("explain", "Say in plain words what each source guarantees, and what weakens it",
                   "sluice explain readings", [args](Session& session) { return Explain(session, *args); });
  explain->add_option("dataset", args->dataset, "Dataset or pattern with % (default: all)");
  explain->add_option("--config", args->config,
                      "A node's configuration (default: what the running node has)");
}

}  // namespace sluice::cli
