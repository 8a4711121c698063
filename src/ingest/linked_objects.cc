#include "ingest/linked_objects.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>

#include "multiformats/multihash.h"

namespace sluice::ingest {
namespace {

constexpr size_t kShownBytes = 200;

}  // namespace

Result<LinkedObjects> LinkedObjects::Make(const std::optional<odf::DataSchema>& schema,
                                          const storage::Storage& storage) {
  LinkedObjects links(&storage);
  if (!schema) return links;
  ASSIGN_OR_RETURN(links.columns_, odf::LinkColumns(*schema));
  return links;
}

Status LinkedObjects::Visit(const arrow::RecordBatch& batch, std::vector<BadValue>* bad,
                            odf::LinkedObjectCounts* counts) const {
  for (const auto& column : columns_) {
    const auto array = batch.GetColumnByName(column);
    if (!array || array->type_id() != arrow::Type::STRING) continue;
    const auto& texts = static_cast<const arrow::StringArray&>(*array);
    for (int64_t row = 0; row < texts.length(); ++row) {
      if (texts.IsNull(row)) continue;
      const auto text = texts.GetView(row);
      const auto hash = multiformats::Multihash::Parse(text);
      if (!hash.ok()) {
        bad->push_back({row, column, std::string(text.substr(0, kShownBytes)), "not a multihash"});
        continue;
      }
      const auto size = storage_->Size("data/" + hash->ToString());
      if (size.ok()) {
        ++counts->objects;
        counts->bytes += *size;
      } else if (size.error().code() == ErrorCode::kNotFound) {
        bad->push_back({row, column, std::string(text), "this object is not stored in the dataset"});
      } else {
        return size.error();
      }
    }
  }
  return {};
}

Status LinkedObjects::FindBad(const arrow::RecordBatch& batch, std::vector<BadValue>* bad) const {
  odf::LinkedObjectCounts ignored;
  return Visit(batch, bad, &ignored);
}

Status LinkedObjects::Count(const arrow::RecordBatch& batch) {
  std::vector<BadValue> bad;
  RETURN_IF_ERROR(Visit(batch, &bad, &counts_));
  if (!bad.empty()) {
    return MakeError(ErrorCode::kInvalidRecords, "record {}: column '{}': '{}': {}", rows_ + bad[0].row + 1,
                     bad[0].column, bad[0].value, bad[0].reason);
  }
  rows_ += batch.num_rows();
  return {};
}

std::optional<std::string> LinkedObjects::Extra() const {
  if (columns_.empty()) return std::nullopt;
  return odf::ToExtra(counts_);
}

}  // namespace sluice::ingest
