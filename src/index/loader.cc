#include "index/loader.h"

#include "index/rocks.h"
#include "index/sorted_files.h"

namespace sluice::index {
namespace {

using multiformats::Multihash;

class StoreLoader final : public Loader {
 public:
  StoreLoader(Store* store, KeySet set, uint32_t number, uint16_t schema_number, bool whole)
      : store_(store),
        set_(std::move(set)),
        number_(number),
        whole_(whole),
        values_(set_.rows, schema_number),
        files_({.folder = store->NewLoadFolder(), .prefix = DataPrefix(number)}) {}

  Status Add(const std::vector<IndexRow>& rows) override {
    if (prepared_) return Internal("rows added to the key index after the last");
    for (const IndexRow& row : rows) {
      if (row.skip) continue;
      const RowValue value = values_.Of(row);
      RETURN_IF_ERROR(files_.Add(row.key, value.head, value.tail));
    }
    return OkStatus();
  }

  Status Prepare() override {
    if (prepared_) return OkStatus();
    prepared_ = true;
    return files_.Finish();
  }

  Status Finish(const Multihash& head) override {
    RETURN_IF_ERROR(Prepare());
    ASSIGN_OR_RETURN(OpenSet * open, store_->Find(set_));
    if (open == nullptr || open->state.number != number_ || open->state.loading.has_value() != whole_) {
      return MakeError(ErrorCode::kConflict,
                       "the key index of dataset '{}' was replaced while rows were loaded",
                       set_.dataset.ToString());
    }
    if (!whole_) {
      open->state.loading = head;
      RETURN_IF_ERROR(PutState(open));
    }
    const Status taken = TakeIn();
    if (!taken.ok()) {
      // Nothing of the files is in the database: the set is what it was.
      if (!whole_) {
        open->state.loading.reset();
        RETURN_IF_ERROR(PutState(open));
      }
      return taken;
    }
    open->state.loading.reset();
    open->state.head = head;
    return PutState(open);
  }

 private:
  // Synced: files come in beside the log, so the marks must not be younger than they.
  Status PutState(OpenSet* open) {
    rocksdb::WriteBatch batch;
    Store::PutState(*open, &batch);
    return store_->Write(set_, &batch, true);
  }

  // All files or none.
  Status TakeIn() {
    if (files_.files().empty()) return OkStatus();
    ASSIGN_OR_RETURN(rocksdb::DB * db, store_->db());
    rocksdb::IngestExternalFileOptions options;
    options.move_files = true;
    options.snapshot_consistency = false;
    options.write_global_seqno = false;
    RETURN_IF_ROCKS_ERROR(db->IngestExternalFile(files_.files(), options), "loading files into");
    return OkStatus();
  }

  Store* store_;
  KeySet set_;
  uint32_t number_;
  bool whole_;
  bool prepared_ = false;
  RowValues values_;
  SortedFiles files_;
};

}  // namespace

Result<std::unique_ptr<Loader>> MakeLoader(Store* store, const KeySet& set,
                                           const std::shared_ptr<arrow::Schema>& row_schema,
                                           const std::optional<Multihash>& target) {
  rocksdb::WriteBatch batch;
  ASSIGN_OR_RETURN(const OpenSet* old, store->Find(set));
  const std::optional<uint32_t> old_number = old == nullptr ? std::nullopt : std::optional(old->state.number);
  OpenSet* open = nullptr;
  if (target) {
    if (old_number) Store::DeleteContent(*old_number, &batch);
    ASSIGN_OR_RETURN(open, store->Create(set, &batch));
    open->state.loading = target;
  } else {
    ASSIGN_OR_RETURN(open, store->ForWriting(set, &batch));
  }
  uint16_t schema_number = 0;
  if (set.rows) {
    Result<uint16_t> number = Store::SchemaNumber(open, row_schema, &batch);
    if (!number.ok()) {
      store->Forget(set);
      return std::move(number).error();
    }
    schema_number = *number;
  }
  Store::PutState(*open, &batch);
  const uint32_t number = open->state.number;
  RETURN_IF_ERROR(store->Write(set, &batch, true));
  if (target && old_number) store->ReclaimSpace(*old_number);
  return std::unique_ptr<Loader>(new StoreLoader(store, set, number, schema_number, target.has_value()));
}

}  // namespace sluice::index
