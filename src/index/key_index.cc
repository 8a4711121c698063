#include "index/key_index.h"

#include <algorithm>

#include "columnar/conform.h"
#include "index/loader.h"
#include "index/rocks.h"
#include "index/store.h"

namespace sluice::index {
namespace {

using multiformats::DatasetId;
using multiformats::Multihash;

// From here on rows go as sorted files rather than through the log.
constexpr size_t kBulkRows = 200'000;
constexpr size_t kFindKeys = 4096;
constexpr size_t kScanRows = 4096;

class RocksKeyIndex final : public KeyIndex {
 public:
  explicit RocksKeyIndex(const std::string& folder) : store_(folder) {}

  Result<std::optional<Multihash>> head(const KeySet& set) override {
    ASSIGN_OR_RETURN(const OpenSet* open, store_.Find(set));
    if (open == nullptr || open->state.loading) return std::optional<Multihash>();
    return open->state.head;
  }

  Result<std::optional<Multihash>> loading(const KeySet& set) override {
    ASSIGN_OR_RETURN(const OpenSet* open, store_.Find(set));
    return open == nullptr ? std::nullopt : open->state.loading;
  }

  Status Apply(const KeySet& set, const std::shared_ptr<arrow::Schema>& row_schema,
               const std::vector<IndexRow>& rows, const Multihash& head) override {
    if (rows.size() >= kBulkRows) {
      ASSIGN_OR_RETURN(auto loader, StartApply(set, row_schema));
      RETURN_IF_ERROR(loader->Add(rows));
      return loader->Finish(head);
    }
    rocksdb::WriteBatch batch;
    ASSIGN_OR_RETURN(OpenSet * open, store_.ForWriting(set, &batch));
    const Status staged = StageRows(set, open, row_schema, rows, &batch);
    if (!staged.ok()) {
      store_.Forget(set);
      return staged;
    }
    open->state.head = head;
    Store::PutState(*open, &batch);
    return store_.Write(set, &batch, false);
  }

  Status SetHead(const KeySet& set, const Multihash& head) override {
    ASSIGN_OR_RETURN(OpenSet * open, store_.Usable(set));
    open->state.head = head;
    rocksdb::WriteBatch batch;
    Store::PutState(*open, &batch);
    return store_.Write(set, &batch, false);
  }

  Result<std::vector<Found>> Find(const KeySet& set, const std::shared_ptr<arrow::Schema>& row_schema,
                                  const std::vector<std::string_view>& keys) override;
  Status Scan(const KeySet& set, const std::shared_ptr<arrow::Schema>& row_schema,
              const std::function<Status(std::string_view, std::string_view)>& visit) override;

  Result<std::unique_ptr<Loader>> StartLoad(const KeySet& set,
                                            const std::shared_ptr<arrow::Schema>& row_schema,
                                            const Multihash& target) override {
    return MakeLoader(&store_, set, row_schema, target);
  }
  Result<std::unique_ptr<Loader>> StartApply(const KeySet& set,
                                             const std::shared_ptr<arrow::Schema>& row_schema) override {
    return MakeLoader(&store_, set, row_schema, std::nullopt);
  }

  Status Drop(const KeySet& set) override {
    ASSIGN_OR_RETURN(const OpenSet* open, store_.Find(set));
    if (open == nullptr) return OkStatus();
    const uint32_t number = open->state.number;
    rocksdb::WriteBatch batch;
    batch.Delete(open->catalog_key);
    Store::DeleteContent(number, &batch);
    store_.Forget(set);
    RETURN_IF_ERROR(store_.Write(set, &batch, false));
    store_.ReclaimSpace(number);
    return OkStatus();
  }

  Status DropDataset(const DatasetId& dataset) override {
    ASSIGN_OR_RETURN(const std::vector<KeySet> sets, ListSets(dataset));
    for (const KeySet& set : sets) RETURN_IF_ERROR(Drop(set));
    return OkStatus();
  }

