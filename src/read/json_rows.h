#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "columnar/cast.h"
#include "read/json_columns.h"
#include "read/json_text.h"
#include "read/rejects.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace sluice::read {

// Where a record stands, counted from 0; line -1 = the format has none.
struct JsonPlace {
  std::string_view raw;
  int64_t record = 0;
  int64_t line = -1;
};

// What every JSON-like format needs to turn records into rows. Immutable.
struct JsonRowsPlan {
  std::shared_ptr<arrow::Schema> fields;  // with the marks of guessed fields
  std::shared_ptr<arrow::Schema> schema;  // without
  columnar::CastOptions cast;
  bool strict = false;    // a field that the schema does not know is a reject
  bool features = false;  // records are GeoJSON features (odf-ingest.md 1.8)
};

// A batch of rows grown from records. Confined to one thread; the texts must stay until Finish.
class JsonRows {
 public:
  static Result<std::unique_ptr<JsonRows>> Make(std::shared_ptr<const JsonRowsPlan> plan);

  // Reads the record at `p`, which must be `{`; returns what follows it, null with `error` filled in: then
  // nothing was added. Records that do not fit become rejects. `check_behind`, where given, has a last word
  // on what follows it: null = malformed.
  using CheckBehind = const char* (*)(const char* p, JsonError* error);
  Result<const char*> AddObject(const char* p, JsonPlace place, CheckBehind check_behind, JsonError* error);
  // Whether records must be looked at for bytes that are not UTF-8; the caller knows when all of the text is.
  void CheckText(bool check) { check_text_ = check; }
  // A record that is bad as a whole.
  void Refuse(const JsonPlace& place, std::string_view column, std::string_view value, std::string reason);

  int64_t rows() const { return flushed_rows_ + static_cast<int64_t>(places_.size()); }
  Result<std::shared_ptr<arrow::RecordBatch>> Finish();
  std::vector<columnar::Reject> TakeRejects() { return rejects_.Take(); }

 private:
  explicit JsonRows(std::shared_ptr<const JsonRowsPlan> plan);
  Status Flush();

  std::shared_ptr<const JsonRowsPlan> plan_;
  JsonSlots slots_;
  std::vector<std::unique_ptr<JsonColumn>> columns_;
  size_t round_rows_;
  std::vector<std::string_view> values_;  // of the records not yet in columns
  std::vector<JsonPlace> places_;
  int64_t flushed_rows_ = 0;
  RejectList rejects_;
  bool check_text_ = false;
  TextArena features_;  // records made from features
};

// The record that a feature stands for: its properties and `geometry`, a string with canonical JSON; in
// `arena`, followed by padding. `feature` is checked. Errors: kInvalidArgument saying what is missing.
Result<std::string_view> RecordOfFeature(std::string_view feature, TextArena* arena);

}  // namespace sluice::read
