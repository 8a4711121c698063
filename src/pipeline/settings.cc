#include "pipeline/settings.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/names.h"
#include "base/quantity.h"
#include "pipeline/settings_reader.h"

namespace sluice::pipeline {

struct Settings::Value {
  OptionType type = OptionType::kText;
  bool is_given = false;  // by the file or a default
  std::string place;
  std::string text;
  int64_t integer = 0;
  double number = 0;
  bool boolean = false;
  std::chrono::milliseconds duration{0};
  uint64_t bytes = 0;
  std::vector<std::string> texts;
  std::map<std::string, std::string> text_map;
  Tree tree;
  std::vector<Settings> writers;
};

namespace {

// Shorter ones would hide letters of ordinary words.
constexpr size_t kShortestSecret = 4;

constexpr std::string_view kRecordTemplate = "${{";

std::string_view Describe(OptionType type) {
  switch (type) {
    case OptionType::kText:
      return "a text";
    case OptionType::kInteger:
      return "a whole number";
    case OptionType::kNumber:
      return "a number";
    case OptionType::kBoolean:
      return "true or false";
    case OptionType::kDuration:
      return "a duration such as 30s";
    case OptionType::kBytes:
      return "a number of bytes such as 1MiB";
    case OptionType::kTexts:
      return "a list of texts";
    case OptionType::kTextMap:
      return "a map of texts";
    case OptionType::kTree:
      return "a structure";
    case OptionType::kWriter:
      return "a writer";
    case OptionType::kWriters:
      return "a list of writers";
  }
  return "a value";
}

bool IsScalar(OptionType type) { return type <= OptionType::kBytes; }

std::string Near(std::string_view word, const std::vector<std::string>& names) {
  const auto near = NearNames(word, names);
  if (near.empty()) return fmt::format("; known: {}", JoinNames(names));
  return fmt::format("; did you mean '{}'?", JoinNames(near, "', '"));
}

Status CheckTemplates(const Tree& tree, const Option& option) {
  if (tree.text.find(kRecordTemplate) != std::string::npos && !option.may_name_fields)
    return tree.Complain(fmt::format("option '{}' cannot depend on the record", option.name));
  return {};
}

// Of `scheme://user:password@host...`.
std::string_view PasswordOfUrl(std::string_view text) {
  const size_t scheme = text.find("://");
  if (scheme == std::string_view::npos) return {};
  std::string_view rest = text.substr(scheme + 3);
  rest = rest.substr(0, rest.find_first_of("/?#"));
  const size_t at = rest.rfind('@');
  if (at == std::string_view::npos) return {};
  const size_t colon = rest.substr(0, at).find(':');
  return colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1, at - colon - 1);
}

}  // namespace

#define SLUICE_SETTING(TYPE, NAME, MEMBER)                        \
  TYPE Settings::NAME(std::string_view name) const {              \
    static const std::remove_cvref_t<TYPE> none{};                \
    const auto found = values_.find(name);                        \
    return found == values_.end() ? none : found->second->MEMBER; \
  }
SLUICE_SETTING(const std::string&, text, text)
SLUICE_SETTING(int64_t, integer, integer)
SLUICE_SETTING(double, number, number)
SLUICE_SETTING(bool, boolean, boolean)
SLUICE_SETTING(std::chrono::milliseconds, duration, duration)
SLUICE_SETTING(uint64_t, bytes, bytes)
SLUICE_SETTING(const std::vector<std::string>&, texts, texts)
// NOLINTNEXTLINE(bugprone-macro-parentheses)
using TextMap = std::map<std::string, std::string>;
SLUICE_SETTING(const TextMap&, text_map, text_map)
SLUICE_SETTING(const Tree&, tree, tree)
SLUICE_SETTING(const std::vector<Settings>&, writers, writers)
#undef SLUICE_SETTING

const Settings& Settings::writer(std::string_view name) const {
  static const Settings none;
  const auto& all = writers(name);
  return all.empty() ? none : all.front();
}

bool Settings::has(std::string_view name) const {
  const auto found = values_.find(name);
  return found != values_.end() && found->second->is_given;
}

std::string Settings::Where(std::string_view option) const {
  const auto found = values_.find(option);
  const std::string& place =
      found != values_.end() && !found->second->place.empty() ? found->second->place : place_;
  return fmt::format("{}: option '{}'", place, option);
}

Error Settings::Complain(std::string_view option, std::string_view message) const {
  return InvalidArgument("{}: {}", Where(option), message);
}

