#include "server/capability.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/names.h"

namespace sluice::server {
namespace {

constexpr std::array<std::pair<Capability, std::string_view>, 8> kNames = {{
    {Capability::kPipe, "pipe"},
    {Capability::kContainer, "container"},
    {Capability::kExec, "exec"},
    {Capability::kFile, "file"},
    {Capability::kFilesGlob, "filesGlob"},
    {Capability::kSsh, "ssh"},
    {Capability::kEnv, "env"},
    {Capability::kPrivateAddresses, "privateAddresses"},
}};

// `${{ env.NAME }}` anywhere in a text that is a template.
bool UsesEnvironment(std::string_view text) {
  for (size_t at = text.find("${{"); at != std::string_view::npos; at = text.find("${{", at + 3)) {
    const size_t end = std::min(text.find("}}", at), text.size());
    if (text.substr(at, end - at).find("env.") != std::string_view::npos) return true;
  }
  return false;
}

class Needs {
 public:
  void Text(std::string_view text) {
    if (UsesEnvironment(text)) needed.insert(Capability::kEnv);
  }
  void Step(const odf::FetchUrl& step) {
    Text(step.url);
    for (const auto& header : step.headers.value_or(std::vector<odf::RequestHeader>())) {
      Text(header.name);
      Text(header.value);
    }
    // By scheme, without case and leading blanks; one that is a template may turn out to be any.
    std::string scheme;
    for (const char c : std::string_view(step.url).substr(0, step.url.find(':')))
      if (!std::isspace(static_cast<unsigned char>(c)))
        scheme += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const bool is_path = step.url.find(':') == std::string::npos;
    if (scheme == "exec") needed.insert(Capability::kExec);
    if (scheme == "file" || is_path) needed.insert(Capability::kFile);
    if (scheme == "ssh" || scheme == "sftp" || scheme == "scp") needed.insert(Capability::kSsh);
    if (scheme.find("${{") != std::string::npos)
      needed.insert({Capability::kExec, Capability::kFile, Capability::kSsh});
  }
  void Step(const odf::FetchFilesGlob& step) {
    needed.insert(Capability::kFilesGlob);
    Text(step.path);
  }
  void Step(const odf::FetchContainer& step) {
    needed.insert(Capability::kContainer);
    Text(step.image);
    for (const auto* list : {&step.command, &step.args})
      for (const auto& text : list->value_or(odf::Strings())) Text(text);
    for (const auto& variable : step.env.value_or(std::vector<odf::EnvVar>())) {
      if (!variable.value) needed.insert(Capability::kEnv);  // taken from the process
      Text(variable.value.value_or(""));
    }
  }
  void Step(const odf::FetchMqtt& step) {
    Text(step.host);
    Text(step.username.value_or(""));
    Text(step.password.value_or(""));
    for (const auto& topic : step.topics) Text(topic.path);
  }
  void Step(const odf::FetchEthereumLogs& step) {
    Text(step.node_url.value_or(""));
    Text(step.filter.value_or(""));
  }
  void Step(const odf::PrepPipe& step) {
    needed.insert(Capability::kPipe);
    for (const auto& text : step.command) Text(text);
  }
  void Step(const odf::PrepDecompress&) {}

  std::set<Capability> needed;
};

}  // namespace

std::string_view NameOf(Capability capability) {
  for (const auto& [known, name] : kNames)
    if (known == capability) return name;
  return "";
}

std::set<Capability> AllCapabilities() {
  std::set<Capability> all;
  for (const auto& [known, name] : kNames) all.insert(known);
  return all;
}

Result<Capability> ParseCapability(std::string_view name) {
  std::vector<std::string> all;
  for (const auto& [known, text] : kNames) {
    if (text == name) return known;
    all.emplace_back(text);
  }
  return InvalidArgument("'{}' is not a capability: known are {}", name, JoinNames(all));
}

std::set<Capability> NeededCapabilities(const std::vector<odf::MetadataEvent>& events) {
  Needs needs;
  for (const auto& event : events) {
    const auto* source = std::get_if<odf::SetPollingSource>(&event);
    if (!source) continue;
    std::visit([&](const auto& step) { needs.Step(step); }, source->fetch);
    for (const auto& prepare : source->prepare.value_or(std::vector<odf::PrepStep>()))
      std::visit([&](const auto& step) { needs.Step(step); }, prepare);
  }
  return needs.needed;
}

Status CheckCapabilities(const std::vector<odf::MetadataEvent>& events, const std::set<Capability>& granted) {
  std::vector<std::string> missing;
  for (const auto capability : NeededCapabilities(events))
    if (!granted.contains(capability)) missing.emplace_back(NameOf(capability));
  if (missing.empty()) return {};
  return MakeError(ErrorCode::kPermissionDenied,
                   "manifests sent to this node may not use {}: its configuration does not grant that "
                   "capability to this account",
                   JoinNames(missing));
}

}  // namespace sluice::server
