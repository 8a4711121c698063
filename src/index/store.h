#pragma once

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "columnar/keys.h"
#include "index/catalog.h"

namespace sluice::index {

// A set as the open database has it.
struct OpenSet {
  std::string catalog_key;
  SetState state;
  std::vector<std::shared_ptr<arrow::Schema>> schemas;  // by number
};

// The database and its catalog. Confined to one thread.
class Store {
 public:
  explicit Store(std::string folder) : folder_(std::move(folder)) {}
  ~Store();

  // The database, opened when it is not.
  Result<rocksdb::DB*> db();
  Status Close();

  // Null when there is no such set. Valid until the next Create, Forget or Close.
  Result<OpenSet*> Find(const KeySet& set);
  // Errors: kNotFound; kConflict when a bulk load was cut short.
  Result<OpenSet*> Usable(const KeySet& set);
  // A new set with a number of its own (the counter's move goes into `batch`); replaces the known one.
  Result<OpenSet*> Create(const KeySet& set, rocksdb::WriteBatch* batch);
  // The set for rows to come: Usable, or a new one.
  Result<OpenSet*> ForWriting(const KeySet& set, rocksdb::WriteBatch* batch);
  // The number of `schema` in the set; a new one goes into `batch`.
  static Result<uint16_t> SchemaNumber(OpenSet* open, const std::shared_ptr<arrow::Schema>& schema,
                                       rocksdb::WriteBatch* batch);
  static void PutState(const OpenSet& open, rocksdb::WriteBatch* batch);
  // Writes. After a failure the database is closed, with all that was known of it.
  Status Write(const KeySet& set, rocksdb::WriteBatch* batch, bool sync);
  void Forget(const KeySet& set) { sets_.erase(CatalogKey(set)); }
  // Deletes what the numbers hold, in `batch`; then gives the space back as far as that is cheap.
  static void DeleteContent(uint32_t number, rocksdb::WriteBatch* batch);
  void ReclaimSpace(uint32_t number);

  // A folder for a bulk load's files; leftovers of earlier processes are removed at opening.
  std::string NewLoadFolder();

 private:
  Status Open();

  std::string folder_;
  std::unique_ptr<rocksdb::DB> db_;
  std::map<std::string, OpenSet> sets_;  // by catalog key
  int loads_ = 0;
};

// Rows of one stored schema as rows of another.
Result<columnar::PackedBytes> ConvertRows(const std::shared_ptr<arrow::Schema>& from,
                                          const std::shared_ptr<arrow::Schema>& to,
                                          const std::vector<std::string_view>& rows);

}  // namespace sluice::index
