#include "ingest/slice_indexer.h"

#include <arrow/array.h>
#include <arrow/array/util.h>
#include <arrow/compute/cast.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "columnar/arrow_status.h"
#include "columnar/plain_types.h"
#include "columnar/slice.h"
#include "dataset/dataset.h"
#include "ingest/index_sync.h"

namespace sluice::ingest {

Result<SliceIndexer> SliceIndexer::Make(const index::KeySet& set, const odf::ChainState& state) {
  columnar::EnsureArrowCompute();
  SliceIndexer indexer;
  indexer.set_ = &set;
  indexer.op_column_ = state.vocabulary.op;
  ASSIGN_OR_RETURN(indexer.row_schema_, IndexRowSchema(state));
  if (set.rows) {
    indexer.read_schema_ = indexer.row_schema_;
  } else {
    arrow::FieldVector fields;
    for (const auto& name : set.columns) {
      auto field = indexer.row_schema_->GetFieldByName(name);
      if (!field) return InvalidArgument("primary key column '{}' is not in the dataset", name);
      fields.push_back(field);
    }
    indexer.read_schema_ = arrow::schema(fields);
  }
  ASSIGN_OR_RETURN(auto encoder, columnar::KeyEncoder::Make(*indexer.read_schema_, set.columns));
  indexer.encoder_.emplace(std::move(encoder));
  ASSIGN_OR_RETURN(auto codec, columnar::RowCodec::Make(indexer.row_schema_));
  indexer.codec_.emplace(std::move(codec));
  return indexer;
}

Status SliceIndexer::Read(const storage::Storage& files, const odf::DataSlice& slice,
                          const Visitor& visit) const {
  const std::string name = dataset::DataName(slice.physical_hash);
  ASSIGN_OR_RETURN(auto metadata, columnar::ReadSliceMetadata(files, name));
  // Columns added later are missing in older slices: they read as NULL.
  std::vector<std::string> columns = {op_column_};
  for (const auto& field : read_schema_->fields()) {
    if (metadata.schema->GetFieldIndex(field->name()) >= 0) columns.push_back(field->name());
  }
  ASSIGN_OR_RETURN(auto reader, columnar::SliceReader::Open(files, name, columns));
  return ReadAll(*reader, visit);
}

Status SliceIndexer::ReadStaged(storage::StagedFile& file, const Visitor& visit) const {
  ASSIGN_OR_RETURN(auto reader, columnar::SliceReader::OpenStaged(file));
  return ReadAll(*reader, visit);
}

Status SliceIndexer::ReadAll(columnar::SliceReader& reader, const Visitor& visit) const {
  while (true) {
    ASSIGN_OR_RETURN(auto batch, reader.Next());
    if (!batch) return {};
    RETURN_IF_ERROR(Index(*batch, visit));
  }
}

Status SliceIndexer::Index(const arrow::RecordBatch& batch, const Visitor& visit) const {
  arrow::ArrayVector arrays;
  for (const auto& field : read_schema_->fields()) {
    auto array = batch.GetColumnByName(field->name());
    if (!array) {
      ASSIGN_OR_RETURN_ARROW(array, arrow::MakeArrayOfNull(field->type(), batch.num_rows()));
    } else if (!array->type()->Equals(*field->type())) {
      ASSIGN_OR_RETURN_ARROW(auto datum, arrow::compute::Cast(arrow::Datum(array), field->type()));
      array = datum.make_array();
    }
    arrays.push_back(std::move(array));
  }
  auto rows = arrow::RecordBatch::Make(read_schema_, batch.num_rows(), std::move(arrays));
  ASSIGN_OR_RETURN_ARROW(
      auto op_datum, arrow::compute::Cast(arrow::Datum(batch.GetColumnByName(op_column_)), arrow::int32()));
  const auto op_array = op_datum.make_array();
  const auto& ops = static_cast<const arrow::Int32Array&>(*op_array);

  auto packed = std::make_shared<Packed>();
  auto& [keys, values] = *packed;
  std::vector<bool> null_rows;
  RETURN_IF_ERROR(encoder_->Encode(*rows, &keys, &null_rows));
  if (set_->rows) RETURN_IF_ERROR(codec_->Encode(*rows, &values));
  std::vector<index::IndexRow> out;
  out.reserve(static_cast<size_t>(rows->num_rows()));
  for (int64_t i = 0; i < rows->num_rows(); ++i) {
    const auto at = static_cast<size_t>(i);
    if (!null_rows.empty() && null_rows[at]) continue;  // another program's: never matches
    const auto op = static_cast<odf::Op>(ops.Value(i));
    out.push_back({keys[at], set_->rows ? values[at] : std::string_view(), op == odf::Op::kRetract,
                   op == odf::Op::kCorrectFrom});
  }
  return visit(out, packed);
}

}  // namespace sluice::ingest
