#include <cctype>

#include "workspace/workspace.h"

namespace sluice::workspace {
namespace {

bool IsAlnum(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

// Subdomain ("." Subdomain)*, a Subdomain being letters and digits joined by single hyphens.
bool IsHostname(std::string_view text) {
  if (text.empty() || text.size() > 100) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (IsAlnum(text[i])) continue;
    if (text[i] != '-' && text[i] != '.') return false;
    if (i == 0 || i + 1 == text.size() || !IsAlnum(text[i - 1]) || !IsAlnum(text[i + 1])) return false;
  }
  return true;
}

bool Same(char a, char b) {
  return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
}

}  // namespace

Status CheckAlias(std::string_view alias) {
  const size_t slash = alias.find('/');
  const bool ok = slash == std::string_view::npos
                      ? IsHostname(alias)
                      : IsHostname(alias.substr(0, slash)) && IsHostname(alias.substr(slash + 1));
  if (ok) return {};
  return InvalidArgument(
      "'{}' is not a dataset name: letters and digits, joined by single dots or hyphens, with an account and a slash in front "
      "if need be, such as 'river.gauges' or 'acme/river.gauges'",
      alias);
}

bool MatchesPattern(std::string_view text, std::string_view pattern) {
  size_t t = 0, p = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '%') {
      star = p++;
      mark = t;
    } else if (p < pattern.size() && (pattern[p] == '_' || Same(pattern[p], text[t]))) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '%') ++p;
  return p == pattern.size();
}

}  // namespace sluice::workspace
