#include "ingest/linked_objects.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>

#include <nlohmann/json.hpp>

#include "multiformats/multihash.h"

namespace sluice::ingest {
namespace {

bool IsObjectLink(const odf::DataField& field) {
  if (!field.extra) return false;
  const auto extra = nlohmann::json::parse(*field.extra, nullptr, false);
  if (!extra.is_object()) return false;
  const auto it = extra.find("opendatafabric.org/type");
  return it != extra.end() && it->is_object() && it->value("kind", "") == "ObjectLink";
}

}  // namespace

Result<LinkedObjects> LinkedObjects::Make(const std::optional<odf::DataSchema>& schema,
                                          const storage::Storage& storage) {
  LinkedObjects links(&storage);
  if (!schema) return links;
  for (const auto& field : schema->fields) {
    if (!IsObjectLink(field)) continue;
    if (field.type.inner().kind != odf::TypeKind::kString) {
      return Unsupported("column '{}' links objects but is {}, not String", field.name,
                         odf::ToString(field.type));
    }
    links.columns_.push_back(field.name);
  }
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
      ++objects_;
      bytes_ += *size;
    }
  }
  rows_ += batch.num_rows();
  return {};
}

std::optional<std::string> LinkedObjects::Extra() const {
  if (columns_.empty()) return std::nullopt;
  return fmt::format(R"({{"opendatafabric.org/linkedObjects":{{"numObjectsNaive":{},"sizeNaive":{}}}}})",
                     objects_, bytes_);
}

}  // namespace sluice::ingest
