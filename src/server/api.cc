#include "server/api.h"

#include <algorithm>
#include <shared_mutex>
#include <unordered_map>

#include "auth/authenticator.h"
#include "auth/token_store.h"
#include "base/random.h"
#include "server/metrics.h"
#include "server/names.h"
#include "server/problem.h"
#include "server/quotas.h"
#include "server/routes.h"

namespace sluice::server {
namespace {

constexpr size_t kRequestIdSize = 16;
constexpr size_t kMaxGivenId = 64;
constexpr size_t kLargeBodyDigits = 6;                 // of a length: 100,000 bytes
constexpr size_t kSmallBodyDigits = 4;                 // below 10,000 bytes
constexpr std::chrono::milliseconds kMostTogether{1};  // then others do not wait for the rest
constexpr size_t kMostKnownTokens = 10'000;

// Segments are told apart after decoding: a slash in disguise would name another path than a proxy in front
// saw.
bool HidesSlash(const std::string& target) {
  const auto path = target.substr(0, target.find('?'));
  for (const char* disguise : {"%2f", "%2F", "%5c", "%5C", "\\"}) {
    if (path.find(disguise) != std::string::npos) return true;
  }
  return false;
}

// Which of two counts would depend on who reads them.
bool HasTwoTokens(const net::HttpRequest& request) {
  const auto is_token = [](const auto& field) {
    return net::EqualsIgnoringCase(field.first, "Authorization");
  };
  return std::ranges::count_if(request.headers.fields(), is_token) > 1;
}

bool IsPlain(const std::string& text) {
  return !text.empty() && text.size() <= kMaxGivenId &&
         std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; });
}

class Api final : public net::HttpHandler {
 public:
  Api(const Context& context, ApiOptions options) : context_(context), options_(std::move(options)) {}

  net::BodyPlan PlanBody(const net::HttpRequest& head) override {
    std::vector<std::string> allow;
    const auto match = FindRoute(head.method, head.url.path, &allow);
    net::BodyPlan plan;
    if (!match.route) return plan;
    plan.tenant = TenantOf(head);
    // Who may not call is not listened to: the answer comes before the body is taken.
    plan.is_streamed = match.route->is_streamed || (HasLargeBody(head) && IsRefused(head, match));
    plan.max_bytes = MaxBodyBytes(*match.route, context_.limits);
    plan.is_brief = match.route->handler == PostIngest && HasSmallBody(head);
    return plan;
  }

  size_t ServeTogether(std::vector<Pending>& calls) override {
    const auto started = std::chrono::steady_clock::now();
    const gateway::PushTogether together;
    size_t served = 0;
    do {
      auto& call = calls[served++];
      try {
        Serve(std::move(call.request), std::move(call.responder));
      } catch (...) {
        // Its responder was destroyed on the way, and has answered; the others are not concerned.
      }
    } while (served < calls.size() && std::chrono::steady_clock::now() - started < kMostTogether);
    return served;
  }

  void Serve(net::HttpRequest request, net::Responder responder) override {
    auto call = std::make_shared<Call>();
    call->started = std::chrono::steady_clock::now();
    call->id = IdOf(request);
    call->body_bytes = request.body.size();
    call->request = std::move(request);
    call->responder = std::make_shared<net::Responder>(std::move(responder));
    call->on_answer = [this, weak = std::weak_ptr<Call>(call)](int status, uint64_t bytes) {
      if (auto answered = weak.lock()) Note(*answered, status, bytes);
    };
    Dispatch(call);
  }

  void OnRefusal(const net::HttpRequest& request, net::HttpResponse& response) override {
    const std::string id = IdOf(request);
    AddRequestId(id, &response);
    if (!options_.log) return;
    AccessRecord record;
    record.id = id;
    record.peer = request.peer;
    record.method = request.method;
    record.target = request.target;
    record.route = "none";
    record.status = response.status;
    record.is_refusal = true;
    options_.log(record);
  }

 private:
  static std::string IdOf(const net::HttpRequest& request) {
    const auto given = request.headers.Find("X-Request-Id");
    return given && IsPlain(*given) ? *given : RandomName(kRequestIdSize);
  }

  void Dispatch(const CallPtr& call) {
    if (HasTwoTokens(call->request))
      return call->Answer(Problem(400, "header Authorization is given more than once", call->id));
    if (HidesSlash(call->request.target)) {
      return call->Answer(
          Problem(400, fmt::format("path '{}' holds an encoded slash", call->request.url.path), call->id));
    }
    std::vector<std::string> allow;
    auto match = FindRoute(call->request.method, call->request.url.path, &allow);
    if (!match.route && !allow.empty()) {
      auto response = Problem(
          405, fmt::format("{} is not a method of '{}'", call->request.method, call->request.url.path),
          call->id);
      std::string list;
      for (const auto& method : allow) list += (list.empty() ? "" : ", ") + method;
      response.headers.Set("Allow", list);
      return call->Answer(std::move(response));
    }
    if (!match.route) {
      return call->Answer(Problem(404, fmt::format("no such path: '{}'", call->request.url.path), call->id));
    }
    call->route = match.route->path;
    call->dataset = std::move(match.dataset);
    call->rest = std::move(match.rest);
    auto caller = Admit(call->request, *match.route, call->dataset, call->rest);
    if (!caller.ok()) return call->Answer(Problem(caller.error(), call->id));
    call->caller = std::move(*caller);
    if (call->caller.principal) NoteTenant(call->request, call->caller.account);
    if (call->request.stream && !match.route->is_streamed)  // a token that is new since the header came
      return call->Answer(Problem(MakeError(ErrorCode::kUnavailable, "try again"), call->id));
    if (const auto wait = QuotaWait(*call, *match.route))
      return call->Answer(OverQuota(call->caller.account, *wait, call->id));
    match.route->handler(context_, call);
  }

