// Pushing batches, and what is known of their receipts (push-protocol.md 3).
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "multiformats/multihash.h"
#include "read/reader.h"
#include "server/problem.h"
#include "server/routes.h"

namespace sluice::server {
namespace {

using nlohmann::json;

std::string WithoutParameters(const std::string& value) {
  std::string type(net::Trimmed(std::string_view(value).substr(0, value.find(';'))));
  for (char& c : type) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return type;
}

// Bare, or quoted as the draft standard has it (RFC 9651, a string). Errors: kInvalidArgument for what begins
// as one and is none.
Result<std::string> KeyOf(const std::string& text) {
  if (!text.starts_with('"')) return text;
  std::string key;
  size_t at = 1;
  for (; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\' && (++at == text.size() || (text[at] != '"' && text[at] != '\\'))) break;
    key += text[at];
  }
  if (at + 1 == text.size() && text[at] == '"') return key;
  return InvalidArgument("Idempotency-Key '{}' begins with a quote, and is no quoted text", text);
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

// A misspelt one would let the records into another source than was meant.
Status CheckParameters(const net::Target& url) {
  constexpr std::array<std::string_view, 3> kKnown = {"sourceName", "allowEmpty", "uploadToken"};
  for (const auto& [name, value] : url.query) {
    if (std::ranges::find(kKnown, name) == kKnown.end()) {
      return InvalidArgument(
          "'{}' is not a parameter of ingest: known are sourceName, allowEmpty, uploadToken", name);
    }
    const auto count = std::ranges::count_if(url.query, [&](const auto& item) { return item.first == name; });
    if (count > 1) return InvalidArgument("parameter {} is given {} times", name, count);
  }
  return {};
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
  return CheckParameters(request.url);
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
  if (auto key = request.headers.Find("Idempotency-Key")) {
    ASSIGN_OR_RETURN(push.idempotency_key, KeyOf(*key));
  }
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
  // Where the node queues whatever is preferred, there was none to apply.
  if (PrefersAsync(call.request.headers)) response.headers.Set("Preference-Applied", "respond-async");
  return response;
}

}  // namespace

void PushBody(const Context& context, const CallPtr& call, const BeforePush& before) {
  auto entry = DatasetOf(context, *call);
  if (!entry.ok()) return call->Answer(Problem(entry.error(), call->id));
  auto push = RequestOf(*call);
  if (!push.ok()) return call->Answer(Problem(push.error(), call->id));
  if (before) {
    if (const auto refusal = before(*entry, *push)) return call->Answer(Problem(*refusal, call->id));
  }
  context.gateway->Push(*entry, std::move(*push),
                        [call](const gateway::PushAnswer& answer) { call->Answer(AnswerOf(answer, *call)); });
}

void PostIngest(const Context& context, const CallPtr& call) {
  if (call->request.url.Parameter("uploadToken")) return PostUploadedIngest(context, call);
  PushBody(context, call, nullptr);
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
  body["datasetId"] = (*found)->dataset.ToString();
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

}  // namespace sluice::server
