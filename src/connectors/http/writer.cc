#include "connectors/http/writer.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <latch>
#include <thread>
#include <vector>

#include "base/bounded_queue.h"
#include "connectors/http/answer.h"
#include "net/http_client.h"
#include "net/quote.h"
#include "pipeline/record.h"

namespace sluice::connectors::http {
namespace {

using pipeline::Outcome;
using pipeline::OutcomeKind;
using pipeline::Outcomes;

// Calls of Write at a time: while one waits for its last answers the next one sends.
constexpr int kWrites = 4;
// With one record a POST: records of a Write for each connection.
constexpr int64_t kRowsPerConnection = 32;
constexpr int64_t kRowsOfBatch = 2000;

// The beginning of what a server says, for messages.
std::string Shortened(std::string_view text) {
  constexpr size_t kShown = 200;
  return net::OneLine(net::TextOfMarkup(text), kShown);
}

// Rows [begin, end) of a batch, sent as one body.
struct Job {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t rows() const { return end - begin; }
};

// What a Write shares with the threads that send for it.
struct Sending {
  const arrow::RecordBatch& records;
  const std::vector<Job>& jobs;
  const std::stop_token stop;
  Outcomes& outcomes;  // each job writes its own rows
  std::atomic<size_t> next = 0;
  // Once nobody answers the rest is not tried: it would only wait for as many time limits.
  std::atomic<bool> is_unreachable = false;
};

// A status that says: this record or body never. Others may pass: also a token that was revoked, or a route
// that is gone for now, for which records are not to be thrown away.
bool IsFinal(int status) {
  return status == 400 || status == 406 || status == 413 || status == 415 || status == 422;
}

class HttpWriter final : public pipeline::IngestionWriter {
 public:
  HttpWriter(WriterOptions options, pipeline::Environment& environment)
      : options_(std::move(options)),
        environment_(environment),
        writes_(std::min(options_.connections, kWrites)),
        helpers_(options_.connections - writes_),
        clients_(static_cast<size_t>(writes_)),
        tasks_(static_cast<size_t>(options_.connections)) {}
  ~HttpWriter() override { (void)Close(); }

  Status MakeClients() {
    for (int i = 0; i < options_.connections; ++i) {
      ASSIGN_OR_RETURN(auto client,
                       net::HttpClient::Make({.user_agent = "sluice", .ca_file = options_.ca_file}));
      if (i < writes_) {
        clients_.Push(std::move(client));
      } else {
        helper_clients_.push_back(std::move(client));
      }
    }
    return {};
  }

  Status Open(std::stop_token stop) override {
    for (auto& client : helper_clients_) {
      threads_.emplace_back([this, client = client.get()] {
        while (auto task = tasks_.Pop()) (*task)(*client);
      });
    }
    auto client = clients_.Pop();
    const Status probed = Probe(**client, stop);
    clients_.Push(std::move(*client));
    return probed;
  }

  Result<Outcomes> Write(const pipeline::Batch& batch, std::stop_token stop) override {
    const int64_t rows = batch.rows();
    Outcomes outcomes(static_cast<size_t>(rows), {OutcomeKind::kFailed, "not sent"});
    auto client = clients_.Pop();
    if (!client) return MakeError(ErrorCode::kUnavailable, "the writer of '{}' is closed", options_.url);
    if (options_.batch == 0 && !is_probed_) (void)Probe(**client, stop);
    const std::vector<Job> jobs = Cut(rows);
    Sending sending{*batch.records, jobs, stop, outcomes};
    const auto helpers = static_cast<ptrdiff_t>(
        std::min<size_t>(static_cast<size_t>(helpers_), jobs.size() - (jobs.empty() ? 0 : 1)));
    std::latch done(helpers);
    for (ptrdiff_t i = 0; i < helpers; ++i) {
      const bool is_taken = tasks_.Push([this, &sending, &done](net::HttpClient& helper) {
        Send(sending, helper);
        done.count_down();
      });
      if (!is_taken) done.count_down();
    }
    Send(sending, **client);
    done.wait();
    clients_.Push(std::move(*client));
    const bool none_is_known =
        rows > 0 && std::all_of(outcomes.begin(), outcomes.end(),
                                [](const Outcome& o) { return o.kind == OutcomeKind::kFailed; });
    if (none_is_known) return MakeError(ErrorCode::kUnavailable, "{}", outcomes.front().reason);
    return outcomes;
  }

  int concurrency() const override { return writes_; }
  int64_t preferred_rows() const override {
    if (options_.batch == 1) return kRowsPerConnection * options_.connections;
    return options_.batch == 0 ? kRowsOfBatch : options_.batch * std::max(1, options_.connections / writes_);
  }

  Status Close() override {
    tasks_.Close();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    return {};
  }

