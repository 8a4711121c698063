#include "connectors/redact/patterns.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace sluice::connectors::redact {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsLetter(char c) { return IsUpper(c) || (c >= 'a' && c <= 'z'); }
bool IsHex(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
// Bytes of other alphabets belong to words.
bool IsWord(char c) { return IsLetter(c) || IsDigit(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80; }

bool IsLocalPart(char c) {
  return IsLetter(c) || IsDigit(c) || static_cast<unsigned char>(c) >= 0x80 ||
         (c != '\0' && std::strchr("!#$%&'*+-/=?^_`{|}~.", c) != nullptr);
}
bool IsHost(char c) { return IsLetter(c) || IsDigit(c) || c == '-' || static_cast<unsigned char>(c) >= 0x80; }

// Beginnings that payment networks have given out.
bool BeginsAsCard(std::string_view digits) {
  const int two = (digits[0] - '0') * 10 + (digits[1] - '0');
  const int four = two * 100 + (digits[2] - '0') * 10 + (digits[3] - '0');
  return digits[0] == '4' || (two >= 50 && two <= 69) || two == 34 || two == 37 || two == 35 || two == 36 ||
         two == 38 || two == 30 || two == 39 || two == 81 || (four >= 2200 && four <= 2720);
}

// The end of a host name with a dot in it that begins at `at`; `at` when there is none.
size_t EndOfHost(std::string_view text, size_t at) {
  size_t end = at;
  size_t last_dot = std::string_view::npos;
  size_t label = at;
  for (size_t i = at; i < text.size(); ++i) {
    if (IsHost(text[i])) {
      if (text[i] == '-' && i == label) break;
      end = i + 1;
    } else if (text[i] == '.' && i > label && i + 1 < text.size() && IsHost(text[i + 1])) {
      last_dot = i;
      label = i + 1;
    } else {
      break;
    }
  }
  while (end > at && text[end - 1] == '-') --end;
  const bool has_top = last_dot != std::string_view::npos && last_dot + 2 < end;
  return has_top ? end : at;
}

bool IsPhoneSeparator(char c) { return c == ' ' || c == '-' || c == '.' || c == '/' || c == '(' || c == ')'; }

// A number that begins at `at` with a digit, a + or a bracket; `at` when it is none.
size_t EndOfPhone(std::string_view text, size_t at) {
  const bool has_plus = text[at] == '+';
  size_t digits = 0, groups = 0, end = at, open = 0, longest = 0, group = 0;
  size_t i = at + (has_plus ? 1 : 0);
  size_t gap = 0;
  for (; i < text.size() && digits <= 15; ++i) {
    const char c = text[i];
    if (IsDigit(c)) {
      if (group == 0) ++groups;
      longest = std::max(longest, ++group);
      ++digits;
      gap = 0;
      end = i + 1;
    } else if (IsPhoneSeparator(c) && gap < 2) {
      if (c == '(') ++open;
      if (c == ')' && open-- == 0) break;
      ++gap;
      group = 0;
    } else {
      break;
    }
  }
  if (digits < 7 || digits > 15) return at;
  const bool is_international = has_plus || text.substr(at, 2) == "00";
  if (is_international) return digits >= 8 ? end : at;
  // 2024-01-31, 10.0.0.1, 1 000 000 are no telephone numbers: the first digit of one that is written without
  // its country is a 0 or a bracketed area, or it has the groups 3-3-4.
  const bool has_area = text[at] == '(' || (text[at] == '0' && groups >= 2);
  const std::string_view shown = text.substr(at, end - at);
  const bool is_american = shown.size() == 12 && groups == 3 && longest == 4 && !IsDigit(shown[3]) &&
                           !IsDigit(shown[7]) && shown[3] == shown[7];
  return (has_area && groups >= 2) || is_american ? end : at;
}

bool IsIp(std::string_view candidate, int family) {
  char text[INET6_ADDRSTRLEN + 1];
  std::array<unsigned char, 16> bytes{};
  if (candidate.size() >= sizeof(text)) return false;
  std::memcpy(text, candidate.data(), candidate.size());
  text[candidate.size()] = '\0';
  return ::inet_pton(family, text, bytes.data()) == 1;
}

bool HasIbanCheck(std::string_view iban) {
  int rest = 0;
  for (size_t i = 0; i < iban.size(); ++i) {
    const char c = iban[(i + 4) % iban.size()];
    if (IsDigit(c)) {
      rest = (rest * 10 + (c - '0')) % 97;
    } else {
      rest = (rest * 100 + (c - 'A' + 10)) % 97;
    }
  }
  return rest == 1;
}

}  // namespace

bool HasLuhn(std::string_view digits) {
  int sum = 0;
  for (size_t i = 0; i < digits.size(); ++i) {
    int value = digits[digits.size() - 1 - i] - '0';
    if (i % 2 == 1) value = value * 2 > 9 ? value * 2 - 9 : value * 2;
    sum += value;
  }
  return sum % 10 == 0;
}

void FindEmails(std::string_view text, std::vector<Finding>* out) {
  size_t free_from = 0;
  for (size_t at = text.find('@'); at != std::string_view::npos; at = text.find('@', at + 1)) {
    size_t begin = at;
    while (begin > free_from && IsLocalPart(text[begin - 1])) --begin;
    while (begin < at && (text[begin] == '.' || text[begin] == '\'' || text[begin] == '/')) ++begin;
    if (begin == at || text[at - 1] == '.') continue;
    const size_t end = EndOfHost(text, at + 1);
    if (end == at + 1) continue;
    out->push_back({begin, end, Kind::kEmail});
    free_from = end;
  }
}

void FindCards(std::string_view text, std::vector<Finding>* out) {
  constexpr size_t kLeast = 13, kMost = 19;
  std::string digits;
  for (size_t at = 0; at + kLeast <= text.size(); ++at) {
    if (!IsDigit(text[at])) continue;
    const bool is_inside = at > 0 && (IsWord(text[at - 1]) || text[at - 1] == '.');
    size_t end_of_group = at;
    while (end_of_group < text.size() && IsDigit(text[end_of_group])) ++end_of_group;
    // Of all ends of groups the last one that makes a card: other numbers may follow.
    size_t best = at;
    digits.clear();
    for (size_t i = at; !is_inside && i < text.size() && digits.size() <= kMost; ++i) {
      if (IsDigit(text[i])) {
        digits += text[i];
        const bool is_end = i + 1 == text.size() || !IsWord(text[i + 1]);
        const bool is_long = digits.size() >= kLeast && digits.size() <= kMost;
        if (is_end && is_long && BeginsAsCard(digits) && HasLuhn(digits)) best = i + 1;
      } else if ((text[i] != ' ' && text[i] != '-') || i + 1 == text.size() || !IsDigit(text[i + 1])) {
        break;
      }
    }
    if (best > at) out->push_back({at, best, Kind::kCard});
    at = std::max(best, end_of_group) - 1;
  }
}

void FindPhones(std::string_view text, std::vector<Finding>* out) {
  constexpr size_t kLeast = 7;
  for (size_t at = 0; at + kLeast <= text.size(); ++at) {
    const char c = text[at];
    if (!IsDigit(c) && c != '+' && c != '(') continue;
    const bool is_inside = at > 0 && (IsWord(text[at - 1]) || text[at - 1] == '.' || text[at - 1] == '-');
    const size_t end = is_inside ? at : EndOfPhone(text, at);
    if (end > at && (end == text.size() || !IsWord(text[end]))) {
      out->push_back({at, end, Kind::kPhone});
      at = end - 1;
    } else if (IsDigit(c)) {
      while (at + 1 < text.size() && IsDigit(text[at + 1])) ++at;
    }
  }
}

void FindIps(std::string_view text, std::vector<Finding>* out) {
  const auto is_part = [](char c) { return IsHex(c) || c == '.' || c == ':'; };
  if (text.find_first_of(".:") == std::string_view::npos) return;
  for (size_t at = 0; at < text.size(); ++at) {
    if (!IsDigit(text[at]) && text[at] != ':' && !(IsHex(text[at]) && (at == 0 || !IsWord(text[at - 1]))))
      continue;
    if (at > 0 && (IsWord(text[at - 1]) || is_part(text[at - 1]))) continue;
    size_t end = at;
    size_t dots = 0, colons = 0;
    for (; end < text.size() && is_part(text[end]); ++end) {
      dots += text[end] == '.';
      colons += text[end] == ':';
    }
    const bool is_word = end < text.size() && IsWord(text[end]);
    size_t stop = end;
    while (stop > at && (text[stop - 1] == '.' ||
                         (text[stop - 1] == ':' && text.substr(at, stop - at).find("::") != stop - at - 2)))
      --stop;  // the end of a sentence
    std::string_view candidate = text.substr(at, stop - at);
    bool is_ip = false;
    if (!is_word && colons >= 2) is_ip = IsIp(candidate, AF_INET6);
    if (!is_ip && !is_word && dots >= 3 && colons <= 1) {
      candidate = candidate.substr(0, candidate.find(':'));  // a port may follow
      is_ip = IsIp(candidate, AF_INET);
    }
    if (is_ip) out->push_back({at, at + candidate.size(), Kind::kIp});
    if (end > at) at = end - 1;
  }
}

void FindIbans(std::string_view text, std::vector<Finding>* out) {
  constexpr size_t kLeast = 15, kMost = 34;
  std::string iban;
  for (size_t at = 0; at + kLeast <= text.size(); ++at) {
    if (!IsUpper(text[at]) || !IsUpper(text[at + 1]) || !IsDigit(text[at + 2]) || !IsDigit(text[at + 3]))
      continue;
    if (at > 0 && IsWord(text[at - 1])) continue;
    iban.clear();
    size_t best = at;
    for (size_t i = at; i < text.size() && iban.size() < kMost; ++i) {
      if (IsUpper(text[i]) || IsDigit(text[i])) {
        iban += text[i];
        const bool is_end = i + 1 == text.size() || !IsWord(text[i + 1]);
        if (is_end && iban.size() >= kLeast && HasIbanCheck(iban)) best = i + 1;
      } else if (text[i] != ' ' || i + 1 == text.size() || text[i - 1] == ' ') {
        break;
      }
    }
    if (best == at) continue;
    out->push_back({at, best, Kind::kIban});
    at = best - 1;
  }
}

}  // namespace sluice::connectors::redact
