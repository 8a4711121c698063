#include "ingest/linked_objects.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>

#include "multiformats/multihash.h"

namespace sluice::ingest {

Result<LinkedObjects> LinkedObjects::Make(const std::optional<odf::DataSchema>& schema,
                                          const storage::Storage& storage) {
  LinkedObjects links(&storage);
  if (!schema) return links;
  ASSIGN_OR_RETURN(links.columns_, odf::LinkColumns(*schema));
  return links;
}

Status LinkedObjects::Check(const arrow::RecordBatch& batch) {
  for (const auto& column : columns_) {
    const auto array = batch.GetColumnByName(column);
    if (!array || array->type_id() != arrow::Type::STRING) continue;
    const auto& texts = static_cast<const arrow::StringArray&>(*array);
    for (int64_t i = 0; i < texts.length(); ++i) {
      if (texts.IsNull(i)) continue;
      const auto text = texts.GetView(i);
      auto hash = multiformats::Multihash::Parse(text);
      if (!hash.ok()) {
        return MakeError(ErrorCode::kInvalidRecords, "record {}: column '{}': '{}' is not a multihash",
                         rows_ + i + 1, column, text.substr(0, 200));
      }
      auto size = storage_->Size("data/" + hash->ToString());
      if (!size.ok()) {
        if (size.error().code() != ErrorCode::kNotFound) return std::move(size).error();
        return MakeError(ErrorCode::kInvalidRecords,
                         "record {}: column '{}': object '{}' is not stored in the dataset", rows_ + i + 1,
                         column, text);
      }
      ++counts_.objects;
      counts_.bytes += *size;
    }
  }
  rows_ += batch.num_rows();
  return {};
}

std::optional<std::string> LinkedObjects::Extra() const {
  if (columns_.empty()) return std::nullopt;
  return odf::ToExtra(counts_);
}

}  // namespace sluice::ingest
