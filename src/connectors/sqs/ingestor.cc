#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/cancel.h"
#include "connectors/sqs/messages.h"
#include "connectors/sqs/sqs_internal.h"
#include "pipeline/environment.h"

namespace sluice::connectors::sqs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr milliseconds kLinger{10};  // for a call's worth of acknowledgements
constexpr milliseconds kPatience{500};
constexpr milliseconds kFirstPause{200};
constexpr milliseconds kLongestPause{30'000};
constexpr seconds kFarewell{10};  // for the last acknowledgements

// Receipts whose outcome is not known yet, those to delete, and those to give back. Thread-safe.
class Ledger {
 public:
  void Hold(std::span<const Message> messages, steady_clock::time_point until) {
    const std::lock_guard lock(mutex_);
    for (const Message& message : messages) held_[message.receipt] = until;
  }

  void Settle(std::span<const Message> messages, const std::vector<bool>& settled) {
    {
      const std::lock_guard lock(mutex_);
      for (size_t i = 0; i < messages.size(); ++i) {
        held_.erase(messages[i].receipt);
        (settled[i] ? done_ : failed_).push_back(messages[i].receipt);
      }
    }
    changed_.notify_all();
  }

  // Waits for a full call, or a little for a part of one. Empty when stopped. `*are_done` says which kind it
  // is.
  std::vector<std::string> Take(bool* are_done, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    std::vector<std::string> taken;
    while (!stop.stop_requested()) {
      changed_.wait(lock, stop, [&] { return !done_.empty() || !failed_.empty(); });
      if (done_.size() < kMaxEntries && failed_.empty() && !is_closing_)
        changed_.wait_for(lock, stop, kLinger, [&] { return done_.size() >= kMaxEntries; });
      auto& list = done_.empty() ? failed_ : done_;
      *are_done = !done_.empty();
      while (!list.empty() && taken.size() < kMaxEntries) {
        taken.push_back(std::move(list.front()));
        list.pop_front();
      }
      if (!taken.empty()) break;  // else another one was faster
    }
    at_work_ += taken.size();
    return taken;
  }
  // Ends a Take of `count`; `again` of them are for another.
  void Finished(size_t count, std::vector<std::string> again, bool are_done) {
    {
      const std::lock_guard lock(mutex_);
      at_work_ -= count;
      for (std::string& receipt : again) (are_done ? done_ : failed_).push_back(std::move(receipt));
    }
    changed_.notify_all();
  }

  // Of those held, a call's worth whose time is up at `by`; they get until `next`.
  std::vector<std::string> TakeAging(steady_clock::time_point by, steady_clock::time_point next) {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> aging;
    for (auto& [receipt, until] : held_) {
      if (until > by) continue;
      until = next;
      aging.push_back(receipt);
      if (aging.size() == kMaxEntries) break;
    }
    return aging;
  }

  bool WaitUntilNothingIsHeld(steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, deadline, [&] { return held_.empty(); });
  }
  bool WaitUntilAllIsTold(steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    is_closing_ = true;
    changed_.notify_all();
    return changed_.wait_until(lock, deadline,
                               [&] { return done_.empty() && failed_.empty() && at_work_ == 0; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::unordered_map<std::string, steady_clock::time_point> held_;  // until when they are ours
  std::deque<std::string> done_;
  std::deque<std::string> failed_;
  size_t at_work_ = 0;
  bool is_closing_ = false;
};

// Sleeps, doubling; ends at once when asked to stop.
class Pause {
 public:
  void Reset() { length_ = kFirstPause; }
  void Sleep(const std::stop_token& stop) {
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any never;
    never.wait_for(lock, stop, length_, [] { return false; });
    length_ = std::min(length_ * 2, kLongestPause);
  }

 private:
  milliseconds length_ = kFirstPause;
};

class SqsIngestor final : public pipeline::Ingestor {
 public:
  SqsIngestor(IngestorOptions options, pipeline::Environment& environment)
      : options_(std::move(options)), environment_(environment), ledger_(std::make_shared<Ledger>()) {}
  ~SqsIngestor() override { static_cast<void>(Stop(milliseconds(0))); }

  Status Start(pipeline::Intake& intake, const pipeline::Places&) override {
    ASSIGN_OR_RETURN(auto first, Queue::Make(options_.queue));
    RETURN_IF_ERROR(first->Check(environment_.stop()));
    for (int i = 0; i < options_.receivers; ++i) {
      ASSIGN_OR_RETURN(auto receiving, Queue::Make(options_.queue));
      ASSIGN_OR_RETURN(auto telling, Queue::Make(options_.queue));
      receivers_.emplace_back([this, &intake, queue = std::shared_ptr<Queue>(std::move(receiving))](
                                  const std::stop_token& stop) { Receive(*queue, intake, stop); });
      tellers_.emplace_back([this, queue = std::shared_ptr<Queue>(std::move(telling))](
                                const std::stop_token& stop) { Tell(*queue, stop); });
    }
    keeper_ = std::jthread([this, queue = std::shared_ptr<Queue>(std::move(first))](
                               const std::stop_token& stop) { Keep(*queue, stop); });
    return {};
  }

  Status Stop(milliseconds deadline) override {
    if (receivers_.empty()) return {};
    const auto until = steady_clock::now() + deadline;
    for (auto& thread : receivers_) thread.request_stop();
    receivers_.clear();  // joins
    const bool all_known = ledger_->WaitUntilNothingIsHeld(until);
    const auto last = std::max(until, steady_clock::now() + (deadline.count() > 0 ? kFarewell : seconds(0)));
    const bool all_told = ledger_->WaitUntilAllIsTold(last);
    for (auto& thread : tellers_) thread.request_stop();
    tellers_.clear();
    keeper_.request_stop();
    keeper_ = {};
    if (all_known && all_told) return {};
    return MakeError(ErrorCode::kTimeout, "queue '{}': {}", options_.queue.queue_url,
                     all_known ? "not every message could be deleted; the queue will deliver them again"
                               : "messages without an outcome stay in the queue");
  }

  Status health() const override {
    const std::lock_guard lock(mutex_);
    return health_;
  }

 private:
  void Receive(Queue& queue, pipeline::Intake& intake, const std::stop_token& stop) {
    Pause pause;
    while (!stop.stop_requested()) {
      const auto until = steady_clock::now() + options_.visibility;
      auto messages = queue.Receive(options_.wait, options_.visibility, stop);
      if (!messages.ok()) {
        if (stop.stop_requested()) return;
        SetHealth(std::move(messages).error());
        pause.Sleep(stop);
        continue;
      }
      pause.Reset();
      SetHealth({});
      if (!messages->empty()) Deliver(*std::move(messages), until, intake, stop);
    }
  }

  void Deliver(std::vector<Message> given, steady_clock::time_point until, pipeline::Intake& intake,
               const std::stop_token& stop) {
    const auto messages = std::make_shared<const std::vector<Message>>(std::move(given));
    ledger_->Hold(*messages, until);
    auto unpacked = Unpack(*messages);
    if (!unpacked.ok()) {
      SetHealth(std::move(unpacked).error());
      ledger_->Settle(*messages, std::vector<bool>(messages->size(), false));
      return;
    }
    unpacked->delivery.done = [ledger = ledger_, messages, message_of = std::move(unpacked->message_of)](
                                  const pipeline::Outcomes& outcomes) {
      ledger->Settle(*messages, SettledMessages(*messages, message_of, outcomes));
    };
    Pause pause;
    while (!stop.stop_requested()) {
      const Status offered = intake.Offer(unpacked->delivery, kPatience);
      if (offered.ok()) return;
      if (offered.error().code() == ErrorCode::kResourceExhausted) continue;  // it has waited
      pause.Sleep(stop);
    }
    // Nobody has seen them.
    ledger_->Settle(*messages, std::vector<bool>(messages->size(), false));
  }

  // Deletes what has been dealt with and gives back what has not.
  void Tell(Queue& queue, const std::stop_token& stop) {
    Pause pause;
    while (!stop.stop_requested()) {
      bool are_done = false;
      auto receipts = ledger_->Take(&are_done, stop);
      if (receipts.empty()) return;
      auto told = are_done ? queue.Delete(receipts, stop)
                           : queue.ChangeVisibility(receipts, options_.retry_after, stop);
      std::vector<std::string> again;
      if (!told.ok() && IsPassing(told.error())) {
        again = receipts;
      } else if (told.ok()) {
        // What fails for good is no longer ours: another delivery of the message is on its way.
        for (size_t i = 0; i < receipts.size(); ++i) {
          if (!(*told)[i].is_done && !(*told)[i].is_final) again.push_back(receipts[i]);
        }
      }
      const size_t taken = receipts.size();
      const bool waits = !again.empty();
      ledger_->Finished(taken, std::move(again), are_done);
      if (!told.ok()) SetHealth(std::move(told).error());
      if (waits) {
        pause.Sleep(stop);
      } else {
        pause.Reset();
      }
    }
  }

  // Keeps what is being worked on from being delivered to somebody else.
  void Keep(Queue& queue, const std::stop_token& stop) {
    const milliseconds step = std::max(milliseconds(options_.visibility) / 4, milliseconds(250));
    std::mutex mutex;
    std::condition_variable_any never;
    while (!stop.stop_requested()) {
      {
        std::unique_lock lock(mutex);
        never.wait_for(lock, stop, step, [] { return false; });
      }
      while (!stop.stop_requested()) {
        const auto now = steady_clock::now();
        const auto aging = ledger_->TakeAging(now + options_.visibility / 2, now + options_.visibility);
        if (aging.empty()) break;
        const auto kept = queue.ChangeVisibility(aging, options_.visibility, stop);
        if (!kept.ok() && !stop.stop_requested()) {
          SetHealth(kept.error());
          break;
        }
      }
    }
  }

  static bool IsPassing(const Error& error) {
    return error.code() != ErrorCode::kNotFound && error.code() != ErrorCode::kInvalidArgument;
  }

  void SetHealth(Status status) {
    const std::lock_guard lock(mutex_);
    const bool is_new = !status.ok() && health_.ok();
    if (is_new) environment_.Note("sqs: " + status.error().ToString());
    health_ = std::move(status);
  }

  const IngestorOptions options_;
  pipeline::Environment& environment_;
  const std::shared_ptr<Ledger> ledger_;
  mutable std::mutex mutex_;
  Status health_;
  std::vector<std::jthread> receivers_;
  std::vector<std::jthread> tellers_;
  std::jthread keeper_;
};

}  // namespace

std::unique_ptr<pipeline::Ingestor> MakeIngestor(IngestorOptions options,
                                                 pipeline::Environment& environment) {
  return std::make_unique<SqsIngestor>(std::move(options), environment);
}

}  // namespace sluice::connectors::sqs
