#include "fetch/fetch.h"

#include <algorithm>
#include <filesystem>

#include "base/names.h"
#include "fetch/event_time.h"
#include "fetch/kept_output.h"
#include "fetch/kinds_internal.h"
#include "net/headers.h"

namespace sluice::fetch {
namespace {

// Schemes that manifests know and this version does not.
constexpr std::string_view kLaterSchemes[] = {"ftp", "ftps", "sftp", "s3"};

std::vector<std::string> KnownSchemes() {
  std::vector<std::string> names;
  for (const auto& kind : FetchKinds()) names.insert(names.end(), kind.schemes.begin(), kind.schemes.end());
  return names;
}

Error Refused(std::string_view what) {
  auto schemes = KnownSchemes();
  const std::string last = std::move(schemes.back());
  schemes.pop_back();
  std::string steps;
  for (const auto& kind : FetchKinds()) {
    if (!kind.step.empty()) steps += fmt::format(", and {}", kind.step);
  }
  return Unsupported("sources of kind '{}' cannot be pulled: what can is url with {} or {}{}", what,
                     JoinNames(schemes), last, steps);
}

std::string SchemeOf(std::string_view url) {
  std::string scheme(url.substr(0, url.find(':')));
  for (char& c : scheme) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return scheme;
}

// Null for one that is known and cannot be pulled. Errors: kUnsupported, showing `shown`, for one that nobody
// knows.
Result<const FetchKind*> KindOfUrl(std::string_view scheme, std::string_view shown) {
  for (const auto& kind : FetchKinds()) {
    if (std::find(kind.schemes.begin(), kind.schemes.end(), scheme) != kind.schemes.end()) return &kind;
  }
  if (std::find(std::begin(kLaterSchemes), std::end(kLaterSchemes), scheme) != std::end(kLaterSchemes))
    return nullptr;
  return Unsupported("the URL '{}' has no scheme that is known: {}", shown, JoinNames(KnownSchemes()));
}

Result<Fetched> FetchUrl(const odf::FetchUrl& step, const FetchRequest& request,
                         const FetchContext& context) {
  UrlCall call{step, "", std::make_shared<Redactor>()};
  ASSIGN_OR_RETURN(call.url, ExpandTemplate(step.url, *context.variables, *call.redactor));
  const std::string scheme = SchemeOf(call.url);
  ASSIGN_OR_RETURN(const auto* kind, KindOfUrl(scheme, call.redactor->Clean(call.url)));
  if (kind == nullptr) return Refused(scheme);
  auto fetched = kind->fetch_url(call, request, context);
  if (!fetched.ok()) return call.redactor->Clean(fetched.error());
  for (auto& input : fetched->inputs) input.redactor = call.redactor;
  return fetched;
}

struct NameOfStep {
  std::string_view operator()(const odf::FetchUrl&) const { return "url"; }
  std::string_view operator()(const odf::FetchFilesGlob&) const { return "filesGlob"; }
  std::string_view operator()(const odf::FetchContainer&) const { return "container"; }
  std::string_view operator()(const odf::FetchMqtt&) const { return "mqtt"; }
  std::string_view operator()(const odf::FetchEthereumLogs&) const { return "ethereumLogs"; }
};

// Null for one that cannot be pulled.
const FetchKind* KindOfStep(std::string_view name) {
  for (const auto& kind : FetchKinds()) {
    if (kind.step == name) return &kind;
  }
  return nullptr;
}

Status CheckUrl(const odf::FetchUrl& step) {
  RETURN_IF_ERROR(CheckTemplate(step.url));
  // A zero byte would cut the URL short where it is used.
  if (std::any_of(step.url.begin(), step.url.end(), [](char c) { return c >= 0 && c < ' '; }))
    return InvalidArgument("the URL has a control character in it");
  const bool is_plain = step.url.find("${{") == std::string::npos;
  if (is_plain) {
    ASSIGN_OR_RETURN(const auto* kind, KindOfUrl(SchemeOf(step.url), step.url));
    if (kind != nullptr && kind->check_url != nullptr) RETURN_IF_ERROR(kind->check_url(step.url));
  }
  for (const auto& header : step.headers.value_or(std::vector<odf::RequestHeader>())) {
    RETURN_IF_ERROR(CheckTemplate(header.value));
    if (!net::IsSafeField(header.name, ""))
      return InvalidArgument("'{}' is not a name of an HTTP header", header.name);
  }
  return CheckEventTime(step.event_time, false, true);
}

// `cache: Forever`: what was taken once is not asked for again (odf-ingest.md 5.5).
bool IsKeptForever(const FetchRequest& request) {
  const auto* url = std::get_if<odf::FetchUrl>(&request.step);
  return url != nullptr && url->cache == odf::SourceCaching::kForever && !request.force &&
         (request.previous || request.polled_before);
}

}  // namespace

bool IsUncacheable(const FetchRequest& request, bool has_usable_state) {
  return request.polled_before && !has_usable_state && !request.fetch_uncacheable && !request.force;
}

Result<Fetched> Fetch(const FetchRequest& request, const FetchContext& context) {
  if (IsKeptForever(request)) return Fetched();
  if (request.force) RETURN_IF_ERROR(DropSavepoints(context.savepoint_folder));
  if (const auto* url = std::get_if<odf::FetchUrl>(&request.step)) return FetchUrl(*url, request, context);
  const auto name = std::visit(NameOfStep(), request.step);
  const auto* kind = KindOfStep(name);
  return kind == nullptr ? Refused(name) : kind->fetch_step(request, context);
}

Status CheckFetch(const odf::FetchStep& step) {
  if (const auto* url = std::get_if<odf::FetchUrl>(&step)) return CheckUrl(*url);
  const auto* kind = KindOfStep(std::visit(NameOfStep(), step));
  return kind == nullptr ? OkStatus() : kind->check_step(step);
}

void DropPrepared(const std::string& savepoint_folder) {
  std::error_code ignored;
  for (std::filesystem::directory_iterator it(savepoint_folder, ignored), end; !ignored && it != end;
       it.increment(ignored)) {
    if (it->path().filename().string().starts_with(kPreparedPrefix))
      std::filesystem::remove(it->path(), ignored);
  }
}

Status DropSavepoints(const std::string& savepoint_folder) {
  if (savepoint_folder.empty()) return {};
  std::error_code error;
  std::filesystem::remove_all(savepoint_folder, error);
  if (error) return FromErrno(error.value(), "cannot remove '" + savepoint_folder + "'");
  return {};
}

}  // namespace sluice::fetch
