#include "merge/gather.h"
#include "merge/merge_internal.h"

namespace sluice::merge {
namespace {

constexpr size_t kOutputRows = 64 << 10;

// The input as it is, by key and then in input order, which keeps what happened to a key in sequence.
class ChangelogMerger final : public Merger {
 public:
  ChangelogMerger(const MergeSpec& spec, KeyReader keys, SchemaPtr output)
      : input_(spec.input), op_(spec.vocabulary.op), output_(std::move(output)), keys_(std::move(keys)) {}

  SchemaPtr output_schema() const override { return output_; }
  const std::vector<columnar::SortKey>& order() const override { return order_; }

  Result<BatchPtr> Push(const BatchPtr& rows) override {
    RETURN_IF_ERROR(CheckColumns(*input_, *rows));
    const int64_t row_base = current_.received;
    current_.received += rows->num_rows();
    RETURN_IF_ERROR(keys_.Read(*rows, row_base, &encoded_));
    ASSIGN_OR_RETURN(const std::vector<uint8_t> ops, RequireOps(*rows, op_, row_base));
    for (uint8_t op : ops) {
      current_.appended += op == static_cast<uint8_t>(odf::Op::kAppend) ? 1 : 0;
      current_.retracted += op == static_cast<uint8_t>(odf::Op::kRetract) ? 1 : 0;
      current_.corrected += op == static_cast<uint8_t>(odf::Op::kCorrectTo) ? 1 : 0;
    }
    std::vector<std::shared_ptr<arrow::Array>> columns;
    for (const auto& field : output_->fields()) columns.push_back(rows->GetColumnByName(field->name()));
    for (int64_t row = 0; row < rows->num_rows(); ++row) {
      refs_.push_back({static_cast<uint32_t>(batches_.size()), static_cast<uint32_t>(row)});
    }
    batches_.push_back(arrow::RecordBatch::Make(output_, rows->num_rows(), std::move(columns)));
    return nullptr;
  }

  Result<std::vector<BatchPtr>> EndBatch() override {
    std::vector<BatchPtr> result;
    std::vector<RowRef> refs;
    for (uint32_t row : columnar::SortedOrder(encoded_)) {
      refs.push_back(refs_[row]);
      if (refs.size() == kOutputRows) RETURN_IF_ERROR(Flush(&refs, &result));
    }
    RETURN_IF_ERROR(Flush(&refs, &result));
    counts_ = current_;
    AbandonBatch();
    return result;
  }
  void AbandonBatch() override {
    current_ = {};
    encoded_.Clear();
    batches_.clear();
    refs_.clear();
  }
  const MergeCounts& counts() const override { return counts_; }

 private:
  Status Flush(std::vector<RowRef>* refs, std::vector<BatchPtr>* result) const {
    if (refs->empty()) return OkStatus();
    ASSIGN_OR_RETURN(BatchPtr batch, Gather(output_, batches_, *refs));
    result->push_back(std::move(batch));
    refs->clear();
    return OkStatus();
  }

  SchemaPtr input_;
  std::string op_;
  SchemaPtr output_;
  std::vector<columnar::SortKey> order_;
  KeyReader keys_;
  columnar::PackedBytes encoded_;
  std::vector<BatchPtr> batches_;
  std::vector<RowRef> refs_;
  MergeCounts current_;
  MergeCounts counts_;
};

}  // namespace

Result<std::unique_ptr<Merger>> MakeChangelog(const MergeSpec& spec) {
  const std::string& op = spec.vocabulary.op;
  RETURN_IF_ERROR(CheckOpColumn(*spec.input, op));
  ASSIGN_OR_RETURN(KeyReader keys, KeyReader::Make(*spec.input, spec.strategy.primary_key));
  const SchemaPtr others = WithoutColumn(*spec.input, op);
  arrow::FieldVector fields{spec.input->GetFieldByName(op)->WithNullable(false)};
  fields.insert(fields.end(), others->fields().begin(), others->fields().end());
  return std::unique_ptr<Merger>(
      new ChangelogMerger(spec, std::move(keys), arrow::schema(std::move(fields), spec.input->metadata())));
}

}  // namespace sluice::merge