  Result<std::vector<KeySet>> ListSets(const DatasetId& dataset) override {
    ASSIGN_OR_RETURN(rocksdb::DB * db, store_.db());
    const std::string prefix = CatalogPrefix(dataset);
    const std::string end = PrefixEnd(prefix);
    const rocksdb::Slice bound(end);
    rocksdb::ReadOptions options;
    options.iterate_upper_bound = &bound;
    std::vector<KeySet> sets;
    const std::unique_ptr<rocksdb::Iterator> iterator(db->NewIterator(options));
    for (iterator->Seek(prefix); iterator->Valid(); iterator->Next()) {
      ASSIGN_OR_RETURN(KeySet set, ParseCatalogKey(ToView(iterator->key())));
      sets.push_back(std::move(set));
    }
    RETURN_IF_ROCKS_ERROR(iterator->status(), "reading");
    return sets;
  }

  Status Close() override { return store_.Close(); }

 private:
  static Status StageRows(const KeySet& set, OpenSet* open, const std::shared_ptr<arrow::Schema>& row_schema,
                          const std::vector<IndexRow>& rows, rocksdb::WriteBatch* batch) {
    uint16_t schema_number = 0;
    if (set.rows && !rows.empty()) {
      ASSIGN_OR_RETURN(schema_number, Store::SchemaNumber(open, row_schema, batch));
    }
    const RowValues values(set.rows, schema_number);
    const std::string prefix = DataPrefix(open->state.number);
    for (const IndexRow& row : rows) {
      if (row.skip) continue;
      const RowValue value = values.Of(row);
      const rocksdb::Slice key_parts[] = {prefix, ToSlice(row.key)};
      const rocksdb::Slice value_parts[] = {ToSlice(value.head), ToSlice(value.tail)};
      const rocksdb::Status put =
          batch->Put(nullptr, rocksdb::SliceParts(key_parts, 2), rocksdb::SliceParts(value_parts, 2));
      RETURN_IF_ROCKS_ERROR(put, "writing");
    }
    return OkStatus();
  }

  Store store_;
};

// Collects rows of other schemas than the asked one and brings them over, schema by schema.
class Conversion {
 public:
  Conversion(const OpenSet& open, const std::shared_ptr<arrow::Schema>& to) : to_(to) {
    for (const auto& schema : open.schemas) {
      from_.push_back(to == nullptr || columnar::SameColumns(*schema, *to) ? nullptr : schema);
    }
    pending_.resize(from_.size());
  }

  Result<bool> Needed(uint16_t schema_number) const {
    if (schema_number >= from_.size()) return Corruption("the key index has a row of an unknown schema");
    return from_[schema_number] != nullptr;
  }
  // `row` is replaced by Finish; its bytes must stay until then.
  void Add(uint16_t schema_number, std::string_view row, std::string* out) {
    pending_[schema_number].rows.push_back(row);
    pending_[schema_number].outs.push_back(out);
  }
  Status Finish() {
    for (size_t number = 0; number < pending_.size(); ++number) {
      auto& [rows, outs] = pending_[number];
      if (rows.empty()) continue;
      ASSIGN_OR_RETURN(const columnar::PackedBytes converted, ConvertRows(from_[number], to_, rows));
      for (size_t i = 0; i < outs.size(); ++i) *outs[i] = converted[i];
      rows.clear();
      outs.clear();
    }
    return OkStatus();
  }

