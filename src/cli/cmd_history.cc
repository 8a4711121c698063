#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>

#include "cli/block_text.h"
#include "cli/commands.h"
#include "cli/pager.h"
#include "cli/usage.h"
#include "multiformats/multibase.h"
#include "odf/yaml.h"

namespace sluice::cli {
namespace {

constexpr std::string_view kFilters[] = {"source", "data", "watermark"};

struct LogOptions {
  std::string dataset;
  std::string format = "shell";
  std::string filter;
  int64_t limit = 500;
};

bool Passes(const odf::MetadataEvent& event, const std::string& filter) {
  if (filter.empty()) return true;
  const bool data =
      std::holds_alternative<odf::AddData>(event) || std::holds_alternative<odf::ExecuteTransform>(event);
  if (data && (filter.find("data") != std::string::npos || filter.find("watermark") != std::string::npos))
    return true;
  const bool source =
      std::holds_alternative<odf::Seed>(event) || std::holds_alternative<odf::SetPollingSource>(event) ||
      std::holds_alternative<odf::AddPushSource>(event) || std::holds_alternative<odf::SetTransform>(event) ||
      std::holds_alternative<odf::DisablePollingSource>(event) ||
      std::holds_alternative<odf::DisablePushSource>(event) || std::holds_alternative<odf::SetVocab>(event);
  return source && filter.find("source") != std::string::npos;
}

Status Log(Session& session, const LogOptions& options) {
  const bool known = options.filter.empty() ||
                     std::any_of(std::begin(kFilters), std::end(kFilters), [&](std::string_view word) {
                       return options.filter.find(word) != std::string::npos;
                     });
  if (!known) return UsageError("--filter takes source, data, watermark, not '{}'", options.filter);
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  ASSIGN_OR_RETURN(auto entry, workspace->Resolve(options.dataset));
  ASSIGN_OR_RETURN(const auto hold, workspace->HoldFiles(entry.id));
  ASSIGN_OR_RETURN(auto dataset, workspace->Open(entry));
  const auto pager = Pager::Start(session);
  int64_t shown = 0;
  return dataset->WalkBack([&](const dataset::StoredBlock& block) -> Result<bool> {
    if (shown >= options.limit) return false;
    if (!Passes(block.block.event, options.filter)) return true;
    ++shown;
    std::string text;
    if (options.format == "yaml") {
      text = (shown > 1 ? "---\n" : "") + odf::ToYaml(block.block);
    } else {
      text = BlockText(block, session.stdout_is_terminal() && session.color()) + "\n";
    }
    RETURN_IF_ERROR(session.Out(text));
    return true;
  });
}

struct HeadOptions {
  std::string dataset;
  bool sign = false;
};

Status Head(Session& session, const HeadOptions& options) {
  ASSIGN_OR_RETURN(auto* workspace, session.OpenWorkspace());
  ASSIGN_OR_RETURN(auto entry, workspace->Resolve(options.dataset));
  ASSIGN_OR_RETURN(const auto hold, workspace->HoldFiles(entry.id));
  ASSIGN_OR_RETURN(auto dataset, workspace->Open(entry));
  RETURN_IF_ERROR(dataset->EnsureDurable());
  const std::string head = dataset->head().ToString();
  if (!options.sign) return session.Out(head + "\n");
  ASSIGN_OR_RETURN(auto key, workspace->LoadKey(entry.id));
  // One line each, in this order; the signature is over the lines above it.
  const std::string statement =
      fmt::format("dataset: {}\nhead: {}\nsequence: {}\nsignedAt: {}\n", entry.id.ToString(), head,
                  dataset->state().sequence, FormatInstant(session.clock().Now()));
  ASSIGN_OR_RETURN(auto signature, key.Sign(statement));
  return session.Out(statement + "signature: u" + multiformats::EncodeBase64Url(signature) + "\n");
}

}  // namespace

void AddLog(Commands& commands) {
  auto options = std::make_shared<LogOptions>();
  auto* command = commands.Add(
      "log", "Show the blocks of a dataset, newest first, on a terminal through $PAGER",
      "sluice log river.gauges --limit 5", [options](Session& session) { return Log(session, *options); });
  command->add_option("dataset", options->dataset, "The dataset")->required();
  command->add_option("-o,--output-format", options->format, "shell (default) or yaml")
      ->check(CLI::IsMember({"shell", "yaml"}));
  command->add_option("-f,--filter", options->filter, "source, data, watermark, or several joined by commas");
  command->add_option("--limit", options->limit, "At most so many blocks (default 500)")
      ->check(WholeNumber(0));
}

void AddHead(Commands& commands) {
  auto options = std::make_shared<HeadOptions>();
  auto* command = commands.Add("head", "Print a dataset's head, signed if asked",
                               "sluice head --sign river.gauges > anchor.txt",
                               [options](Session& session) { return Head(session, *options); });
  command->add_option("dataset", options->dataset, "The dataset")->required();
  command->add_flag("--sign", options->sign,
                    "With the dataset's key: keep it as an anchor outside this machine");
}

}  // namespace sluice::cli
