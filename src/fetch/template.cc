#include "fetch/template.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "net/url.h"

namespace sluice::fetch {
namespace {

constexpr std::string_view kOpen = "${{";
constexpr std::string_view kClose = "}}";
// Shorter ones are part of many words, and are looked for as words of their own.
constexpr size_t kShortSecret = 4;
// What stands behind a quote that was cut, and how much of a secret before it is hidden.
constexpr std::string_view kCut = "...";
constexpr size_t kShownBeginning = 3;

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool IsNameChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

bool IsNumber(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  const size_t dot = text.find('.');
  auto digits = [](std::string_view part) {
    return !part.empty() &&
           std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
  };
  if (dot == std::string_view::npos) return digits(text);
  return digits(text.substr(0, dot)) && digits(text.substr(dot + 1));
}

// Whether no letter or digit is beside it.
bool StandsAlone(std::string_view text, size_t at, size_t size) {
  return (at == 0 || !IsNameChar(text[at - 1])) && (at + size == text.size() || !IsNameChar(text[at + size]));
}

std::string Replaced(std::string_view text, const std::vector<std::pair<char, std::string_view>>& escapes) {
  std::string replaced;
  for (const char c : text) {
    const auto found =
        std::find_if(escapes.begin(), escapes.end(), [c](const auto& one) { return one.first == c; });
    if (found == escapes.end()) {
      replaced += c;
    } else {
      replaced += found->second;
    }
  }
  return replaced;
}

// `%2F` as `%2f`.
std::string WithLowerEscapes(std::string encoded) {
  for (size_t at = encoded.find('%'); at < encoded.size(); at = encoded.find('%', at + 1)) {
    for (size_t digit = at + 1; digit < std::min(at + 3, encoded.size()); ++digit) {
      char& c = encoded[digit];
      if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
    }
  }
  return encoded;
}

// As servers that repeat it may write it in URLs, JSON and HTML, and as a URL is asked for.
std::vector<std::string> FormsOf(const std::string& secret) {
  const std::string encoded = net::PercentEncode(secret), foreign = net::EncodeForeign(secret);
  std::vector<std::string> forms = {
      secret,
      encoded,
      WithLowerEscapes(encoded),
      Replaced(encoded, {{'%', "%25"}}),
      foreign,
      WithLowerEscapes(foreign),
      Replaced(secret, {{'\\', "\\\\"}, {'"', "\\\""}}),
      Replaced(secret, {{'\\', "\\\\"}, {'"', "\\\""}, {'/', "\\/"}}),
      Replaced(secret, {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}}),
      Replaced(secret, {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}}),
      Replaced(secret, {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}}),
      Replaced(secret, {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#039;"}})};
  std::sort(forms.begin(), forms.end());
  forms.erase(std::unique(forms.begin(), forms.end()), forms.end());
  return forms;
}

struct Alternative {
  bool is_variable = false;
  std::string text;  // name or value
};

Result<Alternative> ParseAlternative(std::string_view text) {
  text = Trim(text);
  if (text.starts_with("env.") && text.size() > 4 && std::all_of(text.begin() + 4, text.end(), IsNameChar)) {
    return Alternative{true, std::string(text.substr(4))};
  }
  if (text.size() >= 2 && text.front() == '\'' && text.back() == '\'' &&
      text.substr(1, text.size() - 2).find('\'') == std::string_view::npos) {
    return Alternative{false, std::string(Trim(text.substr(1, text.size() - 2)))};
  }
  if (IsNumber(text)) return Alternative{false, std::string(text)};
  return InvalidArgument("Invalid pattern '{}' encountered", text);
}

// Alternatives are separated by `||` outside of quotes.
Result<std::vector<Alternative>> ParseBody(std::string_view body) {
  std::vector<Alternative> alternatives;
  bool quoted = false;
  size_t start = 0;
  for (size_t i = 0; i < body.size(); ++i) {
    if (body[i] == '\'') quoted = !quoted;
    if (quoted || body.substr(i, 2) != "||") continue;
    ASSIGN_OR_RETURN(auto one, ParseAlternative(body.substr(start, i - start)));
    alternatives.push_back(std::move(one));
    start = ++i + 1;
  }
  ASSIGN_OR_RETURN(auto last, ParseAlternative(body.substr(std::min(start, body.size()))));
  alternatives.push_back(std::move(last));
  return alternatives;
}

size_t FindClose(std::string_view text, size_t from) {
  bool quoted = false;
  for (size_t i = from; i < text.size(); ++i) {
    if (text[i] == '\'') quoted = !quoted;
    if (!quoted && text.substr(i, kClose.size()) == kClose) return i;
  }
  return text.find(kClose, from);
}

// Calls `visit` with the text between templates and with each template's body and its alternatives.
Status Walk(std::string_view text, const std::function<void(std::string_view)>& plain,
            const std::function<Status(std::string_view, const std::vector<Alternative>&)>& visit) {
  size_t at = 0;
  while (true) {
    const size_t open = text.find(kOpen, at);
    plain(text.substr(at, open == std::string_view::npos ? open : open - at));
    if (open == std::string_view::npos) return {};
    const size_t close = FindClose(text, open + kOpen.size());
    if (close == std::string_view::npos)
      return InvalidArgument("template '{}' does not end: '}}}}' is missing", text.substr(open));
    const auto body = Trim(text.substr(open + kOpen.size(), close - open - kOpen.size()));
    ASSIGN_OR_RETURN(const auto alternatives, ParseBody(body));
    RETURN_IF_ERROR(visit(body, alternatives));
    at = close + kClose.size();
  }
}

}  // namespace

void Redactor::Hide(const std::string& secret, const std::string& shown) {
  if (secret.empty()) return;
  for (auto& form : FormsOf(secret)) hidden_.emplace_back(std::move(form), shown);
  // A secret that holds another one goes first.
  std::stable_sort(hidden_.begin(), hidden_.end(),
                   [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
}

std::string Redactor::Clean(std::string_view text) const {
  std::string clean(text);
  for (const auto& [secret, shown] : hidden_) {
    for (size_t at = clean.find(secret); at != std::string::npos; at = clean.find(secret, at)) {
      if (secret.size() < kShortSecret && !StandsAlone(clean, at, secret.size())) {
        ++at;
        continue;
      }
      clean.replace(at, secret.size(), shown);
      at += shown.size();
    }
  }
  HideBeginnings(&clean);
  return clean;
}

void Redactor::HideBeginnings(std::string* text) const {
  for (size_t cut = text->find(kCut); cut != std::string::npos; cut = text->find(kCut, cut + kCut.size())) {
    const std::string_view before = std::string_view(*text).substr(0, cut);
    size_t longest = 0;
    const std::string* shown = nullptr;
    for (const auto& [secret, its] : hidden_) {
      for (size_t size = std::min(secret.size(), cut + 1) - 1; size >= kShownBeginning && size > longest;
           --size) {
        if (!before.ends_with(std::string_view(secret).substr(0, size))) continue;
        longest = size;
        shown = &its;
      }
    }
    if (shown == nullptr) continue;
    text->replace(cut - longest, longest, *shown);
    cut = cut - longest + shown->size();
  }
}

Error Redactor::Clean(const Error& error) const {
  Error clean(error.code(), Clean(error.message()));
  for (const auto& line : error.context()) clean.With(Clean(line));
  return clean;
}

Result<std::string> ExpandTemplate(std::string_view text, const Variables& variables, Redactor& redactor) {
  std::string expanded;
  RETURN_IF_ERROR(Walk(
      text, [&](std::string_view plain) { expanded += plain; },
      [&](std::string_view body, const std::vector<Alternative>& alternatives) -> Status {
        for (const auto& alternative : alternatives) {
          if (!alternative.is_variable) {
            expanded += alternative.text;
            return {};
          }
          ASSIGN_OR_RETURN(const auto value, variables.Find(alternative.text));
          if (!value) continue;
          if (value->is_secret)
            redactor.Hide(value->text, fmt::format("${{{{ env.{} }}}}", alternative.text));
          expanded += value->text;
          return {};
        }
        return InvalidArgument("Missing values for variable(s): '{}'", body);
      }));
  return expanded;
}

Status CheckTemplate(std::string_view text) {
  return Walk(
      text, [](std::string_view) {},
      [](std::string_view, const std::vector<Alternative>&) { return OkStatus(); });
}

}  // namespace sluice::fetch
