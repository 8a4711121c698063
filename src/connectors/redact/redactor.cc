#include "connectors/redact/redactor.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/names.h"
#include "multiformats/sha3.h"

namespace sluice::connectors::redact {
namespace {

constexpr std::array<std::string_view, 5> kKindNames = {"email", "phone", "card", "ip", "iban"};
constexpr size_t kHashBytes = 6;

// What each kind cannot be without; a quick look spares most texts the rest.
struct Contents {
  bool has_at = false;
  size_t digits = 0;
};

Contents ContentsOf(std::string_view text) {
  size_t digits = 0, ats = 0;
  for (const char c : text) {
    digits += static_cast<unsigned char>(c - '0') < 10;
    ats += c == '@';
  }
  return {ats > 0, digits};
}

struct Custom {
  std::string name;
  std::unique_ptr<RE2> pattern;
};

class DefaultRedactor final : public Redactor {
 public:
  explicit DefaultRedactor(const RedactorOptions& options) : options_(options) {}

  Status Compile() {
    for (const auto& [name, expression] : options_.custom) {
      RE2::Options re2;
      re2.set_log_errors(false);
      re2.set_max_mem(8 << 20);
      auto pattern = std::make_unique<RE2>(expression, re2);
      if (!pattern->ok())
        return InvalidArgument("'{}' ({}) is no regular expression: {}", expression, name, pattern->error());
      if (RE2::FullMatch("", *pattern))
        return InvalidArgument("'{}' ({}) matches the empty text", expression, name);
      customs_.push_back({name, std::move(pattern)});
    }
    return {};
  }

  bool Redact(std::string_view text, std::string* out) override {
    Find(text);
    if (findings_.empty()) return false;
    out->clear();
    size_t at = 0;
    for (const Finding& finding : findings_) {
      out->append(text, at, finding.begin - at);
      AppendReplacement(finding, text.substr(finding.begin, finding.end - finding.begin), out);
      at = finding.end;
    }
    out->append(text, at);
    return true;
  }

  bool RedactJson(std::string_view json, std::string* out) override {
    size_t copied = 0;
    bool is_changed = false;
    const auto replace = [&](size_t begin, size_t end) {
      if (!is_changed) out->clear();
      is_changed = true;
      out->append(json, copied, begin - copied);
      *out += nlohmann::json(part_).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
      copied = end;
    };
    for (size_t at = 0; at < json.size();) {
      const char c = json[at];
      if (c == '"') {
        const size_t end = EndOfString(json, at);
        if (!IsKey(json, end) && RedactLiteral(json.substr(at, end - at))) replace(at, end);
        at = end;
      } else if (c == '-' || (c >= '0' && c <= '9')) {
        const size_t end = std::min(json.find_first_of(",]} \t\r\n", at), json.size());
        if (Redact(json.substr(at, end - at), &part_)) replace(at, end);
        at = end;
      } else {
        ++at;
      }
    }
    if (is_changed) out->append(json, copied);
    return is_changed;
  }

 private:
  // Behind the closing quote.
  static size_t EndOfString(std::string_view json, size_t at) {
    for (++at; at < json.size() && json[at] != '"'; ++at) {
      if (json[at] == '\\') ++at;
    }
    return std::min(at + 1, json.size());
  }
  static bool IsKey(std::string_view json, size_t end) {
    const size_t next = json.find_first_not_of(" \t\r\n", end);
    return next != std::string_view::npos && json[next] == ':';
  }

  // What the literal says, redacted, into `part_`.
  bool RedactLiteral(std::string_view literal) {
    if (literal.find('\\') == std::string_view::npos)
      return literal.size() > 2 && Redact(literal.substr(1, literal.size() - 2), &part_);
    const auto decoded = nlohmann::json::parse(literal, nullptr, false);
    return decoded.is_string() && Redact(decoded.get_ref<const std::string&>(), &part_);
  }

