#include "index/store.h"

#include <rocksdb/convenience.h>
#include <rocksdb/experimental.h>

#include <filesystem>
#include <limits>

#include "columnar/conform.h"
#include "index/rocks.h"

namespace sluice::index {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLoadFolder = "load-";

void RemoveLeftovers(const std::string& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().filename().string().starts_with(kLoadFolder)) fs::remove_all(entry.path(), ignored);
  }
}

}  // namespace

Store::~Store() {
  if (db_ != nullptr) (void)db_->Close();
}

Result<rocksdb::DB*> Store::db() {
  if (db_ == nullptr) RETURN_IF_ERROR(Open());
  return db_.get();
}

Status Store::Open() {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) return FromErrno(error.value(), fmt::format("making '{}'", folder_));
  rocksdb::DB* db = nullptr;
  RETURN_IF_ROCKS_ERROR(rocksdb::DB::Open(IndexOptions(), folder_, &db), "opening");
  db_.reset(db);
  RemoveLeftovers(folder_);
  return OkStatus();
}

Status Store::Close() {
  sets_.clear();
  if (db_ == nullptr) return OkStatus();
  const rocksdb::Status status = db_->Close();
  db_.reset();
  RETURN_IF_ROCKS_ERROR(status, "closing");
  return OkStatus();
}

Result<OpenSet*> Store::Find(const KeySet& set) {
  const std::string key = CatalogKey(set);
  if (auto known = sets_.find(key); known != sets_.end()) return &known->second;
  ASSIGN_OR_RETURN(rocksdb::DB * database, db());
  std::string value;
  const rocksdb::Status status = database->Get(rocksdb::ReadOptions(), key, &value);
  if (status.IsNotFound()) return nullptr;
  RETURN_IF_ROCKS_ERROR(status, "reading");
  OpenSet open;
  open.catalog_key = key;
  ASSIGN_OR_RETURN(open.state, DecodeState(value));
  const std::string prefix = SchemaPrefix(open.state.number);
  const std::string end = PrefixEnd(prefix);
  const rocksdb::Slice bound(end);
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &bound;
  const std::unique_ptr<rocksdb::Iterator> iterator(database->NewIterator(options));
  for (iterator->Seek(prefix); iterator->Valid(); iterator->Next()) {
    ASSIGN_OR_RETURN(auto schema, ParseSchema(iterator->value().ToString()));
    open.schemas.push_back(std::move(schema));
  }
  RETURN_IF_ROCKS_ERROR(iterator->status(), "reading");
  return &sets_.emplace(key, std::move(open)).first->second;
}

Result<OpenSet*> Store::Usable(const KeySet& set) {
  ASSIGN_OR_RETURN(OpenSet * open, Find(set));
  if (open == nullptr) {
    return NotFound("no key index for dataset '{}' by these columns", set.dataset.ToString());
  }
  if (open->state.loading) {
    return MakeError(ErrorCode::kConflict,
                     "the key index of dataset '{}' is incomplete: its loading was cut short",
                     set.dataset.ToString());
  }
  return open;
}

Result<OpenSet*> Store::Create(const KeySet& set, rocksdb::WriteBatch* batch) {
  ASSIGN_OR_RETURN(rocksdb::DB * database, db());
  uint32_t number = 0;
  std::string value;
  const rocksdb::Status status = database->Get(rocksdb::ReadOptions(), kNextNumberKey, &value);
  if (!status.IsNotFound()) {
    RETURN_IF_ROCKS_ERROR(status, "reading");
    ASSIGN_OR_RETURN(number, DecodeNumber(value));
  }
  batch->Put(kNextNumberKey, EncodeNumber(number + 1));
  OpenSet open;
  open.catalog_key = CatalogKey(set);
  open.state.number = number;
  return &(sets_[open.catalog_key] = std::move(open));
}

Result<OpenSet*> Store::ForWriting(const KeySet& set, rocksdb::WriteBatch* batch) {
  ASSIGN_OR_RETURN(const OpenSet* known, Find(set));
  return known == nullptr ? Create(set, batch) : Usable(set);
}

Result<uint16_t> Store::SchemaNumber(OpenSet* open, const std::shared_ptr<arrow::Schema>& schema,
                                     rocksdb::WriteBatch* batch) {
  if (schema == nullptr) return Internal("rows for the key index without a schema");
  for (size_t i = open->schemas.size(); i-- > 0;) {
    if (columnar::SameColumns(*open->schemas[i], *schema)) return static_cast<uint16_t>(i);
  }
  if (open->schemas.size() > std::numeric_limits<uint16_t>::max())
    return Internal("too many schemas in the key index");
  ASSIGN_OR_RETURN(const std::string bytes, SerializeSchema(*schema));
  const auto number = static_cast<uint16_t>(open->schemas.size());
  batch->Put(SchemaKey(open->state.number, number), bytes);
  open->schemas.push_back(schema);
  return number;
}

void Store::PutState(const OpenSet& open, rocksdb::WriteBatch* batch) {
  batch->Put(open.catalog_key, EncodeState(open.state));
}

Status Store::Write(const KeySet& set, rocksdb::WriteBatch* batch, bool sync) {
  ASSIGN_OR_RETURN(rocksdb::DB * database, db());
  rocksdb::WriteOptions options;
  options.sync = sync;
  const rocksdb::Status status = database->Write(options, batch);
  if (!status.ok()) {
    // A database whose log met an I/O error takes no more writes until it is opened anew: the next call does.
    (void)Close().ok();
  }
  RETURN_IF_ROCKS_ERROR(status, "writing");
  return OkStatus();
}

void Store::DeleteContent(uint32_t number, rocksdb::WriteBatch* batch) {
  for (const std::string& prefix : {DataPrefix(number), SchemaPrefix(number)}) {
    batch->DeleteRange(prefix, PrefixEnd(prefix));
  }
}

void Store::ReclaimSpace(uint32_t number) {
  if (db_ == nullptr) return;
  const std::string prefix = DataPrefix(number);
  const std::string end = PrefixEnd(prefix);
  const rocksdb::Slice first(prefix), last(end);
  // Only whole files and a hint: a failure leaves garbage that nobody reads and later compactions remove.
  (void)rocksdb::DeleteFilesInRange(db_.get(), db_->DefaultColumnFamily(), &first, &last, false);
  (void)rocksdb::experimental::SuggestCompactRange(db_.get(), &first, &last);
}

std::string Store::NewLoadFolder() { return fmt::format("{}/{}{}", folder_, kLoadFolder, loads_++); }

Result<columnar::PackedBytes> ConvertRows(const std::shared_ptr<arrow::Schema>& from,
                                          const std::shared_ptr<arrow::Schema>& to,
                                          const std::vector<std::string_view>& rows) {
  ASSIGN_OR_RETURN(const columnar::RowCodec reader, columnar::RowCodec::Make(from));
  ASSIGN_OR_RETURN(const columnar::RowCodec writer, columnar::RowCodec::Make(to));
  ASSIGN_OR_RETURN(auto batch, reader.Decode(rows));
  ASSIGN_OR_RETURN(batch, columnar::ConformBatch(batch, to));
  columnar::PackedBytes converted;
  RETURN_IF_ERROR(writer.Encode(*batch, &converted));
  return converted;
}

}  // namespace sluice::index
