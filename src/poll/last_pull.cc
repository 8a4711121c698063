#include "poll/last_pull.h"

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

namespace sluice::poll {
namespace {

using Json = nlohmann::json;

std::string PathOf(const workspace::Workspace& workspace, const workspace::Entry& entry) {
  return workspace.root() + "/derived/" + entry.id.ToMultibase() + "/last-pull.json";
}

std::optional<Instant> TimeIn(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_string()) return std::nullopt;
  auto time = ParseInstant(found->get<std::string>());
  return time.ok() ? std::optional(*time) : std::nullopt;
}

}  // namespace

std::optional<LastPull> LoadLastPull(const workspace::Workspace& workspace, const workspace::Entry& entry) {
  std::ifstream file(PathOf(workspace, entry), std::ios::binary);
  if (!file) return std::nullopt;
  const Json json = Json::parse(file, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto start = TimeIn(json, "start"), end = TimeIn(json, "end");
  if (!start || !end) return std::nullopt;
  LastPull pull{*start, *end, std::nullopt};
  if (const auto error = json.find("error"); error != json.end() && error->is_string())
    pull.error = error->get<std::string>();
  return pull;
}

void SaveLastPull(const workspace::Workspace& workspace, const workspace::Entry& entry,
                  const LastPull& pull) {
  Json json = {{"start", FormatInstant(pull.start)}, {"end", FormatInstant(pull.end)}};
  if (pull.error) json["error"] = *pull.error;
  const std::string path = PathOf(workspace, entry), temporary = path + ".new";
  std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
  file << json.dump(1, ' ', false, Json::error_handler_t::replace) << "\n";
  file.close();
  if (!file || std::rename(temporary.c_str(), path.c_str()) != 0) std::remove(temporary.c_str());
}

}  // namespace sluice::poll
