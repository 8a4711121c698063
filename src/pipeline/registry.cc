#include "pipeline/registry.h"

#include "base/names.h"
#include "pipeline/settings.h"

namespace sluice::pipeline {
namespace {

std::string_view NameOf(ConnectorKind kind) {
  static constexpr std::string_view kNames[] = {"ingestor", "processor", "writer"};
  return kNames[static_cast<size_t>(kind)];
}

}  // namespace

void Registry::Add(Declaration declaration, Maker<Ingestor> make) {
  declaration.kind = ConnectorKind::kIngestor;
  Entry& entry = entries_[{declaration.kind, declaration.type}];
  entry.ingestor = std::move(make);
  entry.declaration = std::move(declaration);
}

void Registry::Add(Declaration declaration, Maker<Processor> make) {
  declaration.kind = ConnectorKind::kProcessor;
  Entry& entry = entries_[{declaration.kind, declaration.type}];
  entry.processor = std::move(make);
  entry.declaration = std::move(declaration);
}

void Registry::Add(Declaration declaration, Maker<IngestionWriter> make) {
  declaration.kind = ConnectorKind::kWriter;
  Entry& entry = entries_[{declaration.kind, declaration.type}];
  entry.writer = std::move(make);
  entry.declaration = std::move(declaration);
}

void Registry::AddUnavailable(Declaration declaration, std::string reason) {
  Entry& entry = entries_[{declaration.kind, declaration.type}];
  entry.unavailable = std::move(reason);
  entry.declaration = std::move(declaration);
}

std::vector<const Declaration*> Registry::declarations() const {
  std::vector<const Declaration*> all;
  for (const auto& [key, entry] : entries_) all.push_back(&entry.declaration);
  return all;
}

Result<const Declaration*> Registry::Find(ConnectorKind kind, std::string_view type) const {
  const auto found = entries_.find(std::pair(kind, std::string(type)));
  if (found != entries_.end()) return &found->second.declaration;
  std::vector<std::string> names;
  std::vector<std::string> elsewhere;
  for (const auto& [key, entry] : entries_) {
    if (key.first == kind) names.push_back(key.second);
    if (key.second == type) elsewhere.push_back(std::string(NameOf(key.first)));
  }
  const auto near = NearNames(type, names);
  std::string hint = near.empty() ? fmt::format("; known: {}", JoinNames(names))
                                  : fmt::format("; did you mean '{}'?", JoinNames(near, "', '"));
  if (!elsewhere.empty()) hint = fmt::format(" (there is: {}){}", JoinNames(elsewhere), hint);
  return NotFound("there is no {} of type '{}'{}", NameOf(kind), type, hint);
}

Result<std::unique_ptr<Ingestor>> Registry::MakeIngestor(const Settings& settings,
                                                         Environment& environment) const {
  const auto found = entries_.find(std::pair(ConnectorKind::kIngestor, settings.type()));
  if (found == entries_.end()) return NotFound("there is no ingestor of type '{}'", settings.type());
  if (!found->second.ingestor)
    return Unsupported("{}: ingestor '{}': {}", settings.place(), settings.type(), found->second.unavailable);
  return found->second.ingestor(settings, environment);
}

Result<std::unique_ptr<Processor>> Registry::MakeProcessor(const Settings& settings,
                                                           Environment& environment) const {
  const auto found = entries_.find(std::pair(ConnectorKind::kProcessor, settings.type()));
  if (found == entries_.end()) return NotFound("there is no processor of type '{}'", settings.type());
  if (!found->second.processor)
    return Unsupported("{}: processor '{}': {}", settings.place(), settings.type(),
                       found->second.unavailable);
  return found->second.processor(settings, environment);
}

Result<std::unique_ptr<IngestionWriter>> Registry::MakeWriter(const Settings& settings,
                                                              Environment& environment) const {
  const auto found = entries_.find(std::pair(ConnectorKind::kWriter, settings.type()));
  if (found == entries_.end()) return NotFound("there is no writer of type '{}'", settings.type());
  if (!found->second.writer)
    return Unsupported("{}: writer '{}': {}", settings.place(), settings.type(), found->second.unavailable);
  return found->second.writer(settings, environment);
}

}  // namespace sluice::pipeline