  // Seconds after which an account that is over its quota may call again. The operator has none.
  std::optional<int> QuotaWait(const Call& call, const Route& route) {
    if (call.caller.is_operator || route.right == Right::kNone) return std::nullopt;
    return context_.quotas->Take(call.caller.account, call.body_bytes, call.started);
  }

  static net::HttpResponse OverQuota(const std::string& account, int wait, const std::string& id) {
    const std::string who = account.empty() ? "callers without a token are" : "account '" + account + "' is";
    gateway::Refusal refusal{
        .error = MakeError(ErrorCode::kResourceExhausted, "{} over the quota; try again in {} s", who, wait)};
    refusal.http_status = 429;
    refusal.retry_after_seconds = wait;
    return Problem(refusal, id);
  }

  // Bodies that are worth a look at the caller before they are taken.
  static bool HasLargeBody(const net::HttpRequest& head) {
    if (head.headers.Contains("Transfer-Encoding")) return true;
    const auto length = head.headers.Find("Content-Length");
    return length && length->size() >= kLargeBodyDigits;
  }

  static bool HasSmallBody(const net::HttpRequest& head) {
    const auto length = head.headers.Find("Content-Length");
    return length && length->size() <= kSmallBodyDigits;
  }

  bool IsRefused(const net::HttpRequest& head, const Match& match) {
    // A token that may have to be looked up elsewhere is judged where that may take its time.
    const auto header = head.headers.Find("Authorization");
    const auto token = header ? auth::BearerToken(*header) : std::nullopt;
    if (token && !auth::IsStoredToken(*token)) return false;
    return !Admit(head, *match.route, match.dataset, match.rest).ok();
  }

  Result<Caller> Admit(const net::HttpRequest& request, const Route& route, const std::string& dataset,
                       const std::vector<std::string>& rest) {
    Caller caller;
    if (route.right == Right::kNone) return caller;
    ASSIGN_OR_RETURN(caller, context_.access->Authenticate(request));
    if (route.right == Right::kOperator && !caller.is_operator)
      return MakeError(ErrorCode::kPermissionDenied, "this call is served on the workspace's socket only");
    // What a call is about: the source in its path, or the one that a push names. Elsewhere the parameter
    // means nothing, and must not make a right to push to that source one to read.
    std::optional<std::string> source;
    if (route.right == Right::kPush) source = request.url.Parameter("sourceName");
    if (route.path.find("{source}") != std::string::npos) source = rest.front();
    RETURN_IF_ERROR(context_.access->Check(caller, route.right, dataset, source));
    return caller;
  }

  // Whose turn a request takes, told without looking a token up: who has shown it before. All tokens that are
  // not known yet take one turn together.
  std::string TenantOf(const net::HttpRequest& head) const {
    if (head.peer_user) return "operator";
    const auto header = head.headers.Find("Authorization");
    if (!header) return "";
    std::shared_lock lock(tenants_mutex_);
    const auto known = tenants_.find(std::hash<std::string>()(*header));
    return known == tenants_.end() ? "?" : known->second;
  }

  void NoteTenant(const net::HttpRequest& request, const std::string& account) {
    const size_t hash = std::hash<std::string>()(request.headers.Find("Authorization").value_or(""));
    {
      std::shared_lock lock(tenants_mutex_);
      if (tenants_.contains(hash)) return;
    }
    std::unique_lock lock(tenants_mutex_);
    if (tenants_.size() >= kMostKnownTokens) tenants_.clear();
    tenants_[hash] = account;
  }

  void Note(const Call& call, int status, uint64_t bytes) {
    const auto took = std::chrono::steady_clock::now() - call.started;
    const std::string route = call.route.empty() ? "none" : call.route;
    context_.metrics->OnRequest(route, call.request.method, status, call.body_bytes, took);
    if (!options_.log) return;
    AccessRecord record;
    record.id = call.id;
    record.peer = call.request.peer;
    record.account = call.caller.account;
    record.method = call.request.method;
    record.target = call.request.target;
    record.route = route;
    record.status = status;
    record.bytes_in = call.body_bytes;
    record.bytes_out = bytes;
    record.took = took;
    options_.log(record);
  }

  const Context context_;
  const ApiOptions options_;
  mutable std::shared_mutex tenants_mutex_;
  std::unordered_map<size_t, std::string> tenants_;  // accounts by hashes of tokens; under tenants_mutex_
};

}  // namespace

std::unique_ptr<net::HttpHandler> MakeApi(const Context& context, ApiOptions options) {
  return std::make_unique<Api>(context, std::move(options));
}

}  // namespace sluice::server
