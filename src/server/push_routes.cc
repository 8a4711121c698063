// Pushing batches, and what is known of their sources and receipts (push-protocol.md 3).
#include <algorithm>
#include <nlohmann/json.hpp>

#include "multiformats/multihash.h"
#include "odf/yaml.h"
#include "read/reader.h"
#include "server/problem.h"
#include "server/routes.h"

namespace sluice::server {
namespace {

using nlohmann::json;

constexpr size_t kTagDigits = 16;

std::string WithoutParameters(const std::string& value) {
  std::string type(net::Trimmed(std::string_view(value).substr(0, value.find(';'))));
  for (char& c : type) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return type;
}

// Bare, or quoted as the draft standard has it.
std::string Unquoted(std::string text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') return text.substr(1, text.size() - 2);
  return text;
}

bool PrefersAsync(const net::Headers& headers) {
  const std::string prefer = headers.Joined("Prefer");
  size_t start = 0;
  while (start <= prefer.size()) {
    const size_t end = std::min(prefer.find(',', start), prefer.size());
    const auto item = net::Trimmed(std::string_view(prefer).substr(start, end - start));
    if (net::EqualsIgnoringCase(item.substr(0, item.find(';')), "respond-async")) return true;
    start = end + 1;
  }
  return false;
}

// What may be said once only: which of two counts would depend on who reads them.
Status CheckSaidOnce(const net::HttpRequest& request) {
  for (const char* name : {"Content-Type", "ODF-Event-Time", "ODF-Source-State", "ODF-If-Source-State",
                           "ODF-Source-State-Kind", "Idempotency-Key"}) {
    const auto& fields = request.headers.fields();
    const auto count = std::count_if(fields.begin(), fields.end(), [&](const auto& field) {
      return net::EqualsIgnoringCase(field.first, name);
    });
    if (count > 1) return InvalidArgument("header {} is given {} times", name, count);
  }
  for (const char* name : {"sourceName", "allowEmpty", "uploadToken"}) {
    const auto& query = request.url.query;
    const auto count =
        std::count_if(query.begin(), query.end(), [&](const auto& item) { return item.first == name; });
    if (count > 1) return InvalidArgument("parameter {} is given {} times", name, count);
  }
  return {};
}

Result<gateway::PushRequest> RequestOf(Call& call) {
  auto& request = call.request;
  RETURN_IF_ERROR(CheckSaidOnce(request));
  gateway::PushRequest push;
  push.source_name = request.url.Parameter("sourceName");
  if (const auto allow_empty = request.url.Parameter("allowEmpty")) {
    if (*allow_empty != "true" && *allow_empty != "false")
      return InvalidArgument("allowEmpty is 'true' or 'false', not '{}'", *allow_empty);
    push.allow_empty = *allow_empty == "true";
  }
  push.account = call.caller.account;
  if (auto type = request.headers.Find("Content-Type")) {
    push.media_type = WithoutParameters(*type);
    if (!IsUnspecificMediaType(push.media_type)) {
      ASSIGN_OR_RETURN(push.format, read::FormatByMediaType(*type));
    }
  }
  if (auto time = request.headers.Find("ODF-Event-Time")) {
    auto parsed = ParseInstant(*time);
    if (!parsed.ok()) return std::move(parsed).error().With("ODF-Event-Time");
    push.event_time = *parsed;
  }
  push.next_state = request.headers.Find("ODF-Source-State");
  push.if_state = request.headers.Find("ODF-If-Source-State");
  push.state_kind = request.headers.Find("ODF-Source-State-Kind");
  if (auto key = request.headers.Find("Idempotency-Key")) push.idempotency_key = Unquoted(*key);
  push.respond_async = PrefersAsync(request.headers);
  push.body = std::move(request.body);
  return push;
}

json StateJson(const std::optional<gateway::State>& state, const std::string& source) {
  if (!state) return nullptr;
  return {{"sourceName", source}, {"kind", state->kind}, {"value", state->value}};
}

template <class T>
json OrNull(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

json HashJson(const std::optional<multiformats::Multihash>& hash) {
  return hash ? json(hash->ToString()) : json(nullptr);
}

json OutcomeJson(const gateway::Outcome& outcome) {
  json body = {{"status", gateway::NameOf(outcome)},
               {"sourceName", outcome.source},
               {"oldHead", HashJson(outcome.old_head)},
               {"newHead", HashJson(outcome.new_head)},
               {"blockHash", HashJson(outcome.block_hash)},
               {"sequence", OrNull(outcome.sequence)},
               {"offsets", nullptr},
               {"records", {{"received", OrNull(outcome.received)}, {"added", OrNull(outcome.added)}}},
               {"sourceState", StateJson(outcome.state, outcome.source)},
               {"watermark", outcome.watermark ? json(FormatInstant(*outcome.watermark)) : json(nullptr)}};
  if (outcome.offsets) body["offsets"] = {{"start", outcome.offsets->start}, {"end", outcome.offsets->end}};
  if (!outcome.receipt.empty()) body["receipt"] = outcome.receipt;
  return body;
}

net::HttpResponse AnswerOf(const gateway::PushAnswer& answer, const Call& call) {
  if (const auto* refusal = std::get_if<gateway::Refusal>(&answer)) return Problem(*refusal, call.id);
  const auto& outcome = std::get<gateway::Outcome>(answer);
  if (outcome.status != gateway::Outcome::Status::kQueued) return JsonResponse(200, OutcomeJson(outcome));
  auto response = JsonResponse(202, {{"receipt", outcome.receipt},
                                     {"status", "queued"},
                                     {"sourceState", StateJson(outcome.state, outcome.source)}});
  response.headers.Set("Location", "/receipts/" + outcome.receipt);
  response.headers.Set("Preference-Applied", "respond-async");
  return response;
}

std::string TagOf(const std::optional<gateway::State>& state) {
  const std::string text = state ? state->kind + "\n" + state->value : "";
  return "\"" + multiformats::Sha3Multihash(text).ToString().substr(9, kTagDigits) + "\"";
}

json SourceJson(const gateway::SourceView& view) {
  json body = {{"sourceName", view.event.source_name},
               {"readFormat", odf::NameOf(view.event.read.format)},
               {"mergeStrategy", odf::NameOf(view.event.merge.kind)},
               {"kind", nullptr},
               {"committed", nullptr},
               {"accepted", nullptr},
               {"blockHash", HashJson(view.block_hash)},
               {"stateSequence", OrNull(view.state_sequence)},
               {"offset", OrNull(view.last_offset)},
               {"queued", {{"batches", view.queued}, {"bytes", view.queued_bytes}}},
               {"stoppedAt", OrNull(view.stopped)},
               {"lastError", view.last_error.empty() ? json(nullptr) : json(view.last_error)}};
  if (view.committed) body["committed"] = view.committed->value;
  if (view.accepted) body["accepted"] = view.accepted->value;
  if (view.accepted) body["kind"] = view.accepted->kind;
  // What a client that cuts a file into batches must repeat before each.
  if (view.event.read.format == odf::ReadFormat::kCsv)
    body["hasHeader"] = view.event.read.header.value_or(false);
  if (view.event.merge.primary_key.size() > 0) body["primaryKey"] = view.event.merge.primary_key;
  return body;
}

void PushBody(const Context& context, const CallPtr& call) {
  auto entry = DatasetOf(context, *call);
  if (!entry.ok()) return call->Answer(Problem(entry.error(), call->id));
  auto push = RequestOf(*call);
  if (!push.ok()) return call->Answer(Problem(push.error(), call->id));
  context.gateway->Push(*entry, std::move(*push),
                        [call](const gateway::PushAnswer& answer) { call->Answer(AnswerOf(answer, *call)); });
}

}  // namespace

void PostIngest(const Context& context, const CallPtr& call) {
  if (call->request.url.Parameter("uploadToken")) return PostUploadedIngest(context, call, PushBody);
  PushBody(context, call);
}

void GetReceipt(const Context& context, const CallPtr& call) {
  const auto& id = call->rest[0];
  auto found = context.gateway->FindReceipt(id);
  if (!found.ok()) {
    const bool gone = found.error().code() == ErrorCode::kNotFound;
    return call->Answer(gone ? Problem(410, found.error().ToString(), call->id)
                             : Problem(found.error(), call->id));
  }
  const bool visible = *found && (call->caller.is_operator || (*found)->account == call->caller.account);
  if (!visible) return call->Answer(Problem(404, "no such receipt: '" + id + "'", call->id));
  const auto& outcome = (*found)->outcome;
  json body = OutcomeJson(outcome);
  body["receipt"] = id;
  if (outcome.status == gateway::Outcome::Status::kFailed) {
    const int status = InfoOf(outcome.error_code).http_status;
    body["problem"] = {{"type", "about:blank"},
                       {"title", ReasonOf(status)},
                       {"status", status},
                       {"detail", outcome.error_message},
                       {"message", outcome.error_message}};
  }
  call->Answer(JsonResponse(200, body));
}

void GetSources(const Context& context, const CallPtr& call) {
  auto entry = DatasetOf(context, *call);
  if (!entry.ok()) return call->Answer(Problem(entry.error(), call->id));
  auto views = context.gateway->Sources(*entry, std::nullopt);
  if (!views.ok()) return call->Answer(Problem(views.error(), call->id));
  json list = json::array();
  for (const auto& view : *views) list.push_back(SourceJson(view));
  call->Answer(JsonResponse(200, {{"sources", std::move(list)}}));
}

void GetSource(const Context& context, const CallPtr& call) {
  auto entry = DatasetOf(context, *call);
  if (!entry.ok()) return call->Answer(Problem(entry.error(), call->id));
  auto views = context.gateway->Sources(*entry, call->rest[0]);
  if (!views.ok()) return call->Answer(Problem(views.error(), call->id));
  const auto& view = views->front();
  if (!call->route.ends_with("/state")) return call->Answer(JsonResponse(200, SourceJson(view)));
  if (!view.accepted) {
    return call->Answer(
        Problem(404, fmt::format("source '{}' has no state yet", view.event.source_name), call->id));
  }
  auto response =
      JsonResponse(200, {{"sourceName", view.event.source_name},
                         {"kind", view.accepted->kind},
                         {"committed", view.committed ? json(view.committed->value) : json(nullptr)},
                         {"accepted", view.accepted->value},
                         {"blockHash", HashJson(view.block_hash)},
                         {"offset", OrNull(view.last_offset)}});
  response.headers.Set("ETag", TagOf(view.accepted));
  call->Answer(std::move(response));
}

}  // namespace sluice::server
