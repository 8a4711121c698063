// Bytes of a ChainState for the cache of derived files:
//
//   "SLCHAIN" version  body  SHA3-256 of all before
//
// The body is a sequence of LEB128 integers and of byte strings with their length in front; an optional value
// is preceded by 0 or 1; whatever is an event stands as the bytes of a block that holds it. The file is
// derived: there is no upgrade between versions, a reader that does not know one rebuilds the state from the
// chain.
#include <utility>

#include "multiformats/multibase.h"
#include "multiformats/sha3.h"
#include "odf/chain_state.h"
#include "odf/codec.h"

namespace sluice::odf {
namespace {

constexpr std::string_view kMagic = "SLCHAIN";
constexpr char kVersion = 3;
constexpr size_t kDigestBytes = sizeof(multiformats::Sha3Digest);

std::string_view AsBytes(const multiformats::Sha3Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

class Writer {
 public:
  void Put(uint64_t value) { multiformats::AppendVarint(value, &out_); }
  void Put(bool value) { Put(static_cast<uint64_t>(value)); }
  void Put(std::string_view bytes) {
    Put(static_cast<uint64_t>(bytes.size()));
    out_ += bytes;
  }
  void Put(const std::string& bytes) { Put(std::string_view(bytes)); }
  void Put(const Multihash& hash) { Put(hash.ToBytes()); }
  void Put(const DatasetId& id) { Put(id.ToBytes()); }
  void Put(Instant instant) {
    Put(static_cast<uint64_t>(instant.seconds));
    Put(static_cast<uint64_t>(instant.nanoseconds));
  }
  void Put(const SourceState& state) {
    Put(state.source_name);
    Put(state.kind);
    Put(state.value);
  }
  template <class T>
  void Put(const std::optional<T>& value) {
    Put(value.has_value());
    if (value) Put(*value);
  }
  // What cannot be encoded is in no chain; the empty text would be refused when it is read.
  void PutEvent(MetadataEvent event) {
    Put(EncodeBlock(MetadataBlock{.event = std::move(event)}).value_or(""));
  }
  template <class Event>
  void PutEvent(const std::optional<Event>& event) {
    Put(event.has_value());
    if (event) PutEvent(MetadataEvent(*event));
  }

  std::string& out() { return out_; }

 private:
  std::string out_;
};

// Reads what Writer wrote. After the first mistake every read gives an empty value and `ok()` is false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  void Get(uint64_t& value) {
    auto read = multiformats::ReadVarint(&rest_);
    if (read.ok()) {
      value = *read;
    } else {
      Fail();
    }
  }
  void Get(bool& value) {
    uint64_t number = 0;
    Get(number);
    if (number > 1) Fail();
    value = number == 1;
  }
  void Get(std::string& value) {
    uint64_t size = 0;
    Get(size);
    if (size > rest_.size()) return Fail();
    value = rest_.substr(0, size);
    rest_.remove_prefix(size);
  }
  void Get(Multihash& value) { GetParsed(value, Multihash::FromBytes); }
  void Get(DatasetId& value) { GetParsed(value, DatasetId::FromBytes); }
  void Get(Instant& value) {
    uint64_t seconds = 0;
    uint64_t nanoseconds = 0;
    Get(seconds);
    Get(nanoseconds);
    value = {.seconds = static_cast<int64_t>(seconds), .nanoseconds = static_cast<uint32_t>(nanoseconds)};
  }
  void Get(SourceState& state) {
    Get(state.source_name);
    Get(state.kind);
    Get(state.value);
  }
  template <class T>
  void Get(std::optional<T>& value) {
    if (GetPresence()) Get(value.emplace());
  }
  template <class Event>
  void GetEvent(Event& event) {
    std::string bytes;
    Get(bytes);
    if (!ok_) return;
    auto block = DecodeBlock(bytes);
    if (!block.ok()) return Fail();
    auto* decoded = std::get_if<Event>(&block->event);
    if (!decoded) return Fail();
    event = std::move(*decoded);
  }
  template <class Event>
  void GetEvent(std::optional<Event>& event) {
    if (GetPresence()) GetEvent(event.emplace());
  }
  bool GetPresence() {
    bool present = false;
    Get(present);
    return present && ok_;
  }
  // A number of items, each of which takes at least one byte.
  uint64_t GetCount() {
    uint64_t count = 0;
    Get(count);
    if (count > rest_.size()) Fail();
    return ok_ ? count : 0;
  }

