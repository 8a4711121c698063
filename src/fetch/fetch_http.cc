// `http:` and `https:` URLs: asked conditionally, downloaded into a savepoint, read while they arrive.
#include "archive/decompress.h"
#include "fetch/download.h"
#include "fetch/event_time.h"
#include "fetch/kinds_internal.h"
#include "fetch/streams.h"
#include "multiformats/multihash.h"
#include "net/http_condition.h"
#include "net/url.h"

namespace sluice::fetch {
namespace {

// The savepoint answers for one URL with its headers, asked from one state.
std::string KeyOf(const DownloadSpec& spec, const std::optional<odf::SourceState>& previous) {
  std::string text = spec.url;
  auto add = [&](std::string_view part) { text += fmt::format("\n{}:{}", part.size(), part); };
  for (const auto& [name, value] : spec.headers.fields()) {
    add(name);
    add(value);
  }
  if (previous) {
    add(previous->kind);
    add(previous->value);
  }
  return multiformats::Sha3Multihash(text).ToString();
}

// Nothing for a date that cannot be read.
std::optional<Instant> ChangedAt(const DownloadInfo& info) {
  const auto seconds = net::ParseHttpDate(info.last_modified);
  return seconds ? std::optional(Instant{*seconds, 0}) : std::nullopt;
}

Result<std::optional<odf::SourceState>> StateOf(const DownloadInfo& info) {
  if (!info.etag.empty()) return std::optional(odf::SourceState{"", kEtagStateKind, info.etag});
  if (!info.last_modified.empty()) {
    // A date that cannot be read is no validator.
    if (const auto time = ChangedAt(info))
      return std::optional(odf::SourceState{"", kLastModifiedStateKind, FormatInstant(*time)});
  }
  return std::optional(
      odf::SourceState{"", kContentStateKind, fmt::format("{}:{}", info.total_bytes, info.hash)});
}

// Entity tags are compared as If-None-Match compares them: what marks a weak one does not count.
bool HasSameValidator(const DownloadInfo& info, const std::optional<odf::SourceState>& previous) {
  const auto plain = [](std::string_view tag) { return tag.starts_with("W/") ? tag.substr(2) : tag; };
  if (!previous) return false;
  if (previous->kind == kEtagStateKind)
    return !info.etag.empty() && plain(info.etag) == plain(previous->value);
  if (previous->kind != kLastModifiedStateKind || !info.etag.empty()) return false;
  const auto time = ChangedAt(info);
  return time && FormatInstant(*time) == previous->value;
}

Status SetValidators(const std::optional<odf::SourceState>& previous, DownloadSpec* spec) {
  if (!previous) return {};
  if (previous->kind == kEtagStateKind) {
    spec->known_etag = previous->value;
  } else if (previous->kind == kLastModifiedStateKind) {
    ASSIGN_OR_RETURN(const auto time, ParseInstant(previous->value));
    spec->known_last_modified = net::FormatHttpDate(time.seconds);
  }
  return {};
}

Result<Fetched> FetchHttp(const UrlCall& call, const FetchRequest& request, const FetchContext& context) {
  DownloadSpec spec;
  spec.url = call.url;
  spec.shown = call.redactor->Clean(call.url);
  spec.redactor = call.redactor;
  if (call.step.headers) {
    for (const auto& header : *call.step.headers) {
      ASSIGN_OR_RETURN(auto value, ExpandTemplate(header.value, *context.variables, *call.redactor));
      spec.headers.Add(header.name, std::move(value));
    }
  }
  RETURN_IF_ERROR(SetValidators(request.previous, &spec));
  const bool has_validator = !spec.known_etag.empty() || !spec.known_last_modified.empty();
  Fetched fetched;
  if (IsUncacheable(request, has_validator)) {
    fetched.uncacheable = true;
    return fetched;
  }
  spec.key = KeyOf(spec, request.previous);
  if (request.force) {
    spec.known_etag.clear();
    spec.known_last_modified.clear();
  }
  ASSIGN_OR_RETURN(auto begun, Download::Begin(std::move(spec), context));
  const std::shared_ptr<Download> download = std::move(begun);
  ASSIGN_OR_RETURN(const auto start, download->WaitForStart());
  if (start == Download::Start::kNotModified) return fetched;
  if (auto note = download->note(); !note.empty()) fetched.notes.push_back(std::move(note));
  const auto info = download->info();
  // Not every server heeds the question whether anything is new.
  if (!request.force && HasSameValidator(info, request.previous)) {
    download->Abandon();
    return fetched;
  }
  // Content without a validator is known by what it is.
  ASSIGN_OR_RETURN(const auto coder, CodecOfContentEncoding(info.content_encoding));
  if (!request.force && request.previous && request.previous->kind == kContentStateKind &&
      !info.HasValidator()) {
    RETURN_IF_ERROR(download->WaitForEnd());
    ASSIGN_OR_RETURN(const auto state, StateOf(download->info()));
    if (state->kind == kContentStateKind && state->value == request.previous->value) return fetched;
  }
  FetchedInput input;
  input.name = call.redactor->Clean(call.url);
  input.media_type = info.media_type;
  input.from_server = true;
  input.decoded = coder.has_value();
  ASSIGN_OR_RETURN(input.event_time, MetadataEventTime(call.step.event_time, ChangedAt(info)));
  input.open = [download, coder, limits = context.limits]() -> Result<std::unique_ptr<read::ByteSource>> {
    ASSIGN_OR_RETURN(auto source, download->Open());
    if (!coder) return source;
    return DecodeStream(*coder, std::move(source), limits);
  };
  input.state = [download]() -> Result<std::optional<odf::SourceState>> {
    RETURN_IF_ERROR(download->WaitForEnd());
    return StateOf(download->info());
  };
  input.identity = [download]() -> Result<std::optional<std::string>> {
    const auto now = download->info();
    if (now.hash.empty()) return std::optional<std::string>();
    return std::optional(fmt::format("{}:{}:{}", now.content_encoding, now.total_bytes, now.hash));
  };
  input.has_changed = [download] { return download->HasChanged(); };
  fetched.inputs.push_back(std::move(input));
  fetched.on_refused = [download] { download->Refuse(); };
  return fetched;
}

}  // namespace

namespace kinds {
FetchKind http() {
  return {.schemes = {"http", "https"}, .check_url = &net::CheckHttpUrl, .fetch_url = &FetchHttp};
}
}  // namespace kinds

}  // namespace sluice::fetch
