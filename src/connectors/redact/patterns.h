#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

// Finds what identifies people in a text. Written by hand instead of as regular expressions, because these
// run over every byte of every record and must skip what holds none.
namespace sluice::connectors::redact {

enum class Kind : uint8_t { kEmail, kPhone, kCard, kIp, kIban, kCustom };

struct Finding {
  size_t begin = 0;
  size_t end = 0;
  Kind kind = Kind::kCustom;
  size_t custom = 0;  // which, of kCustom
};

// Each appends what it finds, in order. None of them overlap with itself.
// An address as people write them: `name+tag@host.example`; the part before the @ unquoted.
void FindEmails(std::string_view text, std::vector<Finding>* out);
// 13 to 19 digits, grouped or not by single spaces or hyphens, beginning as payment cards do, whose check
// digit is right.
void FindCards(std::string_view text, std::vector<Finding>* out);
// An international number with + or 00, or a national one that is grouped: 7 to 15 digits with spaces, dots,
// hyphens, slashes and brackets between them. A bare run of digits without a + is none: it may count
// anything.
void FindPhones(std::string_view text, std::vector<Finding>* out);
// IPv4 in four decimal parts, and IPv6 in all of its short forms.
void FindIps(std::string_view text, std::vector<Finding>* out);
// An international bank account number with the right check digits, grouped by single spaces or not.
void FindIbans(std::string_view text, std::vector<Finding>* out);

// The check of payment cards over a run of digits.
bool HasLuhn(std::string_view digits);

}  // namespace sluice::connectors::redact