  bool ok() const { return ok_; }
  bool at_end() const { return rest_.empty(); }
  void Fail() {
    ok_ = false;
    rest_ = {};
  }

 private:
  template <class T, class Parse>
  void GetParsed(T& value, Parse parse) {
    std::string bytes;
    Get(bytes);
    auto parsed = parse(bytes);
    if (!parsed.ok()) return Fail();
    value = *parsed;
  }

  std::string_view rest_;
  bool ok_ = true;
};

void PutSources(Writer& writer, const ChainState& state) {
  writer.Put(static_cast<uint64_t>(state.push_sources.size()));
  for (const auto& [name, source] : state.push_sources) {
    writer.PutEvent(MetadataEvent(source.event));
    writer.Put(source.activated_at);
    writer.Put(source.state);
    writer.Put(source.state_sequence);
    writer.Put(source.state_block);
    writer.Put(source.file_state);
    writer.Put(source.file_state_sequence);
  }
  writer.Put(state.polling_source.has_value());
  if (!state.polling_source) return;
  writer.PutEvent(MetadataEvent(state.polling_source->event));
  writer.Put(state.polling_source->activated_at);
  writer.Put(state.polling_source->polled);
  writer.Put(state.polling_source->state);
  writer.Put(state.polling_source->state_sequence);
}

void GetSources(Reader& reader, ChainState& state) {
  for (uint64_t left = reader.GetCount(); left > 0 && reader.ok(); --left) {
    ChainState::PushSource source;
    reader.GetEvent(source.event);
    reader.Get(source.activated_at);
    reader.Get(source.state);
    reader.Get(source.state_sequence);
    reader.Get(source.state_block);
    reader.Get(source.file_state);
    reader.Get(source.file_state_sequence);
    std::string name = source.event.source_name;
    if (!state.push_sources.emplace(std::move(name), std::move(source)).second) reader.Fail();
  }
  if (!reader.GetPresence()) return;
  state.polling_source = ChainState::PollingSource();
  ChainState::PollingSource& source = *state.polling_source;
  reader.GetEvent(source.event);
  reader.Get(source.activated_at);
  reader.Get(source.polled);
  reader.Get(source.state);
  reader.Get(source.state_sequence);
}

void PutLastData(Writer& writer, const std::optional<ChainState::LastData>& last) {
  writer.Put(last.has_value());
  if (!last) return;
  writer.Put(last->sequence);
  writer.Put(last->last_offset);
  writer.Put(last->watermark);
  writer.Put(last->checkpoint);
  writer.Put(last->source_state);
  writer.Put(last->is_transform);
  writer.Put(static_cast<uint64_t>(last->inputs.size()));
  for (const ExecuteTransformInput& input : last->inputs) {
    writer.Put(input.dataset_id);
    writer.Put(input.prev_block_hash);
    writer.Put(input.new_block_hash);
    writer.Put(input.prev_offset);
    writer.Put(input.new_offset);
  }
}

void GetLastData(Reader& reader, std::optional<ChainState::LastData>& optional) {
  if (!reader.GetPresence()) return;
  optional = ChainState::LastData();
  ChainState::LastData& last = *optional;
  reader.Get(last.sequence);
  reader.Get(last.last_offset);
  reader.Get(last.watermark);
  reader.Get(last.checkpoint);
  reader.Get(last.source_state);
  reader.Get(last.is_transform);
  for (uint64_t left = reader.GetCount(); left > 0 && reader.ok(); --left) {
    ExecuteTransformInput& input = last.inputs.emplace_back();
    reader.Get(input.dataset_id);
    reader.Get(input.prev_block_hash);
    reader.Get(input.new_block_hash);
    reader.Get(input.prev_offset);
    reader.Get(input.new_offset);
  }
}

// The schema in force as the event that would set it.
std::optional<SetDataSchema> SchemaEvent(const ChainState& state) {
  if (!state.schema) return std::nullopt;
  return SetDataSchema{.schema = state.schema};
}

}  // namespace

