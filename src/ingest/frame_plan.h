#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/result.h"
#include "ingest/shape.h"
#include "ingest/source_definition.h"
#include "odf/chain_state.h"
#include "read/reader.h"
#include "sql/preprocess.h"

namespace sluice::ingest {

// What is the same for every input of a source: its checked read step, its prepared queries, its shaper. Made
// once and used for many inputs (push-protocol.md 6). Thread-safe.
class FramePlan {
 public:
  // `state` gives vocabulary and schema, `format` another format than the source's own. Errors: those of
  // reader and shaper.
  static Result<std::shared_ptr<FramePlan>> Make(SourceDefinition source, const odf::ChainState& state,
                                                 std::optional<read::InputFormat> format);

  const SourceDefinition& source() const { return source_; }
  const read::ReadPlan& read() const { return *read_; }
  const ShapeSpec& shape() const { return shape_; }
  // Whether what becomes of a record is a matter of that record alone: records of many inputs can then be
  // read as one input.
  bool IsRecordByRecord();
  // Whether it still holds for the dataset as it is now: same source, schema and vocabulary.
  bool HoldsFor(const odf::ChainState& state) const;

  // A prepared query for rows of `input`, to be given back after a run that went well. Null without a query.
  Result<std::unique_ptr<sql::Preprocess>> TakePreprocess(const std::shared_ptr<arrow::Schema>& input,
                                                          const sql::Limits& limits);
  void GiveBack(const std::shared_ptr<arrow::Schema>& input, std::unique_ptr<sql::Preprocess> preprocess);
  // The shaper of rows with the columns of `frame`.
  Result<Shaper> ShaperOf(const std::shared_ptr<arrow::Schema>& frame);

 private:
  FramePlan() = default;
  // While the dataset has no schema, what its sources say of it: the first that writes makes the schema of
  // all.
  Status AgreeWithOthers(const odf::ChainState& state);

  SourceDefinition source_;
  std::vector<odf::AddPushSource> others_;  // that were asked
  std::shared_ptr<const read::ReadPlan> read_;
  ShapeSpec shape_;
  bool may_be_record_by_record_ = false;  // but for the query

  std::mutex mutex_;
  std::optional<bool> query_is_row_by_row_;  // under mutex_, once it was asked
  struct IdleQuery {
    std::shared_ptr<arrow::Schema> input;
    std::unique_ptr<sql::Preprocess> preprocess;
  };
  std::vector<IdleQuery> idle_;            // under mutex_
  std::shared_ptr<arrow::Schema> shaped_;  // under mutex_; what shaper_ takes
  std::optional<Shaper> shaper_;           // under mutex_
};

}  // namespace sluice::ingest
