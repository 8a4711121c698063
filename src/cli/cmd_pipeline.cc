#include <algorithm>
#include <map>
#include <set>

#include "base/names.h"
#include "cli/commands.h"
#include "cli/hosted_pipelines.h"
#include "cli/pipeline_files.h"
#include "cli/usage.h"
#include "pipeline/backoff.h"
#include "pipeline/describe.h"
#include "pipeline/replay.h"

namespace sluice::cli {
namespace {

Status CheckFiles(Session& session, const std::vector<std::string>& paths) {
  ASSIGN_OR_RETURN(const auto files, PipelineFiles(paths));
  std::map<std::string, std::string> file_of;  // by the pipeline's name
  for (const auto& file : files) {
    ASSIGN_OR_RETURN(const auto config, LoadPipeline(session, file));
    if (const auto [other, is_new] = file_of.emplace(config.name, file); !is_new)
      return InvalidArgument("'{}' and '{}' are both pipeline '{}'", other->second, file, config.name);
    RETURN_IF_ERROR(pipeline::Runner::Check(config, HostFor(session)));
    session.Say("{}: pipeline '{}' is well formed: {} ingestor(s), {} processor(s), writer {}", file,
                config.name, config.ingestors.size(), config.processors.size(), config.writer.type());
    if (!config.dead_letter)
      session.Say("{}: dead_letter is none: records that can never succeed will be counted and gone", file);
  }
  return {};
}

Status Graph(Session& session, const std::string& file, bool as_svg) {
  ASSIGN_OR_RETURN(const auto config, LoadPipeline(session, file));
  return session.Out(as_svg ? pipeline::DrawAsSvg(config) : pipeline::DrawAsText(config));
}

struct Replayed {
  uint64_t taken = 0;
  uint64_t rejected = 0;
};

Status ReplayOne(Session& session, const pipeline::PipelineConfig& config, const pipeline::ReplayPass& pass,
                 Replayed* sum) {
  ASSIGN_OR_RETURN(auto runner, pipeline::Runner::StartReplay(config, HostFor(session), pass));
  while (!session.stop().stop_requested() && !runner->is_finished() && runner->fatal().ok())
    pipeline::SleepFor(std::chrono::milliseconds(20), session.stop());
  const Status fatal = runner->fatal();
  const bool was_finished = runner->is_finished();
  const auto ailments = runner->ailments();
  const Status stopped = runner->Stop();
  const auto& balance = runner->metrics().balance;
  sum->taken += balance.taken - balance.failed;
  sum->rejected += balance.rejected;
  for (const auto& one : ailments) {
    if (one.stage.starts_with("ingestor"))
      return MakeError(ErrorCode::kUnavailable, "'{}': {}", pass.path, one.reason);
  }
  RETURN_IF_ERROR(fatal);
  RETURN_IF_ERROR(stopped);
  if (!was_finished)
    return Error(ErrorCode::kCancelled,
                 "interrupted; sending all of it again is safe where the writer knows repeats");
  return {};
}

Status Replay(Session& session, const std::string& file, const std::string& letters) {
  ASSIGN_OR_RETURN(const auto config, LoadPipeline(session, file));
  ASSIGN_OR_RETURN(const auto passes, pipeline::PlanReplay(letters));
  // All of them, or nothing is sent.
  for (const auto& pass : passes)
    RETURN_IF_ERROR(pipeline::Runner::CheckReplay(config, HostFor(session), pass));
  Replayed sum;
  Status status;
  for (const auto& pass : passes) {
    status = ReplayOne(session, config, pass, &sum);
    if (!status.ok()) break;
  }
  session.Say("{}: {} record(s) sent again, {} rejected again", config.name, sum.taken, sum.rejected);
  return status;
}

Status List(Session& session) {
  std::string text;
  for (const auto* one : session.registry().declarations()) {
    text += fmt::format("{:<10} {:<10} {:<13} {}\n", NameOf(one->kind), one->type, NameOf(one->tier),
                        one->summary);
  }
  return session.Out(text);
}

Status Show(Session& session, const std::string& type, bool as_markdown) {
  const auto all = session.registry().declarations();
  if (as_markdown && type == "README") return session.Out(pipeline::DescribeAllAsMarkdown(all));
  std::set<std::string> types;
  std::string text;
  for (const auto* one : all) {
    types.insert(one->type);
    if (one->type != type) continue;
    if (!text.empty()) text += '\n';
    text += pipeline::DescribeAsText(*one);
  }
  if (text.empty()) {
    const std::vector<std::string> known(types.begin(), types.end());
    const auto near = NearNames(type, known);
    return NotFound("there is no connector '{}'; {}", type,
                    near.empty() ? "known: " + JoinNames(known)
                                 : fmt::format("did you mean '{}'?", JoinNames(near, "', '")));
  }
  return session.Out(as_markdown ? pipeline::DescribeAsMarkdown(type, all) : text);
}

}  // namespace

void AddPipeline(Commands& commands) {
  auto* family = commands.Add("pipeline", "Check, draw and repair pipelines",
                              "sluice pipeline check feedback.yaml", nullptr);
  family->require_subcommand(1);

  auto files = std::make_shared<std::vector<std::string>>();
  auto* check = commands.Add(
      "check", "Check pipeline files without connecting to anything", "sluice pipeline check feedback.yaml",
      [files](Session& session) { return CheckFiles(session, *files); }, family);
  check->add_option("files", *files, "Pipeline files, or folders of them")
      ->required()
      ->check(CLI::ExistingPath);

  auto file = std::make_shared<std::string>();
  auto as_svg = std::make_shared<bool>(false);
  auto* graph = commands.Add(
      "graph", "Draw the way of a record through a pipeline",
      "sluice pipeline graph feedback.yaml --svg > feedback.svg",
      [file, as_svg](Session& session) { return Graph(session, *file, *as_svg); }, family);
  graph->add_option("file", *file, "Pipeline file")->required()->check(CLI::ExistingFile);
  graph->add_flag("--svg", *as_svg, "An SVG picture instead of text");

  auto letters = std::make_shared<std::string>();
  auto* replay = commands.Add(
      "replay", "Send dead letters through a pipeline again",
      "sluice pipeline replay feedback.yaml var/dead/feedback.ndjson",
      [file, letters](Session& session) { return Replay(session, *file, *letters); }, family);
  replay->add_option("file", *file, "Pipeline file")->required()->check(CLI::ExistingFile);
  replay
      ->add_option("dead_letters", *letters, "File that the pipeline's dead_letter wrote; it stays as it is")
      ->required()
      ->check(CLI::ExistingFile);
}

void AddConnectors(Commands& commands) {
  auto* family =
      commands.Add("connectors", "What pipelines can be made of", "sluice connectors list", nullptr);
  family->require_subcommand(1);
  commands.Add("list", "List ingestors, processors and writers", "sluice connectors list", List, family);
  auto type = std::make_shared<std::string>();
  auto as_markdown = std::make_shared<bool>(false);
  auto* show = commands.Add(
      "show", "Show a connector's options and guarantee", "sluice connectors show file",
      [type, as_markdown](Session& session) { return Show(session, *type, *as_markdown); }, family);
  show->add_option("type", *type, "Type of the connector")->required();
  show->add_flag("--markdown", *as_markdown, "As a page of the documentation");
}

}  // namespace sluice::cli