 private:
  // Whether the other side answers, knows the token, and takes several records at once. Only a wrong token is
  // an error: who is not there yet may come.
  Status Probe(net::HttpClient& client, const std::stop_token& stop) {
    net::HttpCall call = NewCall("GET");
    call.timeout = std::min<std::chrono::milliseconds>(options_.timeout, std::chrono::seconds(2));
    const auto answer = client.Send(call, stop);
    if (!answer.ok()) {
      const ErrorCode code = answer.error().code();
      if (code == ErrorCode::kPermissionDenied || code == ErrorCode::kInvalidArgument ||
          code == ErrorCode::kUnsupported)
        return Error(answer.error()).With("option 'url'");
      if (!is_absence_told_.exchange(true)) {
        environment_.Note("no answer yet: " + answer.error().ToString());  // which names the URL
      }
      return {};
    }
    is_probed_ = true;
    takes_batches_ = answer->headers.Find("Accept-Post").value_or("").find("ndjson") != std::string::npos;
    if (answer->status != 401 && answer->status != 403) return {};
    return MakeError(answer->status == 401 ? ErrorCode::kUnauthenticated : ErrorCode::kPermissionDenied,
                     "'{}' refuses the option 'token' ({}): {}", options_.url, answer->status,
                     call.headers.Contains("Authorization") ? Shortened(answer->body) : "there is none");
  }

  std::vector<Job> Cut(int64_t rows) const {
    int64_t most = options_.batch;
    if (most == 0) most = takes_batches_ ? rows : 1;
    std::vector<Job> jobs;
    for (int64_t begin = 0; begin < rows; begin += most)
      jobs.push_back({begin, std::min(rows, begin + most)});
    return jobs;
  }

  net::HttpCall NewCall(std::string method) const {
    net::HttpCall call;
    call.method = std::move(method);
    call.url = options_.url;
    call.timeout = options_.timeout;
    call.connect_timeout = options_.timeout;
    for (const auto& [name, value] : options_.headers) call.headers.Set(name, value);
    call.headers.Set("Accept", "application/json");
    return call;
  }

  // Takes jobs until there are no more.
  void Send(Sending& sending, net::HttpClient& client) {
    while (true) {
      const size_t i = sending.next.fetch_add(1);
      if (i >= sending.jobs.size()) return;
      const Job& job = sending.jobs[i];
      if (sending.is_unreachable || sending.stop.stop_requested()) {
        Settle(sending, job, {OutcomeKind::kFailed, fmt::format("'{}' did not answer", options_.url)});
      } else {
        SendJob(sending, job, client);
      }
    }
  }

  void SendJob(Sending& sending, const Job& job, net::HttpClient& client) {
    net::HttpCall call = NewCall("POST");
    for (int64_t row = job.begin; row < job.end; ++row) {
      pipeline::AppendRecord(sending.records, row, {}, &call.body);
      if (job.rows() > 1) call.body += '\n';
    }
    if (job.rows() > 1 && call.body.size() > options_.max_body_bytes) return Halve(sending, job, client);
    call.headers.Set("Content-Type", job.rows() > 1 ? "application/x-ndjson" : "application/json");
    const auto answer = client.Send(call, sending.stop);
    if (!answer.ok()) {
      sending.is_unreachable = true;
      is_probed_ = false;  // another one may come back
      return Settle(sending, job, {OutcomeKind::kFailed, answer.error().ToString()});
    }
    if (auto outcomes = OutcomesFromJson(answer->body, job.rows())) {
      std::move(outcomes->begin(), outcomes->end(), sending.outcomes.begin() + job.begin);
      return;
    }
    if (answer->status / 100 == 2) return Settle(sending, job, {});
    // One record of several may be to blame.
    if (IsFinal(answer->status) && job.rows() > 1) return Halve(sending, job, client);
    std::string reason =
        fmt::format("'{}' answered {}: {}", options_.url, answer->status, Shortened(answer->body));
    Settle(sending, job,
           {IsFinal(answer->status) ? OutcomeKind::kRejected : OutcomeKind::kFailed, std::move(reason)});
  }

  void Halve(Sending& sending, const Job& job, net::HttpClient& client) {
    const int64_t middle = job.begin + job.rows() / 2;
    for (const Job& half : {Job{job.begin, middle}, Job{middle, job.end}}) {
      if (sending.is_unreachable) {
        Settle(sending, half, {OutcomeKind::kFailed, fmt::format("'{}' did not answer", options_.url)});
      } else {
        SendJob(sending, half, client);
      }
    }
  }

  static void Settle(Sending& sending, const Job& job, const Outcome& outcome) {
    std::fill(sending.outcomes.begin() + job.begin, sending.outcomes.begin() + job.end, outcome);
  }

  const WriterOptions options_;
  pipeline::Environment& environment_;
  const int writes_;
  const int helpers_;
  std::atomic<bool> is_probed_ = false;
  std::atomic<bool> takes_batches_ = false;
  std::atomic<bool> is_absence_told_ = false;
  BoundedQueue<std::unique_ptr<net::HttpClient>> clients_;  // of the callers of Write
  std::vector<std::unique_ptr<net::HttpClient>> helper_clients_;
  BoundedQueue<std::function<void(net::HttpClient&)>> tasks_;
  std::vector<std::thread> threads_;
};

}  // namespace

Result<std::unique_ptr<pipeline::IngestionWriter>> MakeWriter(WriterOptions options,
                                                              pipeline::Environment& environment) {
  const bool is_http = options.url.starts_with("http://") || options.url.starts_with("https://");
  if (!is_http || options.url.find_first_of(" \t\r\n") != std::string::npos)
    return InvalidArgument("'{}' is no URL to send records to, such as http://127.0.0.1:5001/ingest",
                           options.url);
  auto writer = std::make_unique<HttpWriter>(std::move(options), environment);
  RETURN_IF_ERROR(writer->MakeClients());
  return std::unique_ptr<pipeline::IngestionWriter>(std::move(writer));
}

}  // namespace sluice::connectors::http
