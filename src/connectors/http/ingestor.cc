#include "connectors/http/ingestor.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/mutex.h"
#include "connectors/http/answer.h"
#include "connectors/http/callers.h"
#include "net/http_server.h"
#include "pipeline/reasons.h"
#include "pipeline/record.h"
#include "pipeline/rows.h"

namespace sluice::connectors::http {
namespace {

using pipeline::Outcome;
using pipeline::OutcomeKind;
using pipeline::Outcomes;
using std::chrono::milliseconds;

// A body up to this size is read into records where it was received: that is quicker than a change of
// threads.
constexpr uint64_t kQuickBytes = 64 << 10;
// Requests that wait for room, and the bytes of their bodies.
constexpr size_t kMaxWaiting = 1024;
constexpr uint64_t kMaxWaitingBytes = 64 << 20;
constexpr size_t kShownErrors = 100;

std::string_view TextAt(const arrow::RecordBatch& records, pipeline::Column column, int64_t row) {
  return static_cast<const arrow::StringArray&>(*records.column(static_cast<int>(column))).GetView(row);
}

net::HttpResponse Later(int status, std::string_view message, milliseconds wait) {
  net::HttpResponse response = net::ProblemResponse(status, message);
  response.headers.Set("Retry-After", fmt::format("{}", std::max<int64_t>(1, (wait.count() + 999) / 1000)));
  return response;
}

net::HttpResponse JsonAnswer(int status, std::string body) {
  net::HttpResponse response;
  response.status = status;
  response.headers.Set("Content-Type", "application/json");
  response.body = std::move(body);
  return response;
}

// Curl's default and what names no format are read as JSON.
bool IsTaken(std::string_view content_type) {
  const std::string_view type = net::Trimmed(content_type.substr(0, content_type.find(';')));
  for (std::string_view known : {"", "application/json", "application/x-ndjson", "application/ndjson",
                                 "application/jsonl", "application/x-jsonlines", "text/plain", "text/json",
                                 "application/octet-stream", "application/x-www-form-urlencoded"}) {
    if (net::EqualsIgnoringCase(type, known)) return true;
  }
  return false;
}

// A request whose records are on their way.
struct Call {
  Call(net::Responder to, bool lists) : responder(std::move(to)), lists_outcomes(lists) {}

