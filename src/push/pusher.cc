#include "push/pusher.h"

#include <algorithm>
#include <random>
#include <thread>

#include "base/cancel.h"
#include "push/position.h"

namespace sluice::push {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::string_view kNoState = "*";

// Pauses between tries: they double, are spread by chance, and are not shorter than the other side asks for.
class Backoff {
 public:
  Backoff(const PushOptions& options, std::stop_token stop)
      : options_(options),
        stop_(std::move(stop)),
        random_(std::random_device{}()),
        pause_(options.first_pause) {}

  // Begins a new task.
  void Reset() {
    since_ = Clock::now();
    pause_ = options_.first_pause;
  }

  // Errors: `why` when the time is over; kCancelled.
  Status Pause(const Error& why, std::optional<milliseconds> asked_for, const PushEvents& events) {
    if (Clock::now() - since_ >= options_.retry_for) {
      Error error = why;
      return std::move(error).With(
          fmt::format("gave up after {} s",
                      std::chrono::duration_cast<std::chrono::seconds>(options_.retry_for).count()));
    }
    std::uniform_int_distribution<int64_t> spread(pause_.count() / 2, pause_.count());
    const milliseconds pause = std::max(milliseconds(spread(random_)), asked_for.value_or(milliseconds(0)));
    pause_ = std::min(pause_ * 2, options_.longest_pause);
    if (events.on_retry) events.on_retry(why, pause);
    const auto until = Clock::now() + pause;
    while (Clock::now() < until) {
      RETURN_IF_ERROR(CheckCancelled(stop_));
      std::this_thread::sleep_for(std::min<Clock::duration>(milliseconds(50), until - Clock::now()));
    }
    return {};
  }

 private:
  const PushOptions& options_;
  const std::stop_token stop_;
  std::mt19937_64 random_;
  milliseconds pause_;
  Clock::time_point since_ = Clock::now();
};

Error AskPerson(std::string what) {
  return MakeError(
      ErrorCode::kPrecondition,
      "{}; nothing more was pushed. Give the input it stands in, or --new to push these inputs from "
      "their beginning",
      what);
}

class Loop {
 public:
  Loop(Target& target, const SourceInfo& source, Input& input, const PushOptions& options,
       const PushEvents& events, std::stop_token stop)
      : target_(target),
        source_(source),
        input_(input),
        options_(options),
        events_(events),
        stop_(stop),
        backoff_(options, stop) {}

  Result<PushReport> Run() {
    if (options_.take_as_new) {
      RETURN_IF_ERROR(CheckKind(source_.accepted));
      RETURN_IF_ERROR(input_.Seek(std::nullopt));
      if (source_.accepted) state_ = source_.accepted->value;
    } else {
      RETURN_IF_ERROR(GoTo(source_.accepted));
    }
    while (true) {
      ASSIGN_OR_RETURN(const Batch batch, input_.Next());
      if (batch.rows == 0) return report_;
      auto status = Push(batch);
      if (!status.ok()) return std::move(status).error();
    }
  }

 private:
  // A state of another kind can be followed by nobody but who wrote it.
  Status CheckKind(const std::optional<State>& state) const {
    if (!state || state->kind == kPositionKind) return {};
    return MakeError(
        ErrorCode::kPrecondition,
        "source '{}' has a state of kind '{}', which another client has written; let that one go on, push "
        "to a source of your own, or disable the source and add it again",
        source_.name, state->kind);
  }

  // Places the input behind `state`.
  Status GoTo(const std::optional<State>& state) {
    RETURN_IF_ERROR(CheckKind(state));
    const std::optional<std::string> position = state ? std::optional(state->value) : std::nullopt;
    if (const Status sought = input_.Seek(position); !sought.ok()) {
      if (sought.error().code() != ErrorCode::kPrecondition) return sought.error();
      return AskPerson(fmt::format("source '{}': {}", source_.name, sought.error().message()));
    }
    position_ = position;
    state_ = position.value_or(std::string(kNoState));
    return {};
  }

  // What is pushed anew may end just where the source is: the states have to differ (push-protocol.md 3), so
  // that the name in it, which is a hint, is marked.
  std::string NextState(const Batch& batch) const {
    if (batch.position != state_) return batch.position;
    auto position = ParsePosition(batch.position);
    if (!position.ok()) return batch.position;
    position->name += '~';
    return FormatPosition(*position);
  }

  Status Push(const Batch& batch) {
    backoff_.Reset();
    const std::string next = NextState(batch);
    while (true) {
      RETURN_IF_ERROR(CheckCancelled(stop_));
      const PushReply reply = target_.Push({batch.body, state_, next});
      switch (reply.kind) {
        case PushReply::Kind::kTaken:
        case PushReply::Kind::kDuplicate:
          state_ = next;
          position_ = next;
          Count(batch, reply);
          return {};
        case PushReply::Kind::kBehind:
          return FollowState(reply);
        case PushReply::Kind::kTooLarge:
          return GoSmaller(reply);
        case PushReply::Kind::kRefused: {
          Error error = reply.error;
          return std::move(error).With(
              fmt::format("'{}', {} record(s) before {}", batch.origin, batch.rows, PlaceOf(batch.position)));
        }
        case PushReply::Kind::kLater:
          ++report_.retries;
          RETURN_IF_ERROR(backoff_.Pause(reply.error, reply.retry_after, events_));
      }
    }
  }

  static std::string PlaceOf(const std::string& position) {
    const auto parsed = ParsePosition(position);
    return parsed.ok() ? fmt::format("byte {}", parsed->offset) : position;
  }

  void Count(const Batch& batch, const PushReply& reply) {
    ++report_.batches;
    report_.rows += batch.rows;
    report_.bytes += batch.bytes;
    report_.added += reply.added;
    report_.duplicates += reply.kind == PushReply::Kind::kDuplicate ? 1 : 0;
    if (events_.on_batch) events_.on_batch(report_);
  }

  // Somebody else has moved the source: go where it is, if that is in our input.
  Status FollowState(const PushReply& reply) {
    if (!reply.accepted && state_ != kNoState) {
      return AskPerson(
          fmt::format("source '{}' has lost its state: it was disabled and added again, or the dataset was "
                      "reset",
                      source_.name));
    }
    return GoTo(reply.accepted);
  }

  Status GoSmaller(const PushReply& reply) {
    if (!input_.Shrink()) return reply.error;
    return input_.Seek(position_);
  }

  Target& target_;
  const SourceInfo& source_;
  Input& input_;
  const PushOptions& options_;
  const PushEvents& events_;
  const std::stop_token stop_;
  Backoff backoff_;
  std::string state_{kNoState};
  std::optional<std::string> position_;  // of the input; not state_ where that is another client's
  PushReport report_;
};

}  // namespace

Result<SourceInfo> DescribeSource(Target& target, const PushOptions& options, const PushEvents& events,
                                  std::stop_token stop) {
  Backoff backoff(options, stop);
  while (true) {
    auto info = target.Describe();
    if (info.ok() || !IsRetryable(info.error().code())) return info;
    RETURN_IF_ERROR(CheckCancelled(stop));
    RETURN_IF_ERROR(backoff.Pause(info.error(), std::nullopt, events));
  }
}

Result<PushReport> PushAll(Target& target, const SourceInfo& source, Input& input, const PushOptions& options,
                           const PushEvents& events, std::stop_token stop) {
  return Loop(target, source, input, options, events, std::move(stop)).Run();
}

}  // namespace sluice::push
