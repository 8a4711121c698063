#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/reader.h>
#include <arrow/type.h>
#include <arrow/util/base64.h>
#include <arrow/util/key_value_metadata.h>

#include "columnar/parquet_hint_internal.h"
#include "columnar/plain_types.h"

namespace sluice::columnar {
namespace {

std::shared_ptr<arrow::Schema> ReadHint(const arrow::KeyValueMetadata& metadata) {
  auto text = metadata.Get("ARROW:schema");
  if (!text.ok()) return nullptr;
  auto bytes = arrow::util::base64_decode(*text);
  if (!bytes.ok()) return nullptr;
  arrow::io::BufferReader input(arrow::Buffer::FromString(std::move(bytes).ValueUnsafe()));
  arrow::ipc::DictionaryMemo memo;
  auto schema = arrow::ipc::ReadSchema(&input, &memo);
  return schema.ok() ? PlainSchema(**schema) : nullptr;
}

}  // namespace

std::shared_ptr<arrow::Schema> ApplyHint(const arrow::Schema& schema,
                                         const arrow::KeyValueMetadata* metadata) {
  std::shared_ptr<arrow::Schema> hint = metadata == nullptr ? nullptr : ReadHint(*metadata);
  arrow::FieldVector fields;
  for (int i = 0; i < schema.num_fields(); ++i) {
    const auto& field = schema.field(i);
    const bool known = hint != nullptr && i < hint->num_fields() && hint->field(i)->name() == field->name();
    const bool date64 = known && field->type()->id() == arrow::Type::DATE32 &&
                        hint->field(i)->type()->id() == arrow::Type::DATE64;
    fields.push_back(date64 ? field->WithType(arrow::date64()) : field);
  }
  return arrow::schema(std::move(fields));
}

}  // namespace sluice::columnar