  net::Responder responder;
  const bool lists_outcomes;
  std::string tenant;
  uint64_t bytes = 0;
  std::shared_ptr<arrow::RecordBatch> records;
  std::vector<int64_t> positions;              // of each row among the request's records
  std::vector<pipeline::BadRecord> bad;        // not among the rows
  std::vector<pipeline::BadRecord> forbidden;  // neither
  std::chrono::steady_clock::time_point deadline;
};

// Rows and unreadable records in the order of the request.
std::vector<Answered> Merge(const Call& call, const Outcomes& outcomes) {
  std::vector<Answered> all(call.positions.size() + call.bad.size() + call.forbidden.size());
  for (size_t row = 0; row < call.positions.size(); ++row) {
    Answered& record = all[static_cast<size_t>(call.positions[row])];
    if (row < outcomes.size()) record.outcome = outcomes[row];
    record.uuid = TextAt(*call.records, pipeline::Column::kUuid, static_cast<int64_t>(row));
  }
  for (const pipeline::BadRecord& bad : call.bad) {
    Answered& record = all[static_cast<size_t>(bad.position)];
    record.outcome = {OutcomeKind::kRejected, bad.reason};
    record.is_unreadable = true;
  }
  for (const pipeline::BadRecord& bad : call.forbidden)
    all[static_cast<size_t>(bad.position)].outcome = {OutcomeKind::kRejected, bad.reason};
  return all;
}

// For those who did not ask for a list: nothing when all went well, as the original; else what is wrong.
net::HttpResponse PlainAnswer(const std::vector<Answered>& records) {
  int status = StatusOf(records);
  if (status == 200) return {};
  const bool is_full = std::any_of(records.begin(), records.end(), [](const Answered& one) {
    return one.outcome.kind == OutcomeKind::kFailed && one.outcome.reason == pipeline::kSpoolIsFull;
  });
  if (status == 503 && !is_full) status = 500;  // what the original answers when its writer fails
  nlohmann::json errors = nlohmann::json::array();
  size_t wrong = 0;
  std::string first;
  for (size_t i = 0; i < records.size(); ++i) {
    const Outcome& outcome = records[i].outcome;
    if (outcome.kind != OutcomeKind::kRejected && outcome.kind != OutcomeKind::kFailed) continue;
    if (wrong++ == 0) first = fmt::format("record {}: {}", i, outcome.reason);
    if (errors.size() < kShownErrors) errors.push_back({{"record", i}, {"reason", outcome.reason}});
  }
  const std::string message =
      wrong == 1 ? first : fmt::format("{} of {} records; {}", wrong, records.size(), first);
  nlohmann::json body = {{"type", "about:blank"},
                         {"title", status == 503   ? "Service Unavailable"
                                   : status == 500 ? "Internal Server Error"
                                                   : "Bad records"},
                         {"status", status},
                         {"detail", message},
                         {"message", message},
                         {"errors", errors}};
  net::HttpResponse response =
      JsonAnswer(status, body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  response.headers.Set("Content-Type", "application/problem+json");
  if (status >= 500) response.headers.Set("Retry-After", "1");
  return response;
}

net::HttpResponse AnswerOf(const Call& call, const Outcomes& outcomes) {
  const std::vector<Answered> records = Merge(call, outcomes);
  if (!call.lists_outcomes) return PlainAnswer(records);
  const bool is_forbidden = call.positions.empty() && call.bad.empty() && !call.forbidden.empty();
  net::HttpResponse response = JsonAnswer(is_forbidden ? 403 : StatusOf(records), OutcomesToJson(records));
  if (response.status == 503) response.headers.Set("Retry-After", "1");
  return response;
}

class HttpIngestor final : public pipeline::Ingestor, private net::HttpHandler {
 public:
  HttpIngestor(IngestorOptions options, pipeline::Environment& environment)
      : options_(std::move(options)),
        environment_(environment),
        callers_(options_.tokens, options_.token),
        rate_(options_.rate) {
    std::sort(options_.tenants.begin(), options_.tenants.end());
  }
  ~HttpIngestor() override { (void)Stop(milliseconds(0)); }

  Status Start(pipeline::Intake& intake, const pipeline::Places&) override {
    intake_ = &intake;
    net::HttpServerOptions server;
    server.on_notice = [this](const std::string& notice) { environment_.Note(notice); };
    net::HttpEndpoint endpoint{.host = options_.host, .port = options_.port, .tls = options_.tls};
    waiter_ = std::thread([this] { OfferWaiting(); });
    auto started = net::HttpServer::Start({endpoint}, *this, server);
    if (!started.ok()) {
      return std::move(started).error().With(
          fmt::format("option 'listen' ({}:{})", options_.host, options_.port));
    }
    server_ = std::move(started).value();
    environment_.Note(fmt::format("listening on {}{}", server_->url(), options_.path));
    return {};
  }

  Status Stop(milliseconds deadline) override {
    {
      MutexLock lock(mutex_);
      is_stopping_ = true;
      changed_.NotifyAll();
    }
    if (waiter_.joinable()) waiter_.join();
    if (server_ != nullptr) server_->Stop(deadline);
    return {};
  }

 private:
  net::BodyPlan PlanBody(const net::HttpRequest& head) override {
    // What is refused is refused without its body.
    if (head.method != "POST" || head.url.path != options_.path || !callers_.Find(head.headers))
      return {.is_streamed = true, .max_bytes = options_.max_body_bytes};
    const std::string length = head.headers.Find("Content-Length").value_or("");
    uint64_t bytes = UINT64_MAX;
    std::from_chars(length.data(), length.data() + length.size(), bytes);
    return {.max_bytes = options_.max_body_bytes,
            .may_block = bytes > kQuickBytes || head.headers.Contains("Content-Encoding")};
  }

  void Serve(net::HttpRequest request, net::Responder responder) override {
    if (auto refusal = Refuse(request)) return responder.Send(std::move(*refusal));
    const auto caller = callers_.Find(request.headers);
    if (!caller) {
      net::HttpResponse response =
          net::ProblemResponse(401, "a token is needed, and this is none that is known");
      response.headers.Set("WWW-Authenticate", "Bearer");
      return responder.Send(std::move(response));
    }
    const std::string accept = request.headers.Joined("Accept");
    auto call =
        std::make_shared<Call>(std::move(responder), accept.find("application/json") != std::string::npos);
    call->tenant = caller->tenant;
    call->bytes = request.body.size();
    if (auto answer = Read(request, *call)) return call->responder.Send(std::move(*answer));
    call->deadline = std::chrono::steady_clock::now() + options_.patience;
    Take(std::move(call));
  }

  // What needs no look at the body.
  std::optional<net::HttpResponse> Refuse(const net::HttpRequest& request) const {
    if (request.url.path != options_.path) {
      return net::ProblemResponse(
          404, fmt::format("there is nothing at '{}'; records go to '{}'", request.url.path, options_.path));
    }
    if (request.method != "POST") {
      net::HttpResponse response =
          net::ProblemResponse(405, fmt::format("records come by POST, not {}", request.method));
      response.headers.Set("Allow", "POST");
      // A prober without the right learns it here.
      if (!callers_.Find(request.headers)) {
        response = net::ProblemResponse(401, "a token is needed, and this is none that is known");
        response.headers.Set("WWW-Authenticate", "Bearer");
      }
      response.headers.Set("Accept-Post", std::string(kAcceptPost));
      return response;
    }
    const std::string type = request.headers.Find("Content-Type").value_or("");
    if (callers_.Find(request.headers) && !IsTaken(type)) {
      net::HttpResponse response = net::ProblemResponse(
          415, fmt::format("'{}' is not a type that records come in; use application/json or "
                           "application/x-ndjson",
                           type));
      response.headers.Set("Accept-Post", std::string(kAcceptPost));
      return response;
    }
    return std::nullopt;
  }

  // Turns the body into rows of `call`; an answer when there is nothing to hand over.
  std::optional<net::HttpResponse> Read(const net::HttpRequest& request, Call& call) {
    pipeline::ParseLimits limits;
    limits.max_record_bytes = static_cast<uint32_t>(std::min<uint64_t>(options_.max_body_bytes, UINT32_MAX));
    auto parsed = pipeline::ParseRecords(request.body, limits);
    if (!parsed.ok()) return net::ProblemResponse(400, parsed.error().ToString());
    if (parsed->positions.empty() && parsed->bad.empty() && net::Trimmed(request.body).empty())
      return net::ProblemResponse(400, "the body is empty; a record is a JSON object");
    auto filled = pipeline::FillUuids(parsed->records);
    if (!filled.ok()) return net::ProblemResponse(500, filled.error().ToString());
    call.records = std::move(filled).value();
    call.positions = std::move(parsed->positions);
    call.bad = std::move(parsed->bad);
    if (!call.bad.empty() && (!call.lists_outcomes || call.positions.empty())) {
      // Who gets no list could not tell which were taken: none are.
      if (call.lists_outcomes) return AnswerOf(call, {});
      std::vector<Answered> all = Merge(call, Outcomes(call.positions.size()));
      return PlainAnswer(all);
    }
    if (auto refusal = CheckTenants(call)) return refusal;
    if (call.positions.empty()) return AnswerOf(call, {});
    return std::nullopt;
  }

  // Takes rows of tenants that may not be here out of the call, or refuses it as a whole when its sender
  // could not tell which were taken.
  std::optional<net::HttpResponse> CheckTenants(Call& call) {
    if (call.tenant.empty() && options_.tenants.empty() && options_.rate <= 0) return std::nullopt;
    std::map<std::string, int64_t, std::less<>> counts;
    std::vector<int32_t> allowed;
    std::vector<int64_t> positions;
    for (int64_t row = 0; row < call.records->num_rows(); ++row) {
      std::string_view tenant = TextAt(*call.records, pipeline::Column::kTenantId, row);
      if (tenant.empty()) tenant = call.tenant;
      const int64_t position = call.positions[static_cast<size_t>(row)];
      std::string why = WhyNot(tenant, call.tenant);
      if (why.empty()) {
        const auto found = counts.find(tenant);
        if (found == counts.end()) counts.emplace(tenant, 1);
        if (found != counts.end()) ++found->second;
        allowed.push_back(static_cast<int32_t>(row));
        positions.push_back(position);
      } else if (call.lists_outcomes) {
        call.forbidden.push_back({position, std::move(why), {}});
      } else {
        return net::ProblemResponse(403, fmt::format("record {}: {}", position, why));
      }
    }
    if (const auto wait = rate_.Take(counts, std::chrono::steady_clock::now()))
      return Later(429, "more records than this tenant may bring in a second", *wait);
    if (call.forbidden.empty()) return std::nullopt;
    auto rows = pipeline::TakeRows(call.records, allowed);
    if (!rows.ok()) return net::ProblemResponse(500, rows.error().ToString());
    call.records = std::move(rows).value();
    call.positions = std::move(positions);
    return std::nullopt;
  }

  // Why a record of `tenant` may not be here; empty when it may.
  std::string WhyNot(std::string_view tenant, std::string_view of_token) const {
    if (!of_token.empty() && tenant != of_token)
      return fmt::format("tenant '{}' is not the one that the token belongs to", tenant);
    const bool is_known = options_.tenants.empty() ||
                          std::binary_search(options_.tenants.begin(), options_.tenants.end(), tenant);
    return is_known ? std::string() : fmt::format("tenant '{}' is not known here", tenant);
  }

  // True when the pipeline has it, or it was answered.
  bool Offer(const std::shared_ptr<Call>& call, milliseconds patience, bool is_last_try) {
    pipeline::Delivery delivery;
    delivery.batch.records = call->records;
    delivery.tenant = call->tenant;
    delivery.done = [call](const Outcomes& outcomes) { call->responder.Send(AnswerOf(*call, outcomes)); };
    std::optional<milliseconds> limited;
    delivery.limited = [&limited](milliseconds wait) { limited = wait; };
    const Status taken = intake_->Offer(std::move(delivery), patience);
    if (taken.ok()) return true;
    if (limited) {
      call->responder.Send(Later(429, taken.error().ToString(), *limited));
      return true;
    }
    if (taken.error().code() == ErrorCode::kResourceExhausted && !is_last_try) return false;
    const int status = taken.error().code() == ErrorCode::kInvalidArgument ? 422 : 503;
    call->responder.Send(Later(status, taken.error().ToString(), std::chrono::seconds(1)));
    return true;
  }

  void Take(std::shared_ptr<Call> call) {
    if (Offer(call, milliseconds(0), false)) return;
    bool is_waiting = false;
    {
      MutexLock lock(mutex_);
      if (!is_stopping_ && waiting_.size() < kMaxWaiting &&
          waiting_bytes_ + call->bytes <= kMaxWaitingBytes) {
        waiting_bytes_ += call->bytes;
        waiting_.push_back(call);
        changed_.NotifyAll();
        is_waiting = true;
      }
    }
    if (!is_waiting)
      call->responder.Send(Later(503, "the pipeline is full; come again", std::chrono::seconds(1)));
  }

  // Of `waiter_`: offers again what found no room.
  void OfferWaiting() {
    while (true) {
      std::shared_ptr<Call> call;
      bool is_over = false;
      {
        MutexLock lock(mutex_);
        changed_.Wait(mutex_,
                      [this]() NO_THREAD_SAFETY_ANALYSIS { return is_stopping_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        call = std::move(waiting_.front());
        waiting_.pop_front();
        waiting_bytes_ -= call->bytes;
        is_over = is_stopping_;
      }
      if (call->responder.is_client_gone()) continue;
      const auto left =
          std::chrono::duration_cast<milliseconds>(call->deadline - std::chrono::steady_clock::now());
      (void)Offer(call, is_over ? milliseconds(0) : std::max(left, milliseconds(0)), true);
    }
  }

  IngestorOptions options_;
  pipeline::Environment& environment_;
  const Callers callers_;
  RateLimit rate_;
  pipeline::Intake* intake_ = nullptr;
  Mutex mutex_;
  CondVar changed_;
  std::deque<std::shared_ptr<Call>> waiting_ GUARDED_BY(mutex_);
  uint64_t waiting_bytes_ GUARDED_BY(mutex_) = 0;
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  std::thread waiter_;
  std::unique_ptr<net::HttpServer> server_;  // last: it calls the others
};

}  // namespace

Status ParseListen(const std::string& listen, IngestorOptions* options) {
  const size_t colon = listen.rfind(':');
  const std::string_view port =
      colon == std::string::npos ? std::string_view() : std::string_view(listen).substr(colon + 1);
  uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (port.empty() || error != std::errc() || end != port.data() + port.size())
    return InvalidArgument("'{}' is no address to listen on, such as 127.0.0.1:5000", listen);
  std::string host = listen.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.empty()) host = "0.0.0.0";
  if (host == "localhost") host = "127.0.0.1";
  options->host = std::move(host);
  options->port = number;
  return {};
}

std::unique_ptr<pipeline::Ingestor> MakeIngestor(IngestorOptions options,
                                                 pipeline::Environment& environment) {
  return std::make_unique<HttpIngestor>(std::move(options), environment);
}

}  // namespace sluice::connectors::http
