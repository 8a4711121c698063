#include "connectors/language/detector.h"

#include <cld2/public/compact_lang_det.h>
#include <cld2/public/encodings.h>

#include <algorithm>
#include <array>
#include <utility>

namespace sluice::connectors::language {
namespace {

// CLD2's names that others no longer use.
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kRenamed = {
    {{"iw", "he"}, {"jw", "jv"}, {"mo", "ro"}, {"in", "id"}}};

std::string_view CodeOf(CLD2::Language language) {
  const std::string_view code = CLD2::LanguageCode(language);
  // `un` is unknown, `xx-Latn` a script that no language was found for.
  if (code == "un" || code.starts_with("xx") || code.starts_with("zzp")) return {};
  for (const auto& [old_code, new_code] : kRenamed) {
    if (code == old_code) return new_code;
  }
  return code;
}

std::string_view Beginning(std::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  size_t end = max_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace

bool IsKnown(std::string_view code) {
  if (code.empty()) return false;
  for (int i = 0; i < CLD2::NUM_LANGUAGES; ++i) {
    if (CodeOf(static_cast<CLD2::Language>(i)) == code) return true;
  }
  return false;
}

Detected Detect(std::string_view text, size_t max_bytes, bool guesses) {
  text = Beginning(text, std::min<size_t>(max_bytes, 1 << 30));
  if (text.empty()) return {};
  CLD2::CLDHints hints = {nullptr, nullptr, CLD2::UNKNOWN_ENCODING, CLD2::UNKNOWN_LANGUAGE};
  std::array<CLD2::Language, 3> languages{};
  std::array<int, 3> percents{};
  std::array<double, 3> scores{};
  int text_bytes = 0;
  int valid_bytes = 0;
  bool is_reliable = false;
  const CLD2::Language language = CLD2::ExtDetectLanguageSummaryCheckUTF8(
      text.data(), static_cast<int>(text.size()), /*is_plain_text=*/true, &hints,
      guesses ? CLD2::kCLDFlagBestEffort : 0, languages.data(), percents.data(), scores.data(), nullptr,
      &text_bytes, &is_reliable, &valid_bytes);
  if (static_cast<size_t>(valid_bytes) < text.size()) return {};
  return {CodeOf(language), is_reliable};
}

}  // namespace sluice::connectors::language