 private:
  struct Pending {
    std::vector<std::string_view> rows;
    std::vector<std::string*> outs;
  };
  std::shared_ptr<arrow::Schema> to_;
  std::vector<std::shared_ptr<arrow::Schema>> from_;  // null where nothing is to do
  std::vector<Pending> pending_;
};

Result<std::vector<Found>> RocksKeyIndex::Find(const KeySet& set,
                                               const std::shared_ptr<arrow::Schema>& row_schema,
                                               const std::vector<std::string_view>& keys) {
  ASSIGN_OR_RETURN(OpenSet * open, store_.Usable(set));
  ASSIGN_OR_RETURN(rocksdb::DB * db, store_.db());
  std::vector<Found> found(keys.size());
  Conversion conversion(*open, row_schema);
  const std::string prefix = DataPrefix(open->state.number);
  std::string bytes;
  for (size_t start = 0; start < keys.size(); start += kFindKeys) {
    const size_t count = std::min(kFindKeys, keys.size() - start);
    size_t total = 0;
    for (size_t i = 0; i < count; ++i) total += prefix.size() + keys[start + i].size();
    bytes.clear();
    bytes.reserve(total);
    std::vector<rocksdb::Slice> slices;
    slices.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      const std::string_view key = keys[start + i];
      slices.emplace_back(bytes.data() + bytes.size(), prefix.size() + key.size());
      bytes.append(prefix).append(key);
    }
    std::vector<rocksdb::PinnableSlice> values(count);
    std::vector<rocksdb::Status> statuses(count);
    db->MultiGet(rocksdb::ReadOptions(), db->DefaultColumnFamily(), count, slices.data(), values.data(),
                 statuses.data());
    for (size_t i = 0; i < count; ++i) {
      if (statuses[i].IsNotFound()) continue;
      RETURN_IF_ROCKS_ERROR(statuses[i], "reading");
      Found& answer = found[start + i];
      answer.seen = true;
      if (!set.rows) continue;
      ASSIGN_OR_RETURN(const StoredRow stored, ParseStoredRow(ToView(values[i])));
      if (!stored.live) continue;
      ASSIGN_OR_RETURN(const bool convert, conversion.Needed(stored.schema_number));
      if (convert) {
        conversion.Add(stored.schema_number, stored.row, &answer.row.emplace());
      } else {
        answer.row.emplace(stored.row);
      }
    }
    RETURN_IF_ERROR(conversion.Finish());
  }
  return found;
}

Status RocksKeyIndex::Scan(const KeySet& set, const std::shared_ptr<arrow::Schema>& row_schema,
                           const std::function<Status(std::string_view, std::string_view)>& visit) {
  ASSIGN_OR_RETURN(OpenSet * open, store_.Usable(set));
  ASSIGN_OR_RETURN(rocksdb::DB * db, store_.db());
  Conversion conversion(*open, row_schema);
  const std::string prefix = DataPrefix(open->state.number);
  const std::string end = PrefixEnd(prefix);
  const rocksdb::Slice bound(end);
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &bound;
  options.readahead_size = 1 << 20;
  options.fill_cache = false;

  // Rows wait here while some of them are converted; their order is kept.
  struct Waiting {
    std::string key;
    std::string stored;
    std::string row;
    bool convert = false;
  };
  std::vector<Waiting> waiting;
  waiting.reserve(kScanRows);  // pointers into it are held
  const auto flush = [&]() -> Status {
    RETURN_IF_ERROR(conversion.Finish());
    for (const Waiting& entry : waiting)
      RETURN_IF_ERROR(visit(entry.key, entry.convert ? entry.row : entry.stored));
    waiting.clear();
    return OkStatus();
  };

  const std::unique_ptr<rocksdb::Iterator> iterator(db->NewIterator(options));
  for (iterator->Seek(prefix); iterator->Valid(); iterator->Next()) {
    const std::string_view key = ToView(iterator->key()).substr(prefix.size());
    if (!set.rows) {
      RETURN_IF_ERROR(visit(key, {}));
      continue;
    }
    ASSIGN_OR_RETURN(const StoredRow stored, ParseStoredRow(ToView(iterator->value())));
    if (!stored.live) continue;
    ASSIGN_OR_RETURN(const bool convert, conversion.Needed(stored.schema_number));
    if (!convert && waiting.empty()) {
      RETURN_IF_ERROR(visit(key, stored.row));
      continue;
    }
    Waiting& entry = waiting.emplace_back(Waiting{std::string(key), std::string(stored.row), {}, convert});
    if (convert) conversion.Add(stored.schema_number, entry.stored, &entry.row);
    if (waiting.size() == kScanRows) RETURN_IF_ERROR(flush());
  }
  RETURN_IF_ROCKS_ERROR(iterator->status(), "reading");
  return flush();
}

}  // namespace

Result<std::unique_ptr<KeyIndex>> KeyIndex::Open(const std::string& folder) {
  return std::unique_ptr<KeyIndex>(new RocksKeyIndex(folder));
}

}  // namespace sluice::index