  // Fills `findings_`, in order and without overlaps.
  void Find(std::string_view text) {
    findings_.clear();
    const Contents contents = ContentsOf(text);
    for (const Kind kind : options_.kinds) {
      switch (kind) {
        case Kind::kEmail:
          if (contents.has_at) FindEmails(text, &findings_);
          break;
        case Kind::kPhone:
          if (contents.digits >= 7) FindPhones(text, &findings_);
          break;
        case Kind::kCard:
          if (contents.digits >= 13) FindCards(text, &findings_);
          break;
        case Kind::kIp:
          FindIps(text, &findings_);
          break;
        case Kind::kIban:
          if (contents.digits >= 4) FindIbans(text, &findings_);
          break;
        case Kind::kCustom:
          break;
      }
    }
    for (size_t i = 0; i < customs_.size(); ++i) FindCustom(text, i);
    if (findings_.size() < 2) return;
    // Of two that overlap the one that begins first, of those the longest.
    std::sort(findings_.begin(), findings_.end(), [](const Finding& a, const Finding& b) {
      return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
    });
    size_t kept = 0;
    for (const Finding& finding : findings_) {
      if (kept == 0 || finding.begin >= findings_[kept - 1].end) findings_[kept++] = finding;
    }
    findings_.resize(kept);
  }

  void FindCustom(std::string_view text, size_t custom) {
    const re2::StringPiece all(text.data(), text.size());
    re2::StringPiece match;
    size_t at = 0;
    while (at < text.size() &&
           customs_[custom].pattern->Match(all, at, text.size(), RE2::UNANCHORED, &match, 1)) {
      const auto begin = static_cast<size_t>(match.data() - text.data());
      if (!match.empty()) findings_.push_back({begin, begin + match.size(), Kind::kCustom, custom});
      at = begin + std::max<size_t>(match.size(), 1);
    }
  }

  void AppendReplacement(const Finding& finding, std::string_view value, std::string* out) const {
    const std::string_view kind = finding.kind == Kind::kCustom
                                      ? std::string_view(customs_[finding.custom].name)
                                      : kKindNames[static_cast<size_t>(finding.kind)];
    if (!options_.salt.empty()) {
      multiformats::Sha3Hasher hasher;
      // The salt's length first, so that no two pairs of salt and value are the same bytes.
      hasher.Update(fmt::format("{}:{}{}:", options_.salt.size(), options_.salt, kind));
      hasher.Update(value);
      const multiformats::Sha3Digest digest = hasher.Finish();
      fmt::format_to(std::back_inserter(*out), "[{}:", kind);
      for (size_t i = 0; i < kHashBytes; ++i) fmt::format_to(std::back_inserter(*out), "{:02x}", digest[i]);
      *out += ']';
      return;
    }
    constexpr std::string_view kMark = "{kind}";
    const std::string_view replacement = options_.replacement;
    const size_t mark = replacement.find(kMark);
    if (mark == std::string_view::npos) {
      *out += replacement;
    } else {
      out->append(replacement, 0, mark).append(kind).append(replacement, mark + kMark.size());
    }
  }

  const RedactorOptions options_;
  std::vector<Custom> customs_;
  std::vector<Finding> findings_;
  std::string part_;
};

}  // namespace

Result<Kind> KindOf(std::string_view name) {
  for (size_t i = 0; i < kKindNames.size(); ++i) {
    if (kKindNames[i] == name) return static_cast<Kind>(i);
  }
  return InvalidArgument("'{}' is nothing that can be found; there are {}", name,
                         JoinNames({kKindNames.begin(), kKindNames.end()}));
}

Result<std::unique_ptr<Redactor>> Redactor::Make(const RedactorOptions& options) {
  auto redactor = std::make_unique<DefaultRedactor>(options);
  RETURN_IF_ERROR(redactor->Compile());
  return std::unique_ptr<Redactor>(std::move(redactor));
}

}  // namespace sluice::connectors::redact
