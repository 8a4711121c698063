#include "auth/access.h"

#include <algorithm>
#include <cctype>

namespace sluice::auth {
namespace {

constexpr size_t kMaxNameBytes = 255;
constexpr size_t kMaxAccountBytes = 100;

bool SameName(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

bool IsPlain(std::string_view name) {
  return name.size() <= kMaxNameBytes && std::ranges::none_of(name, [](char c) {
           return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f;
         });
}

std::string_view WithoutAccount(std::string_view dataset, std::string_view account) {
  const size_t slash = dataset.find('/');
  if (slash == std::string_view::npos || !SameName(dataset.substr(0, slash), account)) return dataset;
  return dataset.substr(slash + 1);
}

// `push:kim/gauges` and `push:kim/gauges/SOURCE` of the account kim, for its dataset kim/gauges.
bool IsFullName(const Scope& scope, std::string_view dataset, const std::optional<std::string>& source,
                std::string_view account) {
  if (!SameName(scope.dataset, account) || scope.source.empty()) return false;
  const std::string name = scope.dataset + "/" + scope.source;
  if (SameName(name, dataset)) return true;
  const bool begins = name.size() > dataset.size() && name[dataset.size()] == '/' &&
                      SameName(std::string_view(name).substr(0, dataset.size()), dataset);
  return begins && (!source || name.substr(dataset.size() + 1) == *source);
}

}  // namespace

Result<Scope> ParseScope(std::string_view text) {
  if (text == "admin") return Scope{.kind = Scope::Kind::kAdmin};
  if (text == "read") return Scope{.kind = Scope::Kind::kRead};
  if (text == "push") return Scope{.kind = Scope::Kind::kPush};
  constexpr std::string_view kPush = "push:";
  if (text.starts_with(kPush)) {
    const std::string_view rest = text.substr(kPush.size());
    const size_t slash = std::min(rest.find('/'), rest.size());
    Scope scope{.kind = Scope::Kind::kPush, .dataset = std::string(rest.substr(0, slash))};
    if (slash < rest.size()) scope.source = rest.substr(slash + 1);
    const bool has_source = slash == rest.size() || !scope.source.empty();
    if (!scope.dataset.empty() && has_source && IsPlain(rest)) return scope;
  }
  return InvalidArgument("scope '{}' is none of: admin, read, push, push:DATASET, push:DATASET/SOURCE", text);
}

std::string ToString(const Scope& scope) {
  switch (scope.kind) {
    case Scope::Kind::kAdmin:
      return "admin";
    case Scope::Kind::kRead:
      return "read";
    case Scope::Kind::kPush:
      break;
  }
  if (scope.dataset.empty()) return "push";
  return "push:" + scope.dataset + (scope.source.empty() ? "" : "/" + scope.source);
}

bool Principal::MayAdminister() const {
  return std::ranges::any_of(scopes, [](const Scope& scope) { return scope.kind == Scope::Kind::kAdmin; });
}

bool Principal::MayRead(std::string_view dataset, const std::optional<std::string>& source) const {
  return std::ranges::any_of(scopes, [](const Scope& scope) { return scope.kind != Scope::Kind::kPush; }) ||
         (source && MayPush(dataset, source));
}

bool Principal::MayPush(std::string_view dataset, const std::optional<std::string>& source) const {
  return std::ranges::any_of(scopes, [&](const Scope& scope) {
    if (scope.kind == Scope::Kind::kAdmin) return true;
    if (scope.kind != Scope::Kind::kPush) return false;
    if (scope.dataset.empty()) return true;
    if (IsFullName(scope, dataset, source, account)) return true;
    if (!SameName(WithoutAccount(dataset, account), scope.dataset)) return false;
    return scope.source.empty() || !source || *source == scope.source;
  });
}

Status CheckAccount(std::string_view account) {
  const bool is_good = !account.empty() && account.size() <= kMaxAccountBytes &&
                       std::ranges::all_of(account, [](unsigned char c) {
                         return (c < 0x80 && std::isalnum(c) != 0) || c == '-' || c == '_' || c == '.';
                       });
  if (is_good) return {};
  return InvalidArgument("account '{}' is not made of letters, digits, '-', '_' and '.' (at most {})",
                         account, kMaxAccountBytes);
}

}  // namespace sluice::auth
