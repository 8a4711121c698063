#include "gateway/record.h"

#include <random>

#include "base/testing/matchers.h"

namespace sluice::gateway {
namespace {

using multiformats::DatasetId;
using multiformats::Sha3Multihash;

class Dice {
 public:
  explicit Dice(unsigned seed) : random_(seed) {}
  bool Coin() { return random_() % 2 == 0; }
  uint64_t Number() { return (static_cast<uint64_t>(random_()) << 32 | random_()) >> random_() % 64; }
  std::string Text() {
    std::string text(random_() % 20, ' ');
    for (char& c : text) c = static_cast<char>(random_());
    return text;
  }
  Digest Bytes() {
    Digest digest;
    for (auto& byte : digest) byte = static_cast<uint8_t>(random_());
    return digest;
  }
  Instant Time() {
    return {static_cast<int64_t>(Number() >> 20), static_cast<uint32_t>(random_() % 1'000'000'000)};
  }
  State AnyState() { return {Text(), Text()}; }

 private:
  std::mt19937 random_;
};

template <class T>
std::optional<T> Maybe(Dice& dice, T value) {
  return dice.Coin() ? std::optional<T>(std::move(value)) : std::nullopt;
}

QueuedBatch AnyQueued(Dice& dice) {
  QueuedBatch batch;
  batch.dataset = DatasetId::FromSeed("x");
  batch.source = dice.Text();
  batch.activation = dice.Number();
  batch.account = dice.Text();
  batch.nonce = dice.Text();
  batch.received = dice.Time();
  batch.event_time = Maybe(dice, dice.Time());
  batch.format = static_cast<uint8_t>(dice.Number());
  batch.allow_empty = dice.Coin();
  batch.state = Maybe(dice, dice.AnyState());
  batch.expected = Maybe(dice, dice.AnyState());
  batch.key = Maybe(dice, dice.Bytes());
  batch.payload = dice.Bytes();
  return batch;
}

void ExpectSame(const QueuedBatch& a, const QueuedBatch& b) {
  EXPECT_EQ(a.dataset, b.dataset);
  EXPECT_EQ(a.source, b.source);
  EXPECT_EQ(a.activation, b.activation);
  EXPECT_EQ(a.account, b.account);
  EXPECT_EQ(a.nonce, b.nonce);
  EXPECT_EQ(a.received, b.received);
  EXPECT_EQ(a.event_time, b.event_time);
  EXPECT_EQ(a.format, b.format);
  EXPECT_EQ(a.allow_empty, b.allow_empty);
  EXPECT_EQ(a.state, b.state);
  EXPECT_EQ(a.expected, b.expected);
  EXPECT_EQ(a.key, b.key);
  EXPECT_EQ(a.payload, b.payload);
}

OutcomeRecord AnyRecord(Dice& dice) {
  const auto hash = [&] { return Sha3Multihash(dice.Text()); };
  OutcomeRecord record;
  record.kind = static_cast<OutcomeRecord::Kind>(1 + dice.Number() % 5);
  record.dataset = DatasetId::FromSeed("x");
  record.time = dice.Time();
  record.old_head = Maybe(dice, hash());
  record.new_head = Maybe(dice, hash());
  record.sequence = dice.Number();
  record.continues = dice.Coin();
  for (uint64_t i = dice.Number() % 4; i > 0; --i) {
    SettledBatch batch;
    batch.source = dice.Text();
    batch.queue_sequence = dice.Number();
    batch.account = dice.Text();
    batch.nonce = dice.Text();
    batch.key = Maybe(dice, dice.Bytes());
    batch.payload = dice.Bytes();
    auto& outcome = batch.outcome;
    outcome.status = static_cast<Outcome::Status>(1 + dice.Number() % 6);
    outcome.old_head = Maybe(dice, hash());
    outcome.new_head = Maybe(dice, hash());
    outcome.block_hash = Maybe(dice, hash());
    outcome.sequence = Maybe(dice, dice.Number());
    outcome.offsets = Maybe(dice, odf::OffsetInterval{dice.Number(), dice.Number()});
    outcome.received = Maybe(dice, static_cast<int64_t>(dice.Number() >> 1));
    outcome.added = Maybe(dice, static_cast<int64_t>(dice.Number() >> 1));
    outcome.state = Maybe(dice, dice.AnyState());
    outcome.watermark = Maybe(dice, dice.Time());
    outcome.error_code = static_cast<ErrorCode>(dice.Number() % kErrorCodeCount);
    outcome.error_message = dice.Text();
    record.batches.push_back(std::move(batch));
  }
  for (uint64_t i = dice.Number() % 3; i > 0; --i)
    record.successors.emplace_back(dice.Number(), dice.Number());
  for (uint64_t i = dice.Number() % 3; i > 0; --i)
    record.blocks.push_back(multiformats::Sha3Multihash(dice.Text()));
  return record;
}

TEST(RecordTest, QueuedBatchesComeBackAsTheyWere) {
  Dice dice(1);
  for (int i = 0; i < 200; ++i) {
    const auto batch = AnyQueued(dice);
    const std::string body = dice.Text();
    std::string_view found;
    ASSERT_OK_AND_ASSIGN(auto decoded, DecodeQueued(EncodeQueued(batch, body), nullptr));
    ExpectSame(batch, decoded);
    const std::string bytes = EncodeQueued(batch, body);
    ASSERT_OK(DecodeQueued(bytes, &found));
    EXPECT_EQ(found, body);
  }
}

TEST(RecordTest, OutcomesComeBackAsTheyWere) {
  Dice dice(2);
  for (int i = 0; i < 200; ++i) {
    const auto record = AnyRecord(dice);
    const std::string bytes = EncodeOutcomes(record);
    ASSERT_OK_AND_ASSIGN(auto decoded, DecodeOutcomes(static_cast<uint8_t>(record.kind), bytes));
    EXPECT_EQ(decoded.kind, record.kind);
    EXPECT_EQ(decoded.time, record.time);
    EXPECT_EQ(decoded.old_head, record.old_head);
    EXPECT_EQ(decoded.new_head, record.new_head);
    EXPECT_EQ(decoded.sequence, record.sequence);
    EXPECT_EQ(decoded.continues, record.continues);
    EXPECT_EQ(decoded.successors, record.successors);
    EXPECT_EQ(decoded.blocks, record.blocks);
    ASSERT_EQ(decoded.batches.size(), record.batches.size());
    for (size_t b = 0; b < record.batches.size(); ++b) {
      const auto &one = decoded.batches[b], &other = record.batches[b];
      EXPECT_EQ(one.source, other.source);
      EXPECT_EQ(one.queue_sequence, other.queue_sequence);
      EXPECT_EQ(one.nonce, other.nonce);
      EXPECT_EQ(one.account, other.account);
      EXPECT_EQ(one.key, other.key);
      EXPECT_EQ(one.payload, other.payload);
      EXPECT_EQ(one.outcome.status, other.outcome.status);
      EXPECT_EQ(one.outcome.block_hash, other.outcome.block_hash);
      EXPECT_EQ(one.outcome.sequence, other.outcome.sequence);
      EXPECT_EQ(one.outcome.offsets, other.outcome.offsets);
      EXPECT_EQ(one.outcome.received, other.outcome.received);
      EXPECT_EQ(one.outcome.added, other.outcome.added);
      EXPECT_EQ(one.outcome.state, other.outcome.state);
      EXPECT_EQ(one.outcome.watermark, other.outcome.watermark);
      EXPECT_EQ(one.outcome.error_code, other.outcome.error_code);
      EXPECT_EQ(one.outcome.error_message, other.outcome.error_message);
    }
    // The same bytes again: nothing was left out of the comparison above.
    EXPECT_EQ(EncodeOutcomes(decoded), bytes);
  }
}

TEST(RecordTest, CutRecordsAreCorruptAndNeverReadBeyondTheirEnd) {
  Dice dice(3);
  for (int i = 0; i < 20; ++i) {
    const auto batch = AnyQueued(dice);
    const std::string header = EncodeQueued(batch, "");
    for (size_t size = 0; size < header.size(); ++size) {
      const std::string cut = header.substr(0, size);  // of its own size: sanitizers see reads beyond it
      EXPECT_THAT(DecodeQueued(cut, nullptr), IsErrorCode(ErrorCode::kCorruption)) << size;
    }
    const std::string bytes = EncodeOutcomes(AnyRecord(dice));
    for (size_t size = 0; size < bytes.size(); ++size) {
      const std::string cut = bytes.substr(0, size);
      EXPECT_THAT(DecodeOutcomes(1, cut), IsErrorCode(ErrorCode::kCorruption)) << size;
    }
    EXPECT_THAT(DecodeOutcomes(1, bytes + "x"), IsErrorCode(ErrorCode::kCorruption));
  }
}

TEST(RecordTest, DamagedRecordsDoNotCrash) {
  Dice dice(4);
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = i % 2 ? EncodeOutcomes(AnyRecord(dice)) : EncodeQueued(AnyQueued(dice), dice.Text());
    for (int flips = 0; flips < 3; ++flips)
      bytes[dice.Number() % bytes.size()] = static_cast<char>(dice.Number());
    (void)DecodeOutcomes(static_cast<uint8_t>(dice.Number()), bytes).ok();
    std::string_view body;
    if (DecodeQueued(bytes, &body).ok()) {
      EXPECT_LE(body.size(), bytes.size());
    }
  }
}

}  // namespace
}  // namespace sluice::gateway
