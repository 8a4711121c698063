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

struct Scheme {
  std::string_view name;
  Result<Fetched> (*fetch)(const UrlCall&, const FetchRequest&, const FetchContext&);  // null: refused
};

constexpr Scheme kSchemes[] = {
    {"file", &FetchFile}, {"http", &FetchHttp}, {"https", &FetchHttp}, {"data", &FetchData}, {"ftp", nullptr},
    {"ftps", nullptr},    {"sftp", nullptr},    {"s3", nullptr},       {"exec", &FetchExec},
};

Error Refused(std::string_view kind) {
  return Unsupported(
      "sources of kind '{}' cannot be pulled: what can is url with http, https, file, data or exec, and filesGlob",
      kind);
}

std::string SchemeOf(std::string_view url) {
  std::string scheme(url.substr(0, url.find(':')));
  for (char& c : scheme) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return scheme;
}

Result<Fetched> FetchUrl(const odf::FetchUrl& step, const FetchRequest& request,
                         const FetchContext& context) {
  UrlCall call{step, "", std::make_shared<Redactor>()};
  ASSIGN_OR_RETURN(call.url, ExpandTemplate(step.url, *context.variables, *call.redactor));
  const std::string name = SchemeOf(call.url);
  std::vector<std::string> known;
  for (const auto& scheme : kSchemes) {
    if (scheme.name == name) {
      if (!scheme.fetch) return Refused(name);
      auto fetched = scheme.fetch(call, request, context);
      if (!fetched.ok()) return call.redactor->Clean(fetched.error());
      for (auto& input : fetched->inputs) input.redactor = call.redactor;
      return fetched;
    }
    if (scheme.fetch) known.emplace_back(scheme.name);
  }
  return Unsupported("the URL '{}' has no scheme that is known: {}", call.redactor->Clean(call.url),
                     JoinNames(known));
}

struct FetchKind {
  const FetchRequest& request;
  const FetchContext& context;

  Result<Fetched> operator()(const odf::FetchUrl& step) const { return FetchUrl(step, request, context); }
  Result<Fetched> operator()(const odf::FetchFilesGlob& step) const {
    return FetchFilesGlob(step, request, context);
  }
  Result<Fetched> operator()(const odf::FetchContainer&) const { return Refused("container"); }
  Result<Fetched> operator()(const odf::FetchMqtt&) const { return Refused("mqtt"); }
  Result<Fetched> operator()(const odf::FetchEthereumLogs&) const { return Refused("ethereumLogs"); }
};

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
  return std::visit(FetchKind{request, context}, request.step);
}

Status CheckFetch(const odf::FetchStep& step) {
  if (const auto* url = std::get_if<odf::FetchUrl>(&step)) {
    RETURN_IF_ERROR(CheckTemplate(url->url));
    // A zero byte would cut the URL short where it is used.
    if (std::any_of(url->url.begin(), url->url.end(), [](char c) { return c >= 0 && c < ' '; }))
      return InvalidArgument("the URL has a control character in it");
    if (url->headers) {
      for (const auto& header : *url->headers) {
        RETURN_IF_ERROR(CheckTemplate(header.value));
        if (!net::IsSafeField(header.name, ""))
          return InvalidArgument("'{}' is not a name of an HTTP header", header.name);
      }
    }
    return CheckEventTime(url->event_time, false, true);
  }
  if (const auto* glob = std::get_if<odf::FetchFilesGlob>(&step)) {
    const bool from_path =
        glob->event_time && glob->event_time->kind == odf::EventTimeSource::Kind::kFromPath;
    if (glob->order == odf::SourceOrdering::kByEventTime && !from_path)
      return InvalidArgument("order: byEventTime needs eventTime: fromPath");
    return CheckEventTime(glob->event_time, true, false);
  }
  return {};
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
