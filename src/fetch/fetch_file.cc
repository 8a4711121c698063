// `file:` URLs: read in place; the state is the time of the last change.
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "fetch/event_time.h"
#include "fetch/file_stamp.h"
#include "fetch/kinds_internal.h"
#include "net/url.h"

namespace sluice::fetch {
namespace {

// `file:///a%20b`, `file://localhost/a`, `file:/a`.
Result<std::string> PathOf(const std::string& url) {
  std::string_view rest = std::string_view(url).substr(url.find(':') + 1);
  if (rest.starts_with("//")) {
    rest.remove_prefix(2);
    const size_t slash = rest.find('/');
    const auto host = rest.substr(0, slash);
    if (slash == std::string_view::npos || (!host.empty() && host != "localhost"))
      return InvalidArgument("'{}' does not name a local file: write file:///path", url);
    rest.remove_prefix(slash);
  }
  if (!rest.starts_with('/')) return InvalidArgument("'{}' is not an absolute path: write file:///path", url);
  ASSIGN_OR_RETURN(auto path, net::PercentDecode(rest));
  // The system would take what comes before it for the whole path.
  if (path.find('\0') != std::string::npos)
    return InvalidArgument("'{}' is not a path: it has a zero byte in it", url);
  return path;
}

Status CheckFileUrl(const std::string& url) {
  const auto path = PathOf(url);
  return path.ok() ? OkStatus() : Status(path.error());
}

Result<Fetched> FetchFile(const UrlCall& call, const FetchRequest& request, const FetchContext& context) {
  if (!context.may.files)
    return Error(ErrorCode::kPermissionDenied, "this source may not read files (file:)");
  ASSIGN_OR_RETURN(const auto path, PathOf(call.url));
  ASSIGN_OR_RETURN(const auto stamp, StampOf(path));
  Fetched fetched;
  if (IsUncacheable(request, request.previous.has_value())) {
    fetched.uncacheable = true;
    return fetched;
  }
  const std::string value = FormatInstant(stamp.changed.TruncatedToMillis());
  if (!request.force && request.previous && request.previous->kind == kLastModifiedStateKind) {
    const auto before = ParseInstant(request.previous->value);
    if (before.ok() && before->ToMillis() == stamp.changed.ToMillis()) return fetched;
  }
  FetchedInput input;
  input.name = path;
  ASSIGN_OR_RETURN(input.event_time,
                   MetadataEventTime(call.step.event_time, stamp.changed.TruncatedToMillis()));
  input.open = [path] { return read::OpenFileSource(path); };
  input.state = [path, stamp, value]() -> Result<std::optional<odf::SourceState>> {
    RETURN_IF_ERROR(CheckStamp(path, stamp));
    return std::optional(odf::SourceState{"", kLastModifiedStateKind, value});
  };
  input.identity = [path, stamp] { return IdentityOf(path, stamp); };
  fetched.inputs.push_back(std::move(input));
  return fetched;
}

}  // namespace

namespace kinds {
FetchKind file() { return {.schemes = {"file"}, .check_url = &CheckFileUrl, .fetch_url = &FetchFile}; }
}  // namespace kinds

}  // namespace sluice::fetch
