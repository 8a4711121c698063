#include <arrow/array.h>
#include <arrow/record_batch.h>

#include "dataset/verify_internal.h"

namespace sluice::dataset {

LinkChecker::LinkChecker(const FileClaim& file, Findings& findings) : file_(file), findings_(findings) {
  const auto& schema = file.slice->columns->schema;
  if (!schema) return;
  auto columns = odf::LinkColumns(*schema);
  if (columns.ok()) {
    columns_ = *std::move(columns);
  } else {
    findings_.Add(file_, rule::kLinkedObject, columns.error().ToString());
  }
}

void LinkChecker::CheckRows(const arrow::RecordBatch& batch, int64_t first_row) {
  for (const std::string& column : columns_) {
    const auto array = batch.GetColumnByName(column);
    if (!array || array->type_id() != arrow::Type::STRING) continue;  // said by the schema's check
    const auto& texts = static_cast<const arrow::StringArray&>(*array);
    for (int64_t i = 0; i < texts.length(); ++i) {
      if (texts.IsNull(i)) continue;
      const auto hash = Multihash::Parse(texts.GetView(i));
      if (hash.ok()) {
        ++links_[*hash];
      } else if (bad_++ == 0) {
        first_bad_ = fmt::format("row {}: column '{}': '{}' is not a multihash", first_row + i, column,
                                 texts.GetView(i).substr(0, 200));
      }
    }
  }
}

Status LinkChecker::Finish(const storage::Storage& storage) {
  if (columns_.empty()) return {};
  if (bad_ > 0) {
    findings_.Add(file_, rule::kLinkedObject,
                  bad_ == 1 ? first_bad_ : fmt::format("{} (and {} more)", first_bad_, bad_ - 1));
  }
  odf::LinkedObjectCounts counts;
  for (const auto& [hash, times] : links_) {
    auto size = storage.Size(DataName(hash));
    if (!size.ok()) {
      if (size.error().code() != ErrorCode::kNotFound) return std::move(size).error();
      findings_.Add(file_, rule::kLinkedObject,
                    fmt::format("{} row(s) refer to object {}, which is not there", times, hash.ToString()));
      continue;
    }
    counts.objects += times;
    counts.bytes += times * *size;
    findings_.AddObject({file_.block, file_.sequence, DataName(hash), hash, *size, std::nullopt});
  }
  const auto& claimed = file_.slice->linked_objects;
  if (claimed && *claimed != counts) {
    findings_.Add(file_, rule::kLinkedObject,
                  fmt::format("{} linked objects of {} bytes where the block records {} of {}",
                              counts.objects, counts.bytes, claimed->objects, claimed->bytes));
  }
  return {};
}

}  // namespace sluice::dataset
