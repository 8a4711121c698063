#include "pipeline/config.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/names.h"
#include "base/quantity.h"
#include "pipeline/settings_reader.h"

namespace sluice::pipeline {
namespace {

Option Make(std::string name, OptionType type, std::string fallback, std::string description,
            std::vector<std::string> allowed = {}) {
  Option option;
  option.name = std::move(name);
  option.type = type;
  option.default_text = std::move(fallback);
  option.description = std::move(description);
  option.allowed = std::move(allowed);
  return option;
}

const std::vector<Option>& QueueDeclared() {
  static const std::vector<Option> options = {
      Make("max_records", OptionType::kInteger, "100000", "Records in the pipeline at a time"),
      Make("max_bytes", OptionType::kBytes, "64MiB", "Bytes of records in the pipeline at a time")};
  return options;
}
const std::vector<Option>& BatchDeclared() {
  static const std::vector<Option> options = {
      Make("max_records", OptionType::kInteger, "0",
           "Largest batch in records; 0 = as many as the writer likes"),
      Make("max_bytes", OptionType::kBytes, "16MiB", "Largest batch in bytes"),
      Make("max_age", OptionType::kDuration, "0s",
           "How long an idle writer waits for a batch to fill; a busy one finds a batch when it is done")};
  return options;
}
const std::vector<Option>& RetryDeclared() {
  static const std::vector<Option> options = {
      Make(
          "attempts", OptionType::kInteger, "10",
          "Attempts before the upstream is told to deliver again; records of a spool or a file are tried on"),
      Make("backoff", OptionType::kText, "exponential", "How the pause grows", {"exponential", "constant"}),
      Make("initial", OptionType::kDuration, "200ms", "First pause"),
      Make("max", OptionType::kDuration, "30s", "Longest pause")};
  return options;
}
const std::vector<Option>& CircuitDeclared() {
  static const std::vector<Option> options = {
      Make("failures", OptionType::kInteger, "5",
           "Batches that failed as a whole, one after another, before nothing more is taken"),
      Make("pause", OptionType::kDuration, "5s", "Until something is taken again to see whether it works")};
  return options;
}
const std::vector<Option>& SpoolDeclared() {
  static const std::vector<Option> options = [] {
    std::vector<Option> made = {Make("path", OptionType::kText, "", "Folder of the spool"),
                                Make("max_size", OptionType::kBytes, "1GiB",
                                     "Largest size on disk; at it the pipeline takes no more")};
    made[0].is_required = true;
    return made;
  }();
  return options;
}
const std::vector<Option>& TenantsDeclared() {
  static const std::vector<Option> options = {
      Make("records_per_second", OptionType::kNumber, "0", "Limit of each tenant; 0 = none"),
      Make("bytes_per_second", OptionType::kBytes, "0", "Limit of each tenant; 0 = none"),
      Make("known", OptionType::kTexts, "", "The tenants there are; records of others are rejected"),
      Make("limits", OptionType::kTree, "", "Tenant -> its own `records_per_second` and `bytes_per_second`")};
  return options;
}

Result<Settings> Group(SettingsReader& reader, const Tree& root, std::string_view name,
                       const std::vector<Option>& options) {
  const Tree* tree = root.Find(name);
  if (tree == nullptr || tree->kind == Tree::Kind::kNull) return reader.Defaults(options);
  return reader.ReadGroup(*tree, name, options);
}

Status AtLeast(const Settings& group, std::string_view option, int64_t least) {
  const int64_t value = group.integer(option);
  if (value < least) return group.Complain(option, fmt::format("{} is less than {}", value, least));
  return {};
}

Status ReadPolicies(SettingsReader& reader, const Tree& root, PipelineConfig* config) {
  ASSIGN_OR_RETURN(const auto queue, Group(reader, root, "queue", QueueDeclared()));
  RETURN_IF_ERROR(AtLeast(queue, "max_records", 1));
  config->queue.max_records = queue.integer("max_records");
  config->queue.max_bytes = std::max<uint64_t>(queue.bytes("max_bytes"), 1);
  ASSIGN_OR_RETURN(const auto batch, Group(reader, root, "batch", BatchDeclared()));
  RETURN_IF_ERROR(AtLeast(batch, "max_records", 0));
  config->batch.max_records = batch.integer("max_records");
  config->batch.max_bytes = std::max<uint64_t>(batch.bytes("max_bytes"), 1);
  config->batch.max_age = batch.duration("max_age");
  ASSIGN_OR_RETURN(const auto retry, Group(reader, root, "retry", RetryDeclared()));
  RETURN_IF_ERROR(AtLeast(retry, "attempts", 1));
  config->retry.attempts = retry.integer("attempts");
  config->retry.is_exponential = retry.text("backoff") == "exponential";
  config->retry.initial = retry.duration("initial");
  config->retry.max = std::max(retry.duration("max"), retry.duration("initial"));
  ASSIGN_OR_RETURN(const auto circuit, Group(reader, root, "circuit", CircuitDeclared()));
  RETURN_IF_ERROR(AtLeast(circuit, "failures", 1));
  config->circuit.failures = circuit.integer("failures");
  config->circuit.pause = circuit.duration("pause");
  if (const Tree* tree = root.Find("spool"); tree != nullptr && tree->kind != Tree::Kind::kNull) {
    ASSIGN_OR_RETURN(const auto spool, reader.ReadGroup(*tree, "spool", SpoolDeclared()));
    if (spool.text("path").empty()) return spool.Complain("path", "a folder is needed");
    if (spool.bytes("max_size") < (1 << 20)) return spool.Complain("max_size", "at least 1MiB is needed");
    config->spool = SpoolOptions{spool.text("path"), spool.bytes("max_size")};
  }
  return {};
}

Status CheckRate(const Settings& limits) {
  const double rate = limits.number("records_per_second");
  if (!(rate >= 0)) return limits.Complain("records_per_second", fmt::format("{} is less than 0", rate));
  return {};
}

Status ReadTenants(SettingsReader& reader, const Tree& root, TenantOptions* tenants) {
  ASSIGN_OR_RETURN(const auto group, Group(reader, root, "tenants", TenantsDeclared()));
  tenants->all = {group.number("records_per_second"), group.bytes("bytes_per_second")};
  tenants->known = group.texts("known");
  RETURN_IF_ERROR(CheckRate(group));
  static const std::vector<Option> limits(TenantsDeclared().begin(), TenantsDeclared().begin() + 2);
  for (const auto& [tenant, tree] : group.tree("limits").members) {
    ASSIGN_OR_RETURN(const auto one, reader.ReadGroup(tree, "limits", limits));
    RETURN_IF_ERROR(CheckRate(one));
    tenants->named[tenant] = {one.number("records_per_second"), one.bytes("bytes_per_second")};
  }
  return {};
}

Status ReadSteps(SettingsReader& reader, const Tree& root, PipelineConfig* config) {
  const Tree* ingestors = root.Find("ingestors");
  if (ingestors == nullptr || ingestors->kind != Tree::Kind::kList || ingestors->items.empty())
    return (ingestors ? *ingestors : root).Complain("'ingestors' needs a list of at least one");
  for (const auto& tree : ingestors->items) {
    ASSIGN_OR_RETURN(auto settings, reader.Read(tree, ConnectorKind::kIngestor));
    config->ingestors.push_back(std::move(settings));
  }
  if (const Tree* steps = root.Find("processors"); steps != nullptr && steps->kind != Tree::Kind::kNull) {
    if (steps->kind != Tree::Kind::kList) return steps->Complain("'processors' takes a list");
    for (const auto& tree : steps->items) {
      PipelineConfig::Step step;
      ASSIGN_OR_RETURN(step.settings, reader.Read(tree, ConnectorKind::kProcessor, {"when"}));
      if (const Tree* when = tree.Find("when")) step.when = *when;
      config->processors.push_back(std::move(step));
    }
  }
  const Tree* writer = root.Find("writer");
  if (writer == nullptr) return root.Complain("a 'writer' is missing");
  ASSIGN_OR_RETURN(config->writer, reader.Read(*writer, ConnectorKind::kWriter));
  return {};
}

// Made with the first of them, where the technology of files is there.
Status ReadFileOfRejects(SettingsReader& reader, const Tree& root, const Registry& registry,
                         const PipelineConfig& config, std::optional<Settings>* settings) {
  if (!registry.Find(ConnectorKind::kWriter, "file").ok()) return {};
  const auto text = [&](std::string value) {
    return Tree{.kind = Tree::Kind::kText, .text = std::move(value), .place = root.place};
  };
  const Tree file{.kind = Tree::Kind::kMap,
                  .members = {{"type", text("file")}, {"path", text(config.state + "/dead-letters.ndjson")}},
                  .place = root.place};
  ASSIGN_OR_RETURN(*settings, reader.Read(file, ConnectorKind::kWriter));
  return {};
}

// Without a word about it nothing is lost either.
Status ReadDeadLetter(SettingsReader& reader, const Tree& root, const Registry& registry,
                      PipelineConfig* config) {
  const Tree* given = root.Find("dead_letter");
  if (given != nullptr && given->kind != Tree::Kind::kNull) {
    if (given->kind == Tree::Kind::kText && given->text == "none") return {};
    ASSIGN_OR_RETURN(config->dead_letter, reader.Read(*given, ConnectorKind::kWriter));
    if (config->dead_letter->type() != "file")
      RETURN_IF_ERROR(ReadFileOfRejects(reader, root, registry, *config, &config->last_resort));
    if (config->dead_letter->has("format") && config->dead_letter->text("format") == "pretty")
      return config->dead_letter->Complain("format",
                                           "'pipeline replay' reads dead letters one a line: leave it out");
    return {};
  }
  RETURN_IF_ERROR(ReadFileOfRejects(reader, root, registry, *config, &config->dead_letter));
  config->keeps_rejects = config->dead_letter.has_value();
  return {};
}

// Of a writer and those within it.
void AddFileWriters(const Settings& writer, std::vector<const Settings*>* found) {
  if (writer.type() == "file") found->push_back(&writer);
  if (!writer.has("writers")) return;
  for (const auto& one : writer.writers("writers")) {
    AddFileWriters(one, found);
    if (one.has("branch.dead_letter")) AddFileWriters(one.writer("branch.dead_letter"), found);
  }
}

// A pipeline that reads what it writes does so until the disk is full.
Status CheckCircles(const PipelineConfig& config) {
  const auto folder = std::filesystem::absolute(config.file).parent_path();
  const auto path_of = [&](const Settings& settings) {
    std::error_code error;
    const auto path = (folder / settings.text("path")).lexically_normal();
    auto plain = std::filesystem::weakly_canonical(path, error);
    return error ? path : plain;
  };
  std::vector<const Settings*> written;
  AddFileWriters(config.writer, &written);
  if (config.dead_letter) AddFileWriters(*config.dead_letter, &written);
  if (config.last_resort) AddFileWriters(*config.last_resort, &written);
  for (const auto& ingestor : config.ingestors) {
    if (ingestor.type() != "file") continue;
    for (const Settings* writer : written) {
      if (path_of(*writer) != path_of(ingestor)) continue;
      return writer->Complain("path",
                              fmt::format("'{}' is what the pipeline reads ({}): it would read what it "
                                          "writes; take another file",
                                          writer->text("path"), ingestor.place()));
    }
  }
  return {};
}

Status ReadName(const Tree& root, PipelineConfig* config) {
  config->name = std::filesystem::path(config->file).stem().string();
  const Tree* name = root.Find("name");
  if (name != nullptr && name->kind == Tree::Kind::kText) config->name = name->text;
  const bool is_plain = !config->name.empty() && config->name.size() <= 64 &&
                        std::all_of(config->name.begin(), config->name.end(), [](unsigned char c) {
                          return std::isalnum(c) != 0 || c == '-' || c == '_';
                        });
  if (!is_plain)
    return (name ? *name : root)
        .Complain(fmt::format("'{}' is no name of a pipeline: letters, digits, '-' and '_'", config->name));
  return {};
}

}  // namespace

std::vector<OptionGroup> PipelineOptionGroups() {
  return {{"queue", "Bound of what is in the pipeline at a time", &QueueDeclared()},
          {"batch", "How records are put together for the writer", &BatchDeclared()},
          {"retry", "How failed records are tried again", &RetryDeclared()},
          {"circuit", "When nothing more is taken because the writer fails", &CircuitDeclared()},
          {"spool", "Durable queue before the processors: records are acknowledged when they are in it",
           &SpoolDeclared()},
          {"tenants", "Who may send, and how much", &TenantsDeclared()}};
}

Result<PipelineConfig> ReadConfig(std::string_view yaml, const std::string& path, const Registry& registry,
                                  const Expander& expand) {
  ASSIGN_OR_RETURN(const Tree root, ReadTree(yaml, path, expand));
  if (root.kind != Tree::Kind::kMap) return root.Complain("expected 'ingestors' and a 'writer'");
  static const std::vector<std::string> kKeys = {"name",    "ingestors",   "processors", "writer", "retry",
                                                 "spool",   "dead_letter", "queue",      "batch",  "circuit",
                                                 "tenants", "shutdown",    "state"};
  for (const auto& [key, value] : root.members) {
    if (std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end()) continue;
    const auto near = NearNames(key, kKeys);
    return value.Complain(
        near.empty() ? fmt::format("unknown key '{}'; known: {}", key, JoinNames(kKeys))
                     : fmt::format("unknown key '{}'; did you mean '{}'?", key, JoinNames(near, "', '")));
  }
  PipelineConfig config;
  config.file = path;
  SettingsReader reader(registry);
  RETURN_IF_ERROR(ReadName(root, &config));
  const Tree* state = root.Find("state");
  const bool is_said = state != nullptr && state->kind != Tree::Kind::kNull;
  if (is_said && (state->kind != Tree::Kind::kText || state->text.empty()))
    return state->Complain("'state' takes a folder");
  config.state = is_said ? state->text : ".sluice-run/" + config.name;
  RETURN_IF_ERROR(ReadSteps(reader, root, &config));
  RETURN_IF_ERROR(ReadDeadLetter(reader, root, registry, &config));
  RETURN_IF_ERROR(CheckCircles(config));
  RETURN_IF_ERROR(ReadPolicies(reader, root, &config));
  RETURN_IF_ERROR(ReadTenants(reader, root, &config.tenants));
  if (const Tree* shutdown = root.Find("shutdown");
      shutdown != nullptr && shutdown->kind == Tree::Kind::kText) {
    auto duration = ParseDuration(shutdown->text);
    if (!duration.ok()) return shutdown->Complain(duration.error().message());
    config.shutdown = *duration;
  }
  config.secrets = reader.secrets();
  return config;
}

Result<PipelineConfig> LoadConfig(const std::string& path, const Registry& registry, const Expander& expand) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    return InvalidArgument("'{}' is a folder, not a pipeline file", path);
  std::ifstream file(path, std::ios::binary);
  if (!file) return FromErrno(errno != 0 ? errno : ENOENT, fmt::format("cannot read '{}'", path));
  std::ostringstream text;
  text << file.rdbuf();
  if (file.bad()) return MakeError(ErrorCode::kUnavailable, "cannot read '{}'", path);
  return ReadConfig(text.str(), path, registry, expand);
}

}  // namespace sluice::pipeline
