#pragma once

#include <chrono>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/http_client.h"

namespace sluice::connectors::sqs {

constexpr size_t kMaxEntries = 10;  // of one call, by the service's rules

struct QueueOptions {
  std::string queue_url;
  net::AwsSigning signing;
  std::chrono::milliseconds timeout{30'000};  // of a call, beside the time that it may wait for messages
};

struct Message {
  std::string id;
  std::string receipt;  // of this one delivery
  std::string body;
  std::string group;  // of a FIFO queue
  int deliveries = 0;
};

// What became of one entry of a call.
struct EntryOutcome {
  bool is_done = false;
  bool is_final = false;  // when not done: it will never be
  std::string reason;
};

struct Outgoing {
  std::string body;
  std::string group;             // FIFO only
  std::string deduplication_id;  // FIFO only
};

// Where the service is and in which region, as far as a queue's URL tells. Errors: kInvalidArgument naming
// it.
struct QueuePlace {
  std::string endpoint;  // `https://sqs.eu-west-1.amazonaws.com/`
  std::string region;    // empty when the host does not say
  bool is_fifo = false;
};
Result<QueuePlace> PlaceOf(const std::string& queue_url);

// One queue of Amazon SQS, or of a server that speaks its JSON protocol. Errors of all calls: kNotFound for
// the queue; kUnauthenticated, kPermissionDenied; kResourceExhausted when throttled; kUnavailable, kTimeout,
// kCancelled; all name the queue. Confined.
class Queue {
 public:
  static Result<std::unique_ptr<Queue>> Make(const QueueOptions& options);

  // Asks for the queue's attributes: shows whether it is there and lets us in.
  Status Check(std::stop_token stop);
  // At most kMaxEntries; waits up to `wait` (whole seconds, at most 20) for the first.
  Result<std::vector<Message>> Receive(std::chrono::seconds wait, std::chrono::seconds visibility,
                                       std::stop_token stop);
  // One outcome for each entry; at most kMaxEntries.
  Result<std::vector<EntryOutcome>> Delete(const std::vector<std::string>& receipts, std::stop_token stop);
  Result<std::vector<EntryOutcome>> ChangeVisibility(const std::vector<std::string>& receipts,
                                                     std::chrono::seconds visibility, std::stop_token stop);
  Result<std::vector<EntryOutcome>> Send(const std::vector<Outgoing>& entries, std::stop_token stop);

 private:
  Queue(QueueOptions options, QueuePlace place, std::unique_ptr<net::HttpClient> client);
  // The answer's text.
  Result<std::string> Call(const std::string& action, std::string body, std::chrono::milliseconds timeout,
                           std::stop_token stop);

  const QueueOptions options_;
  const QueuePlace place_;
  const std::unique_ptr<net::HttpClient> client_;
};

}  // namespace sluice::connectors::sqs