Result<Settings> SettingsReader::Read(const Tree& tree, ConnectorKind kind,
                                      const std::vector<std::string_view>& also) {
  static constexpr std::string_view kKinds[] = {"ingestor", "processor", "writer"};
  const auto kind_name = kKinds[static_cast<size_t>(kind)];
  if (tree.kind != Tree::Kind::kMap)
    return tree.Complain(
        fmt::format("expected {} {} with its 'type'", kind_name[0] == 'i' ? "an" : "a", kind_name));
  const Tree* type = tree.Find("type");
  if (type == nullptr || type->kind != Tree::Kind::kText)
    return tree.Complain(fmt::format("a 'type' is missing: which {} is it?", kind_name));
  auto declaration = registry_.Find(kind, type->text);
  if (!declaration.ok()) return type->Complain(declaration.error().message());
  Settings settings;
  settings.type_ = type->text;
  settings.place_ = tree.place;
  auto keys = also;
  keys.push_back("type");
  RETURN_IF_ERROR(ReadOptions(&tree, fmt::format("{} '{}'", kind_name, type->text), (*declaration)->options,
                              keys, &settings));
  return settings;
}

const std::vector<Option>& BranchOptions() {
  static const std::vector<Option> options = {
      {.name = "policy",
       .description = "Whether a record has to reach this writer",
       .default_text = "required",
       .allowed = {"required", "best_effort"}},
      {.name = "attempts",
       .type = OptionType::kInteger,
       .description = "Of a writer with `best_effort`: attempts before a record is given up",
       .default_text = "3"},
      {.name = "dead_letter",
       .type = OptionType::kWriter,
       .description = "Of a writer with `best_effort`: where given up records go"}};
  return options;
}

Result<Settings> SettingsReader::ReadBranch(const Tree& tree) {
  std::vector<std::string_view> names;
  Tree branch = tree;
  branch.members.clear();
  for (const auto& option : BranchOptions()) {
    names.push_back(option.name);
    if (const Tree* given = tree.Find(option.name)) branch.members.emplace_back(option.name, *given);
  }
  ASSIGN_OR_RETURN(auto settings, Read(tree, ConnectorKind::kWriter, names));
  Settings policies;
  policies.place_ = tree.place;
  RETURN_IF_ERROR(ReadOptions(&branch, "a writer of several", BranchOptions(), {}, &policies));
  for (auto& [name, value] : policies.values_) settings.values_["branch." + name] = value;
  return settings;
}

Result<Settings> SettingsReader::ReadGroup(const Tree& tree, std::string_view name,
                                           const std::vector<Option>& options) {
  if (tree.kind != Tree::Kind::kMap) return tree.Complain(fmt::format("'{}' takes options with names", name));
  Settings settings;
  settings.type_ = name;
  settings.place_ = tree.place;
  RETURN_IF_ERROR(ReadOptions(&tree, fmt::format("'{}'", name), options, {}, &settings));
  return settings;
}

Result<Settings> SettingsReader::Defaults(const std::vector<Option>& options) {
  Settings settings;
  RETURN_IF_ERROR(ReadOptions(nullptr, "", options, {}, &settings));
  return settings;
}

Status SettingsReader::ReadOptions(const Tree* tree, std::string_view what,
                                   const std::vector<Option>& options,
                                   const std::vector<std::string_view>& also, Settings* settings) {
  std::vector<std::string> names;
  for (const auto& option : options) names.push_back(option.name);
  if (tree != nullptr) {
    for (const auto& [key, value] : tree->members) {
      if (std::find(also.begin(), also.end(), key) != also.end()) continue;
      if (std::find(names.begin(), names.end(), key) == names.end())
        return value.Complain(fmt::format("{} has no option '{}'{}", what, key, Near(key, names)));
    }
  }
  for (const auto& option : options) {
    auto value = std::make_shared<Settings::Value>();
    value->type = option.type;
    const Tree* given = tree != nullptr ? tree->Find(option.name) : nullptr;
    if (given != nullptr && given->kind != Tree::Kind::kNull) {
      value->place = given->place;
      RETURN_IF_ERROR(ReadValue(*given, option, value.get()));
      value->is_given = true;
    } else if (option.is_required) {
      return InvalidArgument("{}: {} needs the option '{}': {}", settings->place_, what, option.name,
                             option.description);
    } else if (!option.default_text.empty() && IsScalar(option.type)) {
      Tree fallback;
      fallback.kind = Tree::Kind::kText;
      fallback.text = option.default_text;
      fallback.place = "default";
      RETURN_IF_ERROR(ReadValue(fallback, option, value.get()));
    } else if (!option.default_text.empty() && option.type == OptionType::kTexts) {
      value->texts.push_back(option.default_text);
    }
    settings->values_[option.name] = std::move(value);
  }
  return {};
}

