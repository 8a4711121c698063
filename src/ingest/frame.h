#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "ingest/progress.h"
#include "ingest/rejects.h"
#include "ingest/shape.h"
#include "odf/chain_state.h"
#include "read/reader.h"
#include "sql/preprocess.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace sluice::ingest {

// What a source says about its data, taken from either kind of source event.
struct SourceDefinition {
  std::string name;
  odf::ReadStep read;
  std::optional<odf::TransformSql> preprocess;
  odf::MergeStrategy merge;

  bool operator==(const SourceDefinition&) const = default;
};

// A prepared query, handed from one input to the next of the same columns. Confined to one thread.
struct PreprocessCache {
  std::shared_ptr<arrow::Schema> input;
  std::shared_ptr<sql::Preprocess> preprocess;
};

struct FrameOptions {
  read::ReadOptions read;
  sql::Limits sql;
  Progress* progress = nullptr;  // may be null
  // Of inputs of one source that are read one after the other, each to its end; may be null.
  PreprocessCache* preprocess_cache = nullptr;
};

// One input on its way to a merge: read, preprocessed, shaped (odf-ingest.md 1, 2, 4.1). Confined to one
// thread.
class Frame {
 public:
  // `state` gives vocabulary and schema. Errors: those of reader, query and shaper.
  static Result<std::unique_ptr<Frame>> Open(const SourceDefinition& source, const odf::ChainState& state,
                                             std::unique_ptr<read::ByteSource> input,
                                             std::optional<odf::ReadFormat> format, RejectLog* rejects,
                                             const FrameOptions& options);

  // Null = no frame: empty input and no declared schema.
  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }
  // Null at the end. Rows that no merge could take (a NULL key, a NULL where the dataset wants a value, an
  // event time that cannot be read) are bad records too. With OnError::kFail the end of an input with bad
  // records is their error.
  Result<std::shared_ptr<arrow::RecordBatch>> Next();

  // Shapes the rows for a dataset with this schema. Before the first Next. Errors: those of the shaper.
  Status AlignTo(const odf::DataSchema& schema);
  // Ends reading and gives up what that needs (files, threads); what was counted stays.
  void CloseInput();

  int64_t rows_read() const { return rows_read_; }
  const std::string& input_name() const { return input_name_; }

 private:
  Frame() = default;
  Result<std::shared_ptr<arrow::RecordBatch>> NextRead();
  Result<std::shared_ptr<arrow::RecordBatch>> NextQueried();
  Status CheckRefused() const;
  // Adds the NULLs in the shaped rows' key columns.
  void FindNullKeys(const arrow::RecordBatch& shaped, std::vector<BadValue>* bad) const;
  // `shaped` without the bad rows, which become rejects with the text of `rows`.
  Result<std::shared_ptr<arrow::RecordBatch>> LeaveOut(const std::vector<BadValue>& bad,
                                                       const arrow::RecordBatch& rows,
                                                       const arrow::RecordBatch& shaped);
  int64_t RecordOf(int64_t row) const;

  std::string input_name_;
  std::unique_ptr<read::Reader> reader_;
  std::shared_ptr<sql::Preprocess> preprocess_;
  ShapeSpec shape_;
  std::shared_ptr<arrow::Schema> unshaped_;
  std::optional<Shaper> shaper_;
  std::shared_ptr<arrow::Schema> schema_;
  sql::RecordBatches pending_;  // query results not yet handed on, in reverse order
  bool queried_all_ = false;
  std::vector<std::string> key_columns_;
  // Of the batch that was read last: the number of its first record, and of those that were left out.
  int64_t first_record_ = 1;
  std::vector<int64_t> left_out_;
  RejectLog* rejects_ = nullptr;
  Progress* progress_ = nullptr;
  std::stop_token stop_;
  int64_t rows_read_ = 0;
  int64_t rows_out_ = 0;
};

// The transform in plain form, for sql.
sql::TransformSpec ToSpec(const odf::TransformSql& transform);

// The definition of an active source. Errors: kNotFound and kInvalidArgument by the table of
// odf-ingest.md 6.1, listing the choices.
Result<SourceDefinition> SelectPushSource(const odf::ChainState& state,
                                          const std::optional<std::string>& name);

// The definition of the active polling source, under the name of its state. Errors: kNotFound.
Result<SourceDefinition> SelectPollingSource(const odf::ChainState& state);

// The schema that a source's rows will have before the merge, when that can be known without data
// (push-protocol.md 2): the declared read schema run through the query and shaped; null when only data can
// tell.
Result<std::shared_ptr<arrow::Schema>> StaticFrameSchema(const SourceDefinition& source,
                                                         const odf::ChainState& state);

}  // namespace sluice::ingest
