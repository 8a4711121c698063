// Legacy schemas: the bytes of an Arrow `Schema` table without the message that Arrow's reader wants around
// it. The message is made here, so that Arrow's own verified reader does the rest. FlatBuffers offsets are
// relative, therefore the schema's bytes can be put behind a message table as they are.

#include <arrow/buffer.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/message.h>
#include <arrow/ipc/reader.h>
#include <arrow/type.h>

#include <array>
#include <cstring>

#include "odf/arrow_schema.h"

namespace sluice::odf {
namespace {

constexpr size_t kMaxSchemaBytes = 16 << 20;

// Layout of the message in front of the schema; every number at a multiple of its size.
constexpr size_t kVtableAt = 4;    // u16 size 12, u16 table size, one u16 for each of four slots
constexpr size_t kTableAt = 16;    // i32 distance to the vtable
constexpr size_t kHeaderAt = 20;   // slot 2: offset of the schema
constexpr size_t kVersionAt = 24;  // slot 0: MetadataVersion
constexpr size_t kTypeAt = 26;     // slot 1: MessageHeader
constexpr size_t kBodyAt = 32;     // slot 3: length of the body, 0
constexpr size_t kSchemaAt = 40;
constexpr int16_t kMetadataV5 = 4;
constexpr uint8_t kHeaderIsSchema = 1;

template <class T>
void Put(std::string* bytes, size_t at, T value) {
  std::memcpy(bytes->data() + at, &value, sizeof(value));
}

std::string AsMessage(std::string_view schema, uint32_t root) {
  std::string bytes(kSchemaAt, '\0');
  Put<uint32_t>(&bytes, 0, kTableAt);
  const std::array<uint16_t, 6> vtable = {12,
                                          kSchemaAt - kTableAt,
                                          kVersionAt - kTableAt,
                                          kTypeAt - kTableAt,
                                          kHeaderAt - kTableAt,
                                          kBodyAt - kTableAt};
  std::memcpy(bytes.data() + kVtableAt, vtable.data(), sizeof(vtable));
  Put<int32_t>(&bytes, kTableAt, kTableAt - kVtableAt);
  Put<uint32_t>(&bytes, kHeaderAt, static_cast<uint32_t>(kSchemaAt - kHeaderAt + root));
  Put<int16_t>(&bytes, kVersionAt, kMetadataV5);
  Put<uint8_t>(&bytes, kTypeAt, kHeaderIsSchema);
  bytes += schema;
  return bytes;
}

arrow::Result<std::shared_ptr<arrow::Schema>> ReadMessage(std::string bytes) {
  auto metadata = arrow::Buffer::FromString(std::move(bytes));
  ARROW_ASSIGN_OR_RAISE(auto message, arrow::ipc::Message::Open(std::move(metadata), nullptr));
  arrow::ipc::DictionaryMemo dictionaries;
  return arrow::ipc::ReadSchema(*message, &dictionaries);
}

}  // namespace

Result<DataSchema> FromRawArrow(std::string_view bytes) {
  uint32_t root;
  if (bytes.size() < 8 || bytes.size() > kMaxSchemaBytes) {
    return Corruption("raw Arrow schema of {} bytes", bytes.size());
  }
  std::memcpy(&root, bytes.data(), sizeof(root));
  if (root < 4 || root > bytes.size() - 4) return Corruption("raw Arrow schema: its root lies outside of it");
  const auto schema = ReadMessage(AsMessage(bytes, root));
  if (!schema.ok()) return Corruption("raw Arrow schema: {}", schema.status().message());
  auto converted = FromArrow(**schema);
  if (!converted.ok()) return Corruption("raw Arrow schema: {}", converted.error().ToString());
  return converted;
}

}  // namespace sluice::odf
