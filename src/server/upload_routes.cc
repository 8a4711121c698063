// Files that are sent ahead and ingested by their token (odf-ingest.md 6.4).
#include <algorithm>
#include <nlohmann/json.hpp>

#include "ingest/metadata_commit.h"
#include "read/reader.h"
#include "server/problem.h"
#include "server/routes.h"
#include "server/uploads.h"
#include "server/workers.h"

namespace sluice::server {
namespace {

using nlohmann::json;

constexpr char kAutoSource[] = "auto";
constexpr size_t kMaxFileName = 255;
constexpr size_t kMaxMediaType = 100;

bool IsPrintable(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
}

// Where the client has reached this node. Only a plain host is repeated to it.
std::string BaseUrl(const Context& context, const Call& call) {
  const std::string host = call.request.headers.Find("Host").value_or("");
  const bool plain = !host.empty() && std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '.' || c == '-' || c == ':' || c == '[' || c == ']';
  });
  return plain ? context.scheme + "://" + host : "";
}

Result<net::HttpResponse> Prepare(const Context& context, const Call& call) {
  Upload upload;
  upload.account = call.caller.account;
  upload.file_name = call.request.url.Parameter("fileName").value_or("");
  upload.content_type = call.request.url.Parameter("contentType").value_or("");
  if (upload.file_name.empty() || upload.file_name.size() > kMaxFileName || !IsPrintable(upload.file_name))
    return InvalidArgument("parameter 'fileName' takes 1 to {} printable characters", kMaxFileName);
  if (upload.content_type.size() > kMaxMediaType || !IsPrintable(upload.content_type))
    return InvalidArgument("parameter 'contentType' takes a media type of up to {} characters",
                           kMaxMediaType);
  if (IsUnspecificMediaType(upload.content_type)) upload.content_type.clear();
  if (!upload.content_type.empty()) RETURN_IF_ERROR(read::FormatByMediaType(upload.content_type));
  if (!call.request.url.Parameter("contentLength"))
    return InvalidArgument("parameter 'contentLength' is missing");
  ASSIGN_OR_RETURN(upload.content_length, NumberParameter(call, "contentLength", 0, 0, UINT64_MAX));
  if (upload.content_length > context.limits.upload_bytes) {
    return InvalidArgument("Content too large: {} bytes, at most {} are taken", upload.content_length,
                           context.limits.upload_bytes);
  }
  ASSIGN_OR_RETURN(const auto token, context.uploads->Prepare(upload));
  return JsonResponse(200, {{"uploadUrl", BaseUrl(context, call) + "/platform/file/upload/" + token},
                            {"method", "POST"},
                            {"useMultipart", true},
                            {"headers", json::array()},
                            {"fields", json::array()},
                            {"uploadToken", token}});
}

// The token's upload, if it is the caller's.
Result<Upload> OwnUpload(const Context& context, const Call& call, const std::string& token) {
  ASSIGN_OR_RETURN(auto upload, context.uploads->Check(token));
  if (!call.caller.is_operator && upload.account != call.caller.account)
    return MakeError(ErrorCode::kPermissionDenied, "the upload token belongs to another account");
  return upload;
}

Result<net::HttpResponse> Store(const Context& context, const Call& call) {
  ASSIGN_OR_RETURN(const auto upload, OwnUpload(context, call, call.rest[0]));
  const auto type = call.request.headers.Find("Content-Type").value_or("");
  if (net::EqualsIgnoringCase(net::Trimmed(std::string_view(type).substr(0, type.find(';'))),
                              "multipart/form-data")) {
    ASSIGN_OR_RETURN(const auto bytes, MultipartField(type, call.request.body, "file"));
    RETURN_IF_ERROR(context.uploads->Store(upload, bytes));
  } else {
    RETURN_IF_ERROR(context.uploads->Store(upload, call.request.body));
  }
  return JsonResponse(200, {{"uploadToken", call.rest[0]},
                            {"fileName", upload.file_name},
                            {"contentLength", upload.content_length}});
}

Result<net::HttpResponse> Load(const Context& context, const Call& call) {
  ASSIGN_OR_RETURN(const auto upload, OwnUpload(context, call, call.rest[0]));
  net::HttpResponse response;
  ASSIGN_OR_RETURN(response.body, context.uploads->Load(upload));
  response.headers.Set("Content-Type", "application/octet-stream");
  response.headers.Set("Content-Disposition",
                       "attachment; filename*=UTF-8''" + net::PercentEncode(upload.file_name));
  return response;
}

