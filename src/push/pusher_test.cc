#include "push/pusher.h"

#include <fstream>
#include <random>

#include "base/testing/matchers.h"
#include "push/position.h"
#include "storage/testing/temp_folder.h"

namespace sluice::push {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

// A source as push-protocol.md 3 has it, in memory, which may answer badly.
class FakeTarget final : public Target {
 public:
  Result<SourceInfo> Describe() override {
    if (failures > 0) {
      --failures;
      return Error(ErrorCode::kUnavailable, "starting");
    }
    return SourceInfo{.name = "s", .format = "NdJson", .accepted = state};
  }

  PushReply Push(const PushCall& call) override {
    ++calls;
    PushReply reply;
    if (before) {
      if (auto answer = before(call)) return *answer;
    }
    if (state && state->value == call.next_state) {
      reply.kind = PushReply::Kind::kDuplicate;
    } else if (call.if_state == (state ? state->value : "*")) {
      taken.emplace_back(call.body);
      state = State{kPositionKind, call.next_state};
      reply.kind = PushReply::Kind::kTaken;
      reply.added = static_cast<uint64_t>(std::ranges::count(call.body, '\n'));
    } else {
      reply.kind = PushReply::Kind::kBehind;
      reply.accepted = state;
      reply.error = Error(ErrorCode::kPrecondition, "behind");
    }
    if (after && after()) {
      return {.kind = PushReply::Kind::kLater,
              .error = Error(ErrorCode::kUnavailable, "the answer was lost")};
    }
    return reply;
  }
  std::string All() const {
    std::string all;
    for (const std::string& body : taken) all += body;
    return all;
  }

  std::optional<State> state;
  std::vector<std::string> taken;
  std::function<std::optional<PushReply>(const PushCall&)> before;
  std::function<bool()> after;  // true: the answer does not arrive
  int failures = 0, calls = 0;
};

class PusherTest : public testing::Test {
 protected:
  void Write(const std::string& text) { std::ofstream(folder_ / "a") << text; }
  Result<PushReport> Push() {
    auto input = Input::Open({folder_ / "a"}, input_options_, {});
    EXPECT_THAT(input, IsOk());
    ASSIGN_OR_RETURN(const SourceInfo source, DescribeSource(target_, options_, events_, {}));
    return PushAll(target_, source, **input, options_, events_, stop_.get_token());
  }

