#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "ingest/linked_objects.h"
#include "ingest/progress.h"
#include "ingest/rejects.h"
#include "ingest/shape.h"
#include "ingest/source_definition.h"
#include "odf/chain_state.h"
#include "read/reader.h"
#include "sql/preprocess.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace sluice::ingest {

class FramePlan;

struct FrameOptions {
  read::ReadOptions read;
  sql::Limits sql = {.time_ms = 600'000};  // of each run of the query
  Progress* progress = nullptr;            // may be null
  // Where the objects lie that rows may link to; null: links are the merge's to check.
  const storage::Storage* objects = nullptr;
};

// One input on its way to a merge: read, preprocessed, shaped (odf-ingest.md 1, 2, 4.1). Confined to one
// thread.
class Frame {
 public:
  // `state` gives vocabulary and schema. Errors: those of reader, query and shaper.
  static Result<std::unique_ptr<Frame>> Open(const SourceDefinition& source, const odf::ChainState& state,
                                             std::unique_ptr<read::ByteSource> input,
                                             std::optional<read::InputFormat> format, RejectLog* rejects,
                                             const FrameOptions& options);

  // The same, by a plan that is used for many inputs.
  static Result<std::unique_ptr<Frame>> Open(std::shared_ptr<FramePlan> plan,
                                             std::unique_ptr<read::ByteSource> input, RejectLog* rejects,
                                             const FrameOptions& options);
  ~Frame();

  // Null = no frame: empty input and no declared schema.
  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }
  // Null at the end. Rows that no merge could take (a NULL key, an operation that is none, a NULL where the
  // dataset wants a value, an event time that cannot be read, a link to no object) are bad records too. With
  // OnError::kFail the end of an input with bad records is their error.
  Result<std::shared_ptr<arrow::RecordBatch>> Next();

  // Shapes the rows for a dataset with this schema. Before the first Next. Errors: those of the shaper.
  Status AlignTo(const odf::DataSchema& schema);
  // Ends reading and gives up what that needs (files, threads); what was counted stays.
  void CloseInput();

  int64_t rows_read() const { return rows_read_; }
  const std::string& input_name() const { return input_name_; }
  // Of the coordinates, as well-known text; empty where the input tells none.
  const std::string& projection() const { return projection_; }

 private:
  Frame() = default;
  Result<std::shared_ptr<arrow::RecordBatch>> NextRead();
  Result<std::shared_ptr<arrow::RecordBatch>> NextQueried();
  Status PeekAtStructs();
  Result<Shaper> MakeShaper();
  Status CheckRefused() const;
  // Adds the NULLs in the shaped rows' key columns.
  void FindNullKeys(const arrow::RecordBatch& shaped, std::vector<BadValue>* bad) const;
  // Adds the operations that are none, where the rows bring them along.
  Status FindBadOps(const arrow::RecordBatch& shaped, std::vector<BadValue>* bad) const;
  // `shaped` without the bad rows, which become rejects with the text of `rows`.
  Result<std::shared_ptr<arrow::RecordBatch>> LeaveOut(const std::vector<BadValue>& bad,
                                                       const arrow::RecordBatch& rows,
                                                       const arrow::RecordBatch& shaped);
  int64_t RecordOf(int64_t row) const;
  int64_t InputRecordOf(int64_t row) const;
  // The batch that was read last is done with.
  void PassBatch();

  std::string input_name_, projection_;
  std::shared_ptr<FramePlan> plan_;
  std::unique_ptr<read::Reader> reader_;
  std::shared_ptr<arrow::Schema> read_schema_;
  std::unique_ptr<sql::Preprocess> preprocess_;
  std::shared_ptr<arrow::Schema> unshaped_;
  std::optional<Shaper> shaper_;
  std::optional<LinkedObjects> links_;
  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<arrow::RecordBatch> peeked_;  // first rows, not yet handed on
  std::set<std::string> null_structs_;
  sql::RecordBatches pending_;  // query results not yet handed on, in reverse order
  bool queried_all_ = false;
  bool ended_well_ = false;  // the query may be used again
  // The number of the last record before the batch that was read last, that batch's rows, and the numbers of
  // the bad records behind `last_record_`: a reader may tell of them before the rows around them.
  int64_t last_record_ = 0;
  int64_t batch_rows_ = 0;
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

// All columns of all these, each where it is met first; one that is optional in any of them, or that any of
// them lacks, is optional. Nulls are passed over; null when there is nothing else.
std::shared_ptr<arrow::Schema> JoinColumns(const std::vector<std::shared_ptr<arrow::Schema>>& schemas);
// What is known without data of the active push sources other than `name`.
std::vector<std::shared_ptr<arrow::Schema>> StaticSchemasOfOthers(const odf::ChainState& state,
                                                                  const std::string& name);

}  // namespace sluice::ingest