bool HasSource(const dataset::Dataset& dataset) {
  return !dataset.state().push_sources.empty() || dataset.state().polling_source.has_value();
}

// The source that takes what was uploaded as it is.
Result<odf::AddPushSource> AutoSource(const workspace::Entry& entry, const gateway::PushRequest& push) {
  if (!push.format) {
    return NotFound(
        "dataset '{}' has no source, and neither the media type nor the file's name tells the format",
        entry.alias);
  }
  if (push.source_name && *push.source_name != kAutoSource) {
    return NotFound("dataset '{}' has no push source named '{}'; add it first, or leave the name out",
                    entry.alias, *push.source_name);
  }
  odf::AddPushSource source;
  source.source_name = kAutoSource;
  source.read.format = push.format->read;
  if (source.read.format == odf::ReadFormat::kCsv) source.read.header = true;
  if (push.format->tabs) source.read.separator = "\t";
  return source;
}

Status AddSource(const Context& context, const workspace::Entry& entry, odf::AddPushSource source) {
  return context.gateway->RunExclusive(entry, {.wait = context.limits.change_wait}, [&]() -> Status {
    ASSIGN_OR_RETURN(auto guard, context.workspace->BeginCommit(entry.id));
    ASSIGN_OR_RETURN(auto dataset, context.workspace->Open(entry));
    if (HasSource(*dataset)) return {};
    RETURN_IF_ERROR(dataset->EnsureDurable());
    ingest::MetadataCommit request;
    request.events.push_back(std::move(source));
    request.now = context.clock->Now();
    ASSIGN_OR_RETURN(auto done, ingest::CommitMetadata(*guard, *dataset, std::move(request)));
    (void)done.index.ok();  // an Append source has no key set
    return {};
  });
}

// A dataset without any source gets one with its first records, when they are good (odf-ingest.md 6.4).
std::optional<gateway::Refusal> EnsureSource(const Context& context, const workspace::Entry& entry,
                                             const gateway::PushRequest& push) {
  const auto dataset = context.workspace->Open(entry);
  if (!dataset.ok()) return gateway::Refusal{.error = dataset.error()};
  if (HasSource(**dataset) || (*dataset)->state().kind != odf::DatasetKind::kRoot) return std::nullopt;
  auto source = AutoSource(entry, push);
  if (!source.ok()) return gateway::Refusal{.error = source.error()};
  if (auto refusal = context.gateway->Try(entry, *source, push)) return refusal;
  if (auto status = AddSource(context, entry, std::move(*source)); !status.ok())
    return gateway::Refusal{.error = status.error()};
  return std::nullopt;
}

// Puts the uploaded file in the place of the body.
Status TakeUpload(const Context& context, Call& call) {
  ASSIGN_OR_RETURN(const auto upload,
                   OwnUpload(context, call, call.request.url.Parameter("uploadToken").value_or("")));
  if (!call.request.body.empty())
    return InvalidArgument("give a body or an upload token, not both: the body has {} bytes",
                           call.request.body.size());
  RETURN_IF_ERROR(DatasetOf(context, call));
  ASSIGN_OR_RETURN(auto bytes, context.uploads->Load(upload));
  std::string type = upload.content_type;
  const auto format = read::FormatByExtension(upload.file_name);
  if (format && type.empty()) type = read::MediaTypeOf(*format);
  call.request.body = std::move(bytes);
  call.request.headers.Set("Content-Type", type.empty() ? "application/octet-stream" : type);
  return {};
}

}  // namespace

void PostUploadPrepare(const Context& context, const CallPtr& call) {
  AnswerLater(*context.short_calls, call, [&context, call] { return Prepare(context, *call); });
}

void PostUpload(const Context& context, const CallPtr& call) {
  AnswerLater(*context.short_calls, call, [&context, call] { return Store(context, *call); });
}

void GetUpload(const Context& context, const CallPtr& call) {
  AnswerLater(*context.short_calls, call, [&context, call] { return Load(context, *call); });
}

void PostUploadedIngest(const Context& context, const CallPtr& call) {
  const bool taken = context.short_calls->Run(call->caller.account, [&context, call] {
    const auto status = TakeUpload(context, *call);
    if (!status.ok()) return call->Answer(Problem(status.error(), call->id));
    PushBody(context, call,
             [&context](const auto& entry, const auto& push) { return EnsureSource(context, entry, push); });
  });
  if (!taken) call->Answer(Problem(TooManyCalls(), call->id));
}

}  // namespace sluice::server
