#include "index/catalog.h"

#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/api.h>

#include "columnar/arrow_status.h"

namespace sluice::index {
namespace {

using multiformats::DatasetId;
using multiformats::Multihash;

constexpr size_t kHashBytes = 36;
constexpr char kHasHead = 1;
constexpr char kHasLoading = 2;

void Put16(uint16_t value, std::string* out) {
  out->push_back(static_cast<char>(value >> 8));
  out->push_back(static_cast<char>(value & 0xff));
}
void Put32(uint32_t value, std::string* out) {
  Put16(static_cast<uint16_t>(value >> 16), out);
  Put16(static_cast<uint16_t>(value & 0xffff), out);
}
uint16_t Get16(std::string_view bytes) {
  return static_cast<uint16_t>(static_cast<uint8_t>(bytes[0]) << 8 | static_cast<uint8_t>(bytes[1]));
}
uint32_t Get32(std::string_view bytes) {
  return static_cast<uint32_t>(Get16(bytes)) << 16 | Get16(bytes.substr(2));
}

void PutHash(const Multihash& hash, std::string* out) {
  Put32(static_cast<uint32_t>(hash.code()), out);
  out->append(reinterpret_cast<const char*>(hash.digest().data()), hash.digest().size());
}
Multihash GetHash(std::string_view bytes) {
  Multihash::Digest digest;
  std::copy(bytes.begin() + 4, bytes.begin() + kHashBytes, digest.begin());
  return Multihash(static_cast<multiformats::HashCode>(Get32(bytes)), digest);
}

Error Damaged(std::string_view what) {
  return Corruption(
      "the key index has a damaged {}; its folder can be deleted, it is built again from the datasets", what);
}

}  // namespace

std::string CatalogPrefix(const DatasetId& dataset) {
  std::string key = "c";
  key.append(reinterpret_cast<const char*>(dataset.public_key().data()), dataset.public_key().size());
  return key;
}

std::string CatalogKey(const KeySet& set) {
  std::string key = CatalogPrefix(set.dataset);
  key.push_back(set.rows ? 1 : 0);
  for (const std::string& column : set.columns) {
    Put16(static_cast<uint16_t>(column.size()), &key);
    key.append(column);
  }
  return key;
}

Result<KeySet> ParseCatalogKey(std::string_view key) {
  DatasetId::Key id;
  if (key.size() < 2 + id.size()) return Damaged("catalog key");
  std::copy(key.begin() + 1, key.begin() + 1 + id.size(), id.begin());
  KeySet set;
  set.dataset = DatasetId(id);
  set.rows = key[1 + id.size()] != 0;
  key.remove_prefix(2 + id.size());
  while (!key.empty()) {
    if (key.size() < 2 || key.size() - 2 < Get16(key)) return Damaged("catalog key");
    const uint16_t size = Get16(key);
    set.columns.emplace_back(key.substr(2, size));
    key.remove_prefix(2 + size);
  }
  return set;
}

std::string EncodeState(const SetState& state) {
  std::string bytes = EncodeNumber(state.number);
  bytes.push_back(static_cast<char>((state.head ? kHasHead : 0) | (state.loading ? kHasLoading : 0)));
  if (state.head) PutHash(*state.head, &bytes);
  if (state.loading) PutHash(*state.loading, &bytes);
  return bytes;
}

Result<SetState> DecodeState(std::string_view bytes) {
  if (bytes.size() < 5) return Damaged("catalog entry");
  SetState state;
  state.number = Get32(bytes);
  const char flags = bytes[4];
  bytes.remove_prefix(5);
  for (auto [flag, hash] : {std::pair(kHasHead, &state.head), std::pair(kHasLoading, &state.loading)}) {
    if ((flags & flag) == 0) continue;
    if (bytes.size() < kHashBytes) return Damaged("catalog entry");
    *hash = GetHash(bytes);
    bytes.remove_prefix(kHashBytes);
  }
  if (!bytes.empty()) return Damaged("catalog entry");
  return state;
}

std::string EncodeNumber(uint32_t number) {
  std::string bytes;
  Put32(number, &bytes);
  return bytes;
}

Result<uint32_t> DecodeNumber(std::string_view bytes) {
  if (bytes.size() != 4) return Damaged("set counter");
  return Get32(bytes);
}

std::string DataPrefix(uint32_t set_number) { return "d" + EncodeNumber(set_number); }
std::string SchemaPrefix(uint32_t set_number) { return "s" + EncodeNumber(set_number); }

std::string SchemaKey(uint32_t set_number, uint16_t schema_number) {
  std::string key = SchemaPrefix(set_number);
  Put16(schema_number, &key);
  return key;
}

std::string PrefixEnd(std::string prefix) {
  while (!prefix.empty()) {
    const uint8_t last = static_cast<uint8_t>(prefix.back());
    if (last != 0xff) {
      prefix.back() = static_cast<char>(last + 1);
      return prefix;
    }
    prefix.pop_back();
  }
  return prefix;
}

void AppendRowHeader(uint16_t schema_number, std::string* out) {
  out->push_back(1);
  Put16(schema_number, out);
}

Result<StoredRow> ParseStoredRow(std::string_view value) {
  if (value == kRetractedValue) return StoredRow{};
  if (value.size() <= kRowHeaderBytes || value[0] != 1) return Damaged("row");
  return StoredRow{true, Get16(value.substr(1)), value.substr(kRowHeaderBytes)};
}

Result<std::string> SerializeSchema(const arrow::Schema& schema) {
  ASSIGN_OR_RETURN_ARROW(const std::shared_ptr<arrow::Buffer> buffer, arrow::ipc::SerializeSchema(schema));
  return buffer->ToString();
}

Result<std::shared_ptr<arrow::Schema>> ParseSchema(const std::string& bytes) {
  arrow::io::BufferReader reader(arrow::Buffer::FromString(bytes));
  arrow::ipc::DictionaryMemo memo;
  auto schema = arrow::ipc::ReadSchema(&reader, &memo);
  if (!schema.ok()) return Damaged("schema");
  return std::move(schema).ValueUnsafe();
}

}  // namespace sluice::index
