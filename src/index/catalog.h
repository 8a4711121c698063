#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "index/key_index.h"
#include "multiformats/multihash.h"

// How sets, schemas and keys lie in RocksDB. A set has a number, given once and never again, so that its keys
// carry 5 bytes instead of the dataset's id and the column names, lie together, and can be dropped as one
// range; what a crash leaves of a dropped number is never read again.
//
//   'c' dataset(32) rows(1) { length(2) column }...  ->  number(4) flags(1) [head(36)] [loading(36)]
//   'n'                                              ->  next number(4)
//   's' number(4) schema number(2)                   ->  Arrow schema message
//   'd' number(4) key                                ->  nothing (keys only) | 0 (retracted) | 1 schema
//   number(2) row
//
// Numbers are big-endian.
namespace sluice::index {

struct SetState {
  uint32_t number = 0;
  std::optional<multiformats::Multihash> head;  // not valid while `loading` is there
  std::optional<multiformats::Multihash> loading;
};

inline constexpr char kNextNumberKey[] = "n";

std::string CatalogKey(const KeySet& set);
// Prefix of the catalog keys of a dataset's sets.
std::string CatalogPrefix(const multiformats::DatasetId& dataset);
Result<KeySet> ParseCatalogKey(std::string_view key);

std::string EncodeState(const SetState& state);
Result<SetState> DecodeState(std::string_view bytes);

std::string EncodeNumber(uint32_t number);
Result<uint32_t> DecodeNumber(std::string_view bytes);

std::string DataPrefix(uint32_t set_number);
std::string SchemaPrefix(uint32_t set_number);
std::string SchemaKey(uint32_t set_number, uint16_t schema_number);
// The first key after all that begin with `prefix`.
std::string PrefixEnd(std::string prefix);

// Values of data keys in sets with rows.
inline constexpr size_t kRowHeaderBytes = 3;
struct StoredRow {
  bool live = false;
  uint16_t schema_number = 0;
  std::string_view row;
};
void AppendRowHeader(uint16_t schema_number, std::string* out);
inline constexpr std::string_view kRetractedValue{"\0", 1};
Result<StoredRow> ParseStoredRow(std::string_view value);

Result<std::string> SerializeSchema(const arrow::Schema& schema);
Result<std::shared_ptr<arrow::Schema>> ParseSchema(const std::string& bytes);

}  // namespace sluice::index