  storage::TempFolder folder_;
  InputOptions input_options_{.max_rows = 2};
  PushOptions options_{
      .retry_for = milliseconds(2000), .first_pause = milliseconds(1), .longest_pause = milliseconds(2)};
  PushEvents events_;
  std::stop_source stop_;
  FakeTarget target_;
};

TEST_F(PusherTest, PushesOnce) {
  Write("1\n2\n3\n");
  ASSERT_OK_AND_ASSIGN(PushReport report, Push());
  EXPECT_THAT(target_.taken, ElementsAre("1\n2\n", "3\n"));
  EXPECT_EQ(report.rows, 3u);
  EXPECT_EQ(report.batches, 2u);
  EXPECT_EQ(report.added, 3u);
  ASSERT_OK_AND_ASSIGN(report, Push());
  EXPECT_EQ(report.rows, 0u);
  EXPECT_EQ(target_.calls, 2);
  Write("1\n2\n3\n4\n");
  ASSERT_OK_AND_ASSIGN(report, Push());
  EXPECT_EQ(target_.All(), "1\n2\n3\n4\n");
}

TEST_F(PusherTest, SurvivesLostCallsAndLostAnswers) {
  std::mt19937 random(1);
  target_.before = [&](const PushCall&) -> std::optional<PushReply> {
    if (random() % 3 != 0) return std::nullopt;
    return PushReply{.kind = PushReply::Kind::kLater, .error = Error(ErrorCode::kUnavailable, "lost")};
  };
  target_.after = [&] { return random() % 3 == 0; };
  std::string text;
  for (int i = 0; i < 200; ++i) text += std::to_string(i) + "\n";
  Write(text);
  ASSERT_OK_AND_ASSIGN(const PushReport report, Push());
  EXPECT_EQ(target_.All(), text);
  EXPECT_EQ(report.rows, 200u);
  EXPECT_GT(report.duplicates, 0u);
  EXPECT_GT(report.retries, 0u);
}

TEST_F(PusherTest, SurvivesItsOwnEndAtEveryCall) {
  std::string text;
  for (int i = 0; i < 20; ++i) text += std::to_string(i) + "\n";
  Write(text);
  // Ended before, or after, the n-th call was taken.
  for (int i = 0; i < 40; ++i) {
    const int at = target_.calls + 1 + i % 2;
    stop_ = std::stop_source();
    target_.before = [&](const PushCall&) -> std::optional<PushReply> {
      if (target_.calls < at || i % 3 != 0) return std::nullopt;
      stop_.request_stop();
      return PushReply{.kind = PushReply::Kind::kLater, .error = Error(ErrorCode::kUnavailable, "cut")};
    };
    target_.after = [&] {
      if (target_.calls < at) return false;
      stop_.request_stop();
      return true;
    };
    (void)Push().ok();
  }
  stop_ = std::stop_source();
  target_.before = nullptr;
  target_.after = nullptr;
  EXPECT_THAT(Push(), IsOk());
  EXPECT_EQ(target_.All(), text);
}

TEST_F(PusherTest, MakesSmallerBatchesWhenAsked) {
  input_options_.max_rows = 100;
  target_.before = [](const PushCall& call) -> std::optional<PushReply> {
    if (call.body.size() <= 4) return std::nullopt;
    return PushReply{.kind = PushReply::Kind::kTooLarge, .error = Error(ErrorCode::kTooLarge, "too large")};
  };
  Write("1\n2\n3\n4\n5\n6\n7\n");
  EXPECT_THAT(Push(), IsOk());
  EXPECT_EQ(target_.All(), "1\n2\n3\n4\n5\n6\n7\n");
  Write("1\n2\n3\n4\n5\n6\n7\n12345678\n");
  EXPECT_THAT(Push(), IsErrorCode(ErrorCode::kTooLarge)) << "one record is as small as it gets";
}

TEST_F(PusherTest, WaitsForTheTargetAndGivesUpInTheEnd) {
  Write("1\n");
  target_.failures = 3;
  int waits = 0;
  events_.on_retry = [&](const Error&, milliseconds) { ++waits; };
  EXPECT_THAT(Push(), IsOk());
  EXPECT_EQ(waits, 3);
  Write("1\n2\n");
  options_.retry_for = milliseconds(20);
  target_.before = [](const PushCall&) {
    return PushReply{.kind = PushReply::Kind::kLater, .error = Error(ErrorCode::kUnavailable, "down")};
  };
  EXPECT_THAT(Push(), IsError(ErrorCode::kUnavailable, HasSubstr("down")));
}

TEST_F(PusherTest, HonoursRetryAfter) {
  Write("1\n");
  std::vector<milliseconds> pauses;
  events_.on_retry = [&](const Error&, milliseconds pause) { pauses.push_back(pause); };
  target_.before = [&](const PushCall&) -> std::optional<PushReply> {
    if (!pauses.empty()) return std::nullopt;
    return PushReply{.kind = PushReply::Kind::kLater,
                     .retry_after = milliseconds(60),
                     .error = Error(ErrorCode::kUnavailable, "busy")};
  };
  EXPECT_THAT(Push(), IsOk());
  EXPECT_THAT(pauses, ElementsAre(milliseconds(60)));
}

TEST_F(PusherTest, GoesWhereAnotherClientOfTheSameInputIs) {
  Write("1\n2\n3\n4\n5\n");
  bool is_first = true;
  target_.before = [&](const PushCall& call) -> std::optional<PushReply> {
    if (!std::exchange(is_first, false)) return std::nullopt;
    // The other one takes the same batch first, and one more.
    auto input = Input::Open({folder_ / "a"}, input_options_, {});
    EXPECT_THAT((*input)->Seek(std::nullopt), IsOk());
    for (int i = 0; i < 2; ++i) {
      const Batch batch = (*input)->Next().value();
      target_.taken.push_back(batch.body);
      target_.state = State{kPositionKind, batch.position};
    }
    return std::nullopt;
  };
  EXPECT_THAT(Push(), IsOk());
  EXPECT_EQ(target_.All(), "1\n2\n3\n4\n5\n");
}

TEST_F(PusherTest, StopsWhereAPersonMustDecide) {
  Write("1\n2\n3\n");
  target_.state = State{"sluice/token", "theirs"};
  for (const bool is_new : {true, false}) {
    options_.take_as_new = is_new;
    EXPECT_THAT(Push(), IsError(ErrorCode::kPrecondition, HasSubstr("another client has written")));
  }
  target_.state = State{kPositionKind, FormatPosition({.offset = 2,
                                                       .head_bytes = 2,
                                                       .head = WindowDigest("9\n"),
                                                       .tail = WindowDigest("9\n"),
                                                       .name = "b"})};
  EXPECT_THAT(Push(), IsError(ErrorCode::kPrecondition, HasSubstr("byte 2 of 'b'")));
  EXPECT_TRUE(target_.taken.empty());
  options_.take_as_new = true;
  EXPECT_THAT(Push(), IsOk());
  EXPECT_EQ(target_.All(), "1\n2\n3\n");
  options_.take_as_new = false;
  Write("1\n2\n3\n4\n5\n6\n");
  target_.before = [&](const PushCall&) -> std::optional<PushReply> {
    target_.state.reset();  // added again
    return std::nullopt;
  };
  EXPECT_THAT(Push(), IsError(ErrorCode::kPrecondition, HasSubstr("lost its state")));
}

TEST_F(PusherTest, NamesTheRefusedBatch) {
  Write("1\n2\n3\n");
  target_.before = [&](const PushCall& call) -> std::optional<PushReply> {
    if (call.body != "3\n") return std::nullopt;
    return PushReply{.kind = PushReply::Kind::kRefused,
                     .error = Error(ErrorCode::kInvalidRecords, "record 1: bad")};
  };
  auto report = Push();
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code(), ErrorCode::kInvalidRecords);
  EXPECT_THAT(report.error().ToString(),
              testing::AllOf(HasSubstr("1 record(s) before byte 6"), HasSubstr("record 1: bad")));
}

}  // namespace
}  // namespace sluice::push
