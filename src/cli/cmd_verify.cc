#include <algorithm>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/whole_file.h"
#include "cli/commands.h"
#include "cli/node_client.h"
#include "cli/usage.h"
#include "dataset/verify.h"
#include "gateway/journal.h"
#include "gateway/receipt_block.h"
#include "multiformats/multibase.h"
#include "net/url.h"

namespace sluice::cli {
namespace {

struct VerifyArgs {
  std::vector<std::string> datasets;
  std::optional<std::string> contains;
  bool metadata_only = false;
  bool recursive = false;
};

// `<id of the node's log, 36 bytes>-<number>-<nonce>`.
bool IsReceipt(std::string_view text) {
  constexpr size_t kLogIdBytes = 36;
  if (text.size() <= kLogIdBytes || text[kLogIdBytes] != '-') return false;
  const auto rest = text.substr(kLogIdBytes + 1);
  const auto digits = rest.substr(0, rest.find('-'));
  return !digits.empty() && digits.size() + 1 < rest.size() &&
         std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
}

using gateway::Journal;

// As a node tells it.
Result<Journal::ReceiptAnswer> ToldAnswer(const nlohmann::json& told, const std::string& receipt) {
  ASSIGN_OR_RETURN(auto dataset, multiformats::DatasetId::Parse(told.value("datasetId", "")));
  Journal::ReceiptAnswer answer{std::move(dataset), "", {}};
  gateway::Outcome& outcome = answer.outcome;
  outcome.receipt = receipt;
  const std::string status = told.value("status", "");
  using Kind = gateway::Outcome::Status;
  for (const auto kind :
       {Kind::kQueued, Kind::kCommitted, Kind::kUpToDate, Kind::kFailed, Kind::kDropped, Kind::kWithdrawn}) {
    if (status == gateway::NameOf(kind)) outcome.status = kind;
  }
  if (const auto hash = told.find("blockHash"); hash != told.end() && hash->is_string()) {
    ASSIGN_OR_RETURN(outcome.block_hash, odf::Multihash::Parse(hash->get<std::string>()));
  }
  if (const auto sequence = told.find("sequence"); sequence != told.end() && sequence->is_number_unsigned())
    outcome.sequence = sequence->get<uint64_t>();
  return answer;
}

// What became of a batch: asked of the node, or of its log while none runs.
Result<Journal::ReceiptAnswer> FindAnswer(workspace::Workspace& workspace, const dataset::Dataset& dataset,
                                          const std::string& receipt) {
  const auto node = FindNode(workspace);
  if (node.ok()) {
    ASSIGN_OR_RETURN(const auto told, CallNode(*node, "GET", "/receipts/" + net::PercentEncode(receipt)));
    return ToldAnswer(told, receipt);
  }
  if (node.error().code() != ErrorCode::kNotFound) return node.error();
  std::error_code error;
  const Error absent = NotFound("this workspace knows of no receipt '{}'", receipt);
  if (!std::filesystem::exists(workspace.root() + "/log/outcomes", error)) return absent;
  RETURN_IF_ERROR(workspace.Hold());
  const std::shared_ptr<void> released(nullptr, [&](void*) { workspace.Release(); });
  ASSIGN_OR_RETURN(const auto journal, Journal::Open(workspace.root(), {}));
  // What a crash kept from the chain does not count.
  const auto& state = dataset.state();
  RETURN_IF_ERROR(journal->CheckChain(state.dataset_id, dataset.head(), state.sequence,
                                      [&](const auto& hash) { return dataset.IsAncestor(hash); }));
  ASSIGN_OR_RETURN(const auto found, journal->FindReceipt(receipt));
  RETURN_IF_ERROR(journal->Close());
  if (!found) return absent;
  return *found;
}

// The block that holds what a receipt is about. Errors: kPrecondition when there is none; kInvalidArgument
// when the batch was pushed to another dataset.
Result<odf::Multihash> BlockOfReceipt(workspace::Workspace& workspace, const workspace::Entry& entry,
                                      const std::string& receipt) {
  ASSIGN_OR_RETURN(const auto dataset, workspace.Open(entry));
  ASSIGN_OR_RETURN(const auto answer, FindAnswer(workspace, *dataset, receipt));
  ASSIGN_OR_RETURN(const auto block, gateway::BlockOf(answer, *dataset));
  if (block) return *block;
  return MakeError(
      ErrorCode::kPrecondition, "the batch of receipt '{}' has no block: it is {}", receipt,
      answer.outcome.is_success() ? "not in this dataset" : gateway::NameOf(answer.outcome.status));
}

// An answer of a node that was kept: with the block, or with a receipt to ask for it.
Result<odf::Multihash> ReadAnswer(workspace::Workspace& workspace, const workspace::Entry& entry,
                                  const std::string& content, const std::string& name) {
  const auto json = nlohmann::json::parse(content, nullptr, false);
  const auto text = [&](const char* field) {
    const bool is_text = json.is_object() && json.contains(field) && json[field].is_string();
    return is_text ? json[field].get<std::string>() : std::string();
  };
  if (const auto hash = text("blockHash"); !hash.empty()) return odf::Multihash::Parse(hash);
  if (const auto receipt = text("receipt"); !receipt.empty())
    return BlockOfReceipt(workspace, entry, receipt);
  return InvalidArgument(
      "'{}' is no answer of a node that names a block: it has neither blockHash nor receipt", name);
}

// What `head --sign` wrote.
Result<odf::Multihash> ReadSignedHead(const std::string& content, const std::string& name,
                                      const multiformats::DatasetId& id) {
  const auto field = [&](const std::string& wanted) -> std::string {
    const auto at = content.find(wanted + ": ");
    if (at == std::string::npos) return "";
    const auto start = at + wanted.size() + 2;
    return content.substr(start, content.find('\n', start) - start);
  };
  const auto split = content.find("signature: u");
  if (split == std::string::npos) return InvalidArgument("'{}' holds no signature", name);
  ASSIGN_OR_RETURN(auto signer, multiformats::DatasetId::Parse(field("dataset")));
  if (signer != id)
    return InvalidArgument("'{}' was signed for dataset {}, not this one", name, signer.ToString());
  ASSIGN_OR_RETURN(auto signature, multiformats::DecodeBase64Url(field("signature").substr(1)));
  if (!multiformats::VerifySignature(signer, content.substr(0, split), signature))
    return Corruption("the signature in '{}' does not hold", name);
  return odf::Multihash::Parse(field("head"));
}

// A block hash, a receipt, a file with a node's answer, or one that `head --sign` wrote.
Result<odf::Multihash> ReadAnchor(workspace::Workspace& workspace, const workspace::Entry& entry,
                                  const std::string& text) {
  if (auto hash = odf::Multihash::Parse(text); hash.ok()) return hash;
  auto file = ReadWholeFile(text);
  if (!file.ok() && IsReceipt(text)) return BlockOfReceipt(workspace, entry, text);
  if (!file.ok())
    return UsageError(
        "--contains takes a block hash, a receipt, or a file: with a node's answer, or written by 'sluice "
        "head --sign'; not '{}'",
        text);
  std::string& content = *file;
  std::erase(content, '\r');  // of a mail or an editor; nothing that is signed holds one
  if (content.starts_with('{')) return ReadAnswer(workspace, entry, content, text);
  return ReadSignedHead(content, text, entry.id);
}

Result<bool> VerifyOne(Session& session, workspace::Workspace& workspace, const workspace::Entry& entry,
                       const VerifyArgs& args) {
  std::optional<odf::Multihash> anchor;
  if (args.contains) {
    ASSIGN_OR_RETURN(anchor, ReadAnchor(workspace, entry, *args.contains));
  }
  ASSIGN_OR_RETURN(const auto hold, workspace.HoldFiles(entry.id));
  ASSIGN_OR_RETURN(auto stores, workspace.StoresOf(entry.id));
  dataset::VerifyOptions options;
  options.data = !args.metadata_only;
  options.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  options.stop = session.stop();
  const bool show = session.stderr_is_terminal() && !session.no_color && !session.quiet;
  if (show) {
    options.progress = [&](uint64_t done, uint64_t total) {
      std::fprintf(stderr, "\r\x1b[2K%s: %.0f %%", entry.alias.c_str(),
                   total ? 100.0 * static_cast<double>(done) / static_cast<double>(total) : 100.0);
    };
  }
  auto report = dataset::Verify(stores, options);
  if (show) std::fputs("\r\x1b[2K", stderr);
  if (!report.ok()) return std::move(report).error().With(fmt::format("dataset '{}'", entry.alias));
  for (const auto& violation : report->violations) session.Warn(entry.alias + ": " + violation.ToString());
  if (!report->violations.empty()) return false;
  session.Say("{}: {} blocks, {} slices, {} records, {} bytes hold", entry.alias, report->blocks,
              report->slices, report->records, report->bytes);
  if (anchor) {
    ASSIGN_OR_RETURN(auto dataset, workspace.Open(entry));
    ASSIGN_OR_RETURN(bool found, dataset->IsAncestor(*anchor));
    if (!found) {
      session.Warn(
          fmt::format("{}: block {} is not in the history of head {}: it was rewritten or never there",
                      entry.alias, anchor->ToString(), dataset->head().ToString()));
      return false;
    }
    session.Say("{}: the history contains {}", entry.alias, anchor->ToString());
  }
  return true;
}

// Adds the datasets that those in the list are derived from, as far as they are here, each once.
Status AddInputs(const workspace::Workspace& workspace, std::vector<workspace::Entry>* entries) {
  for (size_t i = 0; i < entries->size(); ++i) {
    ASSIGN_OR_RETURN(auto dataset, workspace.Open((*entries)[i]));
    const auto& transform = dataset->state().transform;
    if (!transform) continue;
    for (const auto& input : transform->inputs) {
      auto entry = workspace.Resolve(input.dataset_ref);
      if (!entry.ok()) continue;
      const bool known = std::any_of(entries->begin(), entries->end(),
                                     [&](const auto& other) { return other.id == entry->id; });
      if (!known) entries->push_back(std::move(*entry));
    }
  }
  return {};
}

Status Verify(Session& session, const VerifyArgs& args) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  std::vector<workspace::Entry> entries;
  if (args.datasets.empty()) {
    ASSIGN_OR_RETURN(entries, workspace->List());
  }
  for (const auto& ref : args.datasets) {
    ASSIGN_OR_RETURN(auto found, workspace->ResolvePattern(ref));
    for (auto& entry : found) {
      const bool is_known =
          std::any_of(entries.begin(), entries.end(), [&](const auto& e) { return e.id == entry.id; });
      if (!is_known) entries.push_back(std::move(entry));
    }
  }
  if (args.recursive) RETURN_IF_ERROR(AddInputs(*workspace, &entries));
  if (args.contains && entries.size() != 1) return UsageError("--contains goes with one dataset");
  size_t valid = 0;
  for (const auto& entry : entries) {
    ASSIGN_OR_RETURN(bool ok, VerifyOne(session, *workspace, entry, args));
    valid += ok ? 1 : 0;
  }
  if (valid < entries.size()) {
    return Corruption("{} of {} dataset(s) are not valid", entries.size() - valid, entries.size());
  }
  session.Say("{} dataset(s) are valid", valid);
  return {};
}

}  // namespace

void AddVerify(Commands& commands) {
  auto args = std::make_shared<VerifyArgs>();
  auto* command =
      commands.Add("verify", "Check hashes, chain rules and data, of all datasets or some",
                   "sluice verify river.gauges", [args](Session& session) { return Verify(session, *args); });
  command->add_option("dataset", args->datasets, "Names, ids, or patterns with %; default: all");
  command->add_option(
      "--contains", args->contains,
      "Prove that this block, or the one of a receipt, answer or signed head, is in the history");
  command->add_flag("-r,--recursive", args->recursive, "Also the datasets that these are derived from");
  auto* blocks_only =
      command->add_flag("--metadata-only", args->metadata_only, "Check blocks only, read no data");
  // What verify does in any case: the other programs' option for it.
  command->add_flag("--integrity")
      ->description(
          "Check hashes of blocks and data, repeat no transformation (what verify does without it too)")
      ->excludes(blocks_only);
}

}  // namespace sluice::cli
