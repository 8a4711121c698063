#include "server/call.h"

#include <charconv>

#include "server/access.h"
#include "server/names.h"
#include "server/problem.h"
#include "server/workers.h"

namespace sluice::server {
namespace {

uint64_t SizeOf(const net::HttpResponse& response) {
  if (const auto* text = std::get_if<std::string>(&response.body)) return text->size();
  if (const auto* file = std::get_if<net::FileRange>(&response.body)) return file->size;
  return 0;
}

}  // namespace

void Call::Answer(net::HttpResponse response) {
  response.headers.Set("X-Request-Id", id);
  if (on_answer) on_answer(response.status, SizeOf(response));
  responder->Send(std::move(response));
}

void Call::Answer(Result<net::HttpResponse> response) {
  if (response.ok()) return Answer(std::move(*response));
  Answer(Problem(response.error(), id));
}

void AnswerLater(Workers& workers, const CallPtr& call, std::function<Result<net::HttpResponse>()> work) {
  const bool taken =
      workers.Run(call->caller.account, [call, work = std::move(work)] { call->Answer(work()); });
  if (!taken) call->Answer(Problem(TooManyCalls(), call->id));
}

void AnswerLong(const Context& context, const CallPtr& call,
                std::function<Result<net::HttpResponse>(std::stop_token stop)> work) {
  AnswerLater(*context.long_calls, call, [&context, call, work = std::move(work)] {
    // Not asked any more once there is an answer to send.
    const auto watched =
        context.clients->Watch([call] { return call->responder->is_client_gone(); }, call->request.stop);
    return work(watched->token());
  });
}

Error TooManyCalls() {
  return MakeError(ErrorCode::kUnavailable, "too many long calls are waiting already; try again");
}

bool IsUnspecificMediaType(std::string_view media_type) {
  return media_type.empty() || media_type == "application/octet-stream" || media_type == "text/plain" ||
         media_type == "application/x-www-form-urlencoded";
}

bool MayDo(const Context& context, const Caller& caller, Right right, const std::string& dataset) {
  return context.access->Check(caller, right, dataset, std::nullopt).ok();
}

Result<workspace::Entry> DatasetOf(const Context& context, const Call& call) {
  auto entry = context.names->Resolve(call.dataset);
  // Near names would tell a token's holder of datasets that are not shown.
  const bool is_missing = !entry.ok() && entry.error().code() == ErrorCode::kNotFound;
  if (is_missing && call.caller.principal) return NotFound("Dataset not found: {}", call.dataset);
  // An id in the path names a dataset that the path's words did not tell of.
  if (entry.ok() && !net::EqualsIgnoringCase(entry->alias, call.dataset) &&
      !MayDo(context, call.caller, Right::kNone, entry->alias)) {
    return NotFound("Dataset not found: {}", call.dataset);
  }
  return entry;
}

Result<uint64_t> NumberParameter(const Call& call, std::string_view name, uint64_t fallback, uint64_t min,
                                 uint64_t max) {
  const auto text = call.request.url.Parameter(name);
  if (!text) return fallback;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size() || value < min || value > max)
    return InvalidArgument("parameter '{}' takes a number from {} to {}, not '{}'", name, min, max, *text);
  return value;
}

Result<bool> FlagParameter(const Call& call, std::string_view name) {
  const auto text = call.request.url.Parameter(name);
  if (!text || *text == "false") return false;
  if (*text == "true") return true;
  return InvalidArgument("parameter '{}' takes true or false, not '{}'", name, *text);
}

}  // namespace sluice::server
