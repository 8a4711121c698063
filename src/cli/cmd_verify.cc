#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/whole_file.h"
#include "cli/commands.h"
#include "cli/usage.h"
#include "dataset/verify.h"
#include "multiformats/multibase.h"

namespace sluice::cli {
namespace {

struct VerifyArgs {
  std::vector<std::string> datasets;
  std::optional<std::string> contains;
  bool metadata_only = false;
  bool recursive = false;
};

// The hash of the block that a node's answer or receipt names. Errors: kInvalidArgument.
Result<odf::Multihash> ReadReceipt(const std::string& content, const std::string& name) {
  const auto json = nlohmann::json::parse(content, nullptr, false);
  const auto hash = json.is_object() ? json.find("blockHash") : json.end();
  if (!json.is_object() || hash == json.end() || !hash->is_string())
    return InvalidArgument("'{}' is no receipt that names a block: it has no blockHash", name);
  return odf::Multihash::Parse(hash->get<std::string>());
}

// A block hash, a node's receipt, or a file that `head --sign` wrote, the signature of which is checked.
Result<odf::Multihash> ReadAnchor(const std::string& text, const multiformats::DatasetId& id) {
  if (auto hash = odf::Multihash::Parse(text); hash.ok()) return hash;
  auto file = ReadWholeFile(text);
  if (!file.ok())
    return UsageError(
        "--contains takes a block hash, a receipt, or a file written by 'sluice head --sign', not '{}'",
        text);
  std::string& content = *file;
  std::erase(content, '\r');  // of a mail or an editor; nothing that is signed holds one
  if (content.starts_with('{')) return ReadReceipt(content, text);
  const auto field = [&](const std::string& name) -> std::string {
    const auto at = content.find(name + ": ");
    if (at == std::string::npos) return "";
    const auto start = at + name.size() + 2;
    return content.substr(start, content.find('\n', start) - start);
  };
  const auto split = content.find("signature: u");
  if (split == std::string::npos) return InvalidArgument("'{}' holds no signature", text);
  ASSIGN_OR_RETURN(auto signer, multiformats::DatasetId::Parse(field("dataset")));
  if (signer != id)
    return InvalidArgument("'{}' was signed for dataset {}, not this one", text, signer.ToString());
  ASSIGN_OR_RETURN(auto signature, multiformats::DecodeBase64Url(field("signature").substr(1)));
  if (!multiformats::VerifySignature(signer, content.substr(0, split), signature)) {
    return Corruption("the signature in '{}' does not hold", text);
  }
  return odf::Multihash::Parse(field("head"));
}

Result<bool> VerifyOne(Session& session, const workspace::Workspace& workspace, const workspace::Entry& entry,
                       const VerifyArgs& args) {
  std::optional<odf::Multihash> anchor;
  if (args.contains) {
    ASSIGN_OR_RETURN(anchor, ReadAnchor(*args.contains, entry.id));
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
  command->add_option("--contains", args->contains,
                      "Prove that this block, or the one of a receipt or signed head, is in the history");
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
