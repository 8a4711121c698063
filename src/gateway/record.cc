#include "gateway/record.h"

#include "gateway/bytes_internal.h"

namespace sluice::gateway {
namespace {

void PutState(ByteWriter& out, const std::optional<State>& state) {
  out.Number(static_cast<uint8_t>(state.has_value()));
  if (!state) return;
  out.Text(state->kind);
  out.Text(state->value);
}

std::optional<State> GetState(ByteReader& in) {
  if (in.Number<uint8_t>() == 0) return std::nullopt;
  State state;
  state.kind = in.Text();
  state.value = in.Text();
  return state;
}

void PutInstant(ByteWriter& out, const std::optional<Instant>& instant) {
  out.Number(static_cast<uint8_t>(instant.has_value()));
  if (!instant) return;
  out.Number(instant->seconds);
  out.Number(instant->nanoseconds);
}

std::optional<Instant> GetInstant(ByteReader& in) {
  if (in.Number<uint8_t>() == 0) return std::nullopt;
  Instant instant;
  instant.seconds = in.Number<int64_t>();
  instant.nanoseconds = in.Number<uint32_t>();
  return instant;
}

// Of an outcome record; those of a log that was written before there were blocks have none.
constexpr uint8_t kContinues = 1;
constexpr uint8_t kHasBlocks = 2;

void PutHash(ByteWriter& out, const std::optional<multiformats::Multihash>& hash) {
  out.Number(hash ? static_cast<uint32_t>(hash->code()) : uint32_t{0});
  if (hash) out.Raw(hash->digest().data(), hash->digest().size());
}

std::optional<multiformats::Multihash> GetHash(ByteReader& in) {
  const auto code = in.Number<uint32_t>();
  if (code == 0) return std::nullopt;
  multiformats::Multihash::Digest digest;
  in.Raw(digest.data(), digest.size());
  return multiformats::Multihash(static_cast<multiformats::HashCode>(code), digest);
}

void PutDigest(ByteWriter& out, const std::optional<Digest>& digest) {
  out.Number(static_cast<uint8_t>(digest.has_value()));
  if (digest) out.Raw(digest->data(), digest->size());
}

std::optional<Digest> GetDigest(ByteReader& in) {
  if (in.Number<uint8_t>() == 0) return std::nullopt;
  Digest digest;
  in.Raw(digest.data(), digest.size());
  return digest;
}

template <class T>
void PutOptional(ByteWriter& out, const std::optional<T>& value) {
  out.Number(static_cast<uint8_t>(value.has_value()));
  if (value) out.Number(*value);
}

template <class T>
std::optional<T> GetOptional(ByteReader& in) {
  if (in.Number<uint8_t>() == 0) return std::nullopt;
  return in.Number<T>();
}

void PutId(ByteWriter& out, const multiformats::DatasetId& id) {
  out.Raw(id.public_key().data(), id.public_key().size());
}

multiformats::DatasetId GetId(ByteReader& in) {
  multiformats::DatasetId::Key key;
  in.Raw(key.data(), key.size());
  return multiformats::DatasetId(key);
}

void PutOutcome(ByteWriter& out, const Outcome& outcome) {
  out.Number(static_cast<uint8_t>(outcome.status));
  PutHash(out, outcome.old_head);
  PutHash(out, outcome.new_head);
  PutHash(out, outcome.block_hash);
  PutOptional(out, outcome.sequence);
  PutOptional(out, outcome.offsets);
  PutOptional(out, outcome.received);
  PutOptional(out, outcome.added);
  PutState(out, outcome.state);
  PutInstant(out, outcome.watermark);
  out.Number(static_cast<uint8_t>(outcome.error_code));
  out.Text(outcome.error_message);
}

Outcome GetOutcome(ByteReader& in) {
  Outcome outcome;
  outcome.status = static_cast<Outcome::Status>(in.Number<uint8_t>());
  outcome.old_head = GetHash(in);
  outcome.new_head = GetHash(in);
  outcome.block_hash = GetHash(in);
  outcome.sequence = GetOptional<uint64_t>(in);
  outcome.offsets = GetOptional<odf::OffsetInterval>(in);
  outcome.received = GetOptional<int64_t>(in);
  outcome.added = GetOptional<int64_t>(in);
  outcome.state = GetState(in);
  outcome.watermark = GetInstant(in);
  outcome.error_code = static_cast<ErrorCode>(in.Number<uint8_t>());
  outcome.error_message = in.Text();
  return outcome;
}

}  // namespace

std::string_view NameOf(Outcome::Status status) {
  switch (status) {
    case Outcome::Status::kQueued:
      return "queued";
    case Outcome::Status::kCommitted:
      return "committed";
    case Outcome::Status::kUpToDate:
      return "up-to-date";
    case Outcome::Status::kFailed:
      return "failed";
    case Outcome::Status::kDropped:
      return "dropped";
    case Outcome::Status::kWithdrawn:
      return "withdrawn";
  }
  return "unknown";
}

std::string_view NameOf(const Outcome& outcome) {
  return outcome.duplicate ? "duplicate" : NameOf(outcome.status);
}

std::string EncodeQueued(const QueuedBatch& batch, std::string_view body) {
  ByteWriter out;
  PutId(out, batch.dataset);
  out.Text(batch.source);
  out.Number(batch.activation);
  out.Text(batch.account);
  out.Text(batch.nonce);
  PutInstant(out, batch.received);
  PutInstant(out, batch.event_time);
  out.Number(batch.format);
  out.Number(static_cast<uint8_t>(batch.allow_empty));
  PutState(out, batch.state);
  PutState(out, batch.expected);
  PutDigest(out, batch.key);
  out.Raw(batch.payload.data(), batch.payload.size());
  out.Raw(body.data(), body.size());
  return out.Take();
}

Result<QueuedBatch> DecodeQueued(std::string_view bytes, std::string_view* body) {
  ByteReader in(bytes);
  QueuedBatch batch;
  batch.dataset = GetId(in);
  batch.source = in.Text();
  batch.activation = in.Number<uint64_t>();
  batch.account = in.Text();
  batch.nonce = in.Text();
  batch.received = GetInstant(in).value_or(Instant{});
  batch.event_time = GetInstant(in);
  batch.format = in.Number<uint8_t>();
  batch.allow_empty = in.Number<uint8_t>() != 0;
  batch.state = GetState(in);
  batch.expected = GetState(in);
  batch.key = GetDigest(in);
  in.Raw(batch.payload.data(), batch.payload.size());
  if (!in.ok()) return Corruption("a queued batch of {} bytes has no whole header", bytes.size());
  if (body) *body = in.rest();
  return batch;
}

std::string EncodeOutcomes(const OutcomeRecord& record) {
  ByteWriter out;
  PutId(out, record.dataset);
  PutInstant(out, record.time);
  PutHash(out, record.old_head);
  PutHash(out, record.new_head);
  out.Number(record.sequence);
  out.Number(
      static_cast<uint8_t>((record.continues ? kContinues : 0) | (record.blocks.empty() ? 0 : kHasBlocks)));
  out.Number(static_cast<uint32_t>(record.batches.size()));
  for (const auto& batch : record.batches) {
    out.Text(batch.source);
    out.Number(batch.queue_sequence);
    out.Text(batch.account);
    out.Text(batch.nonce);
    PutDigest(out, batch.key);
    out.Raw(batch.payload.data(), batch.payload.size());
    PutOutcome(out, batch.outcome);
  }
  out.Number(static_cast<uint32_t>(record.successors.size()));
  for (const auto& [before, after] : record.successors) {
    out.Number(before);
    out.Number(after);
  }
  if (record.blocks.empty()) return out.Take();
  out.Number(static_cast<uint32_t>(record.blocks.size()));
  for (const auto& block : record.blocks) PutHash(out, block);
  return out.Take();
}

Result<OutcomeRecord> DecodeOutcomes(uint8_t kind, std::string_view bytes) {
  ByteReader in(bytes);
  OutcomeRecord record;
  record.kind = static_cast<OutcomeRecord::Kind>(kind);
  record.dataset = GetId(in);
  record.time = GetInstant(in).value_or(Instant{});
  record.old_head = GetHash(in);
  record.new_head = GetHash(in);
  record.sequence = in.Number<uint64_t>();
  const auto flags = in.Number<uint8_t>();
  record.continues = (flags & kContinues) != 0;
  const auto batches = in.Number<uint32_t>();
  for (uint32_t i = 0; i < batches && in.ok(); ++i) {
    SettledBatch batch;
    batch.source = in.Text();
    batch.queue_sequence = in.Number<uint64_t>();
    batch.account = in.Text();
    batch.nonce = in.Text();
    batch.key = GetDigest(in);
    in.Raw(batch.payload.data(), batch.payload.size());
    batch.outcome = GetOutcome(in);
    record.batches.push_back(std::move(batch));
  }
  const auto successors = in.Number<uint32_t>();
  for (uint32_t i = 0; i < successors && in.ok(); ++i) {
    const auto before = in.Number<uint64_t>();
    record.successors.emplace_back(before, in.Number<uint64_t>());
  }
  const uint32_t blocks = (flags & kHasBlocks) != 0 ? in.Number<uint32_t>() : 0;
  for (uint32_t i = 0; i < blocks && in.ok(); ++i) {
    const auto block = GetHash(in);
    if (!block) return Corruption("an outcome record names a block without a hash");
    record.blocks.push_back(*block);
  }
  if (!in.ok() || !in.rest().empty())
    return Corruption("an outcome record of {} bytes does not decode", bytes.size());
  return record;
}

}  // namespace sluice::gateway