std::string ChainState::Serialize() const {
  Writer writer;
  writer.out() = kMagic;
  writer.out() += kVersion;
  writer.Put(head);
  writer.Put(sequence);
  writer.Put(system_time);
  writer.Put(dataset_id);
  writer.Put(static_cast<uint64_t>(kind));
  writer.Put(vocabulary.offset);
  writer.Put(vocabulary.op);
  writer.Put(vocabulary.system_time);
  writer.Put(vocabulary.event_time);
  writer.PutEvent(SchemaEvent(*this));
  writer.Put(schema_is_legacy);
  PutSources(writer, *this);
  writer.PutEvent(transform);
  writer.Put(transform_sequence);
  PutLastData(writer, last_data);
  writer.PutEvent(info);
  writer.PutEvent(license);
  writer.PutEvent(attachments);
  writer.Put(data_blocks);
  writer.Put(data_records);
  writer.Put(data_bytes);
  writer.Put(last_data_time);
  writer.out() += AsBytes(multiformats::Sha3(writer.out()));
  return std::move(writer.out());
}

Result<ChainState> ChainState::Deserialize(std::string_view bytes) {
  const size_t header_bytes = kMagic.size() + 1;
  if (bytes.size() < header_bytes + kDigestBytes || !bytes.starts_with(kMagic)) {
    return Corruption("these {} bytes are no chain state", bytes.size());
  }
  const std::string_view signed_part = bytes.substr(0, bytes.size() - kDigestBytes);
  if (AsBytes(multiformats::Sha3(signed_part)) != bytes.substr(signed_part.size())) {
    return Corruption("the checksum of the chain state does not match its {} bytes", bytes.size());
  }
  if (const char version = bytes[kMagic.size()]; version != kVersion) {
    return Corruption("the chain state has version {}, this program reads {}", static_cast<int>(version),
                      static_cast<int>(kVersion));
  }

  Reader reader(signed_part.substr(header_bytes));
  ChainState state;
  reader.Get(state.head);
  reader.Get(state.sequence);
  reader.Get(state.system_time);
  reader.Get(state.dataset_id);
  uint64_t kind = 0;
  reader.Get(kind);
  if (kind > static_cast<uint64_t>(DatasetKind::kDerivative)) reader.Fail();
  state.kind = static_cast<DatasetKind>(kind);
  reader.Get(state.vocabulary.offset);
  reader.Get(state.vocabulary.op);
  reader.Get(state.vocabulary.system_time);
  reader.Get(state.vocabulary.event_time);
  std::optional<SetDataSchema> schema;
  reader.GetEvent(schema);
  if (schema) state.schema = std::move(schema->schema);
  reader.Get(state.schema_is_legacy);
  GetSources(reader, state);
  reader.GetEvent(state.transform);
  reader.Get(state.transform_sequence);
  GetLastData(reader, state.last_data);
  reader.GetEvent(state.info);
  reader.GetEvent(state.license);
  reader.GetEvent(state.attachments);
  reader.Get(state.data_blocks);
  reader.Get(state.data_records);
  reader.Get(state.data_bytes);
  reader.Get(state.last_data_time);
  if (!reader.ok() || !reader.at_end()) return Corruption("the chain state is malformed behind its checksum");
  return state;
}

}  // namespace sluice::odf
