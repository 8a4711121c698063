#include "merge/merge_internal.h"

namespace sluice::merge {
namespace {

class AppendMerger final : public Merger {
 public:
  explicit AppendMerger(const MergeSpec& spec)
      : input_(spec.input),
        output_(WithOp(spec.vocabulary.op, *spec.input)),
        order_{{spec.vocabulary.event_time}} {}

  SchemaPtr output_schema() const override { return output_; }
  const std::vector<columnar::SortKey>& order() const override { return order_; }

  Result<BatchPtr> Push(const BatchPtr& rows) override {
    RETURN_IF_ERROR(CheckColumns(*input_, *rows));
    current_.received += rows->num_rows();
    current_.appended += rows->num_rows();
    if (rows->num_rows() == 0) return nullptr;
    return AddOp(output_, rows, odf::Op::kAppend);
  }
  Result<BatchPtr> PushSingles(const BatchPtr& rows, std::vector<bool>* added) override {
    added->assign(static_cast<size_t>(rows->num_rows()), true);
    return Push(rows);
  }
  Result<std::vector<BatchPtr>> EndBatch() override {
    counts_ = std::exchange(current_, {});
    return std::vector<BatchPtr>();
  }
  void AbandonBatch() override { current_ = {}; }
  const MergeCounts& counts() const override { return counts_; }

 private:
  SchemaPtr input_;
  SchemaPtr output_;
  std::vector<columnar::SortKey> order_;
  MergeCounts current_;
  MergeCounts counts_;
};

}  // namespace

Result<std::unique_ptr<Merger>> MakeAppend(const MergeSpec& spec) {
  return std::unique_ptr<Merger>(new AppendMerger(spec));
}

}  // namespace sluice::merge