Status SettingsReader::ReadValue(const Tree& tree, const Option& option, Settings::Value* value) {
  const auto wrong = [&] {
    return tree.Complain(fmt::format("option '{}' takes {}", option.name, Describe(option.type)));
  };
  if (IsScalar(option.type)) {
    if (tree.kind != Tree::Kind::kText) return wrong();
    return ReadText(tree, option, value);
  }
  switch (option.type) {
    case OptionType::kTexts:
      if (tree.kind == Tree::Kind::kText) {
        RETURN_IF_ERROR(CheckTemplates(tree, option));
        value->texts = {tree.text};
        return {};
      }
      if (tree.kind != Tree::Kind::kList) return wrong();
      // Of those that may come in, none might be meant, and all would be.
      if (tree.items.empty())
        return tree.Complain(fmt::format("option '{}' is empty: leave it out", option.name));
      for (const auto& item : tree.items) {
        if (item.kind != Tree::Kind::kText) return wrong();
        RETURN_IF_ERROR(CheckTemplates(item, option));
        if (option.is_sensitive) secrets_.push_back(item.text);
        value->texts.push_back(item.text);
      }
      return {};
    case OptionType::kTextMap:
      if (tree.kind != Tree::Kind::kMap) return wrong();
      if (tree.members.empty())
        return tree.Complain(fmt::format("option '{}' is empty: leave it out", option.name));
      for (const auto& [name, item] : tree.members) {
        if (item.kind != Tree::Kind::kText && item.kind != Tree::Kind::kNull) return wrong();
        RETURN_IF_ERROR(CheckTemplates(item, option));
        if (option.is_sensitive) secrets_.push_back(item.text);
        value->text_map[name] = item.text;
      }
      return {};
    case OptionType::kWriter: {
      ASSIGN_OR_RETURN(auto writer, Read(tree, ConnectorKind::kWriter));
      value->writers.push_back(std::move(writer));
      return {};
    }
    case OptionType::kWriters:
      if (tree.kind != Tree::Kind::kList) return wrong();
      for (const auto& item : tree.items) {
        ASSIGN_OR_RETURN(auto writer, ReadBranch(item));
        value->writers.push_back(std::move(writer));
      }
      return {};
    default:
      value->tree = tree;
      return {};
  }
}

Status SettingsReader::ReadText(const Tree& tree, const Option& option, Settings::Value* value) {
  const std::string& text = tree.text;
  const char* end = text.data() + text.size();
  // The value of a sensitive option is not repeated.
  const std::string shown = option.is_sensitive ? "the value" : fmt::format("'{}'", text);
  const auto wrong = [&](std::string_view why) {
    return tree.Complain(fmt::format("option '{}': {} {}", option.name, shown, why));
  };
  RETURN_IF_ERROR(CheckTemplates(tree, option));
  value->text = text;
  if (option.is_sensitive && !text.empty()) secrets_.push_back(text);
  if (const auto password = PasswordOfUrl(text); !password.empty()) secrets_.emplace_back(password);
  switch (option.type) {
    case OptionType::kInteger: {
      const auto [at, error] = std::from_chars(text.data(), end, value->integer);
      if (error != std::errc() || at != end) return wrong("is no whole number");
      return {};
    }
    case OptionType::kNumber: {
      const auto [at, error] = std::from_chars(text.data(), end, value->number);
      if (error != std::errc() || at != end || !std::isfinite(value->number)) return wrong("is no number");
      return {};
    }
    case OptionType::kBoolean:
      if (text != "true" && text != "false") return wrong("is neither true nor false");
      value->boolean = text == "true";
      return {};
    case OptionType::kDuration: {
      auto duration = ParseDuration(text);
      if (!duration.ok()) return wrong("is no duration, such as 200ms, 30s, 5m, 1h");
      value->duration = *duration;
      return {};
    }
    case OptionType::kBytes: {
      auto bytes = ParseByteCount(text);
      if (!bytes.ok()) return wrong("is no number of bytes, such as 64KiB, 1GiB, 1000");
      value->bytes = *bytes;
      return {};
    }
    default:
      break;
  }
  if (!option.allowed.empty() &&
      std::find(option.allowed.begin(), option.allowed.end(), text) == option.allowed.end())
    return wrong(fmt::format("is not one of: {}", JoinNames(option.allowed)));
  return {};
}

std::string HideSecrets(std::string text, std::vector<std::string> secrets) {
  std::erase_if(secrets, [](const auto& secret) { return secret.size() < kShortestSecret; });
  // One may be a part of another.
  std::sort(secrets.begin(), secrets.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
  for (const auto& secret : secrets) {
    for (size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at + 3))
      text.replace(at, secret.size(), "***");
  }
  return text;
}

}  // namespace sluice::pipeline
