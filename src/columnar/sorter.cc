#include "columnar/sorter.h"

#include <arrow/array.h>
#include <arrow/array/util.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/byte_size.h>

#include <filesystem>
#include <system_error>

#include "columnar/arrow_status.h"
#include "columnar/row_order_internal.h"
#include "columnar/sort_run_internal.h"

namespace sluice::columnar {
namespace {

constexpr int64_t kOutputRows = 64 * 1024;
constexpr int64_t kRunRows = 16 * 1024;  // a batch of a run; one of each run is in memory while they merge
constexpr int64_t kMaxRunBytes = int64_t{1}
                                 << 30;  // columns of a run are joined, and text has 32-bit offsets

// Holds the folder of the runs while there are any.
class SpillFolder {
 public:
  explicit SpillFolder(std::string path) : path_(std::move(path)) {}
  ~SpillFolder() {
    std::error_code ignored;  // not empty or not ours: it stays
    if (made_) std::filesystem::remove(path_, ignored);
  }

  Result<std::string> Use() {
    if (path_.empty()) return InvalidArgument("sorting needs a spill folder, and none is given");
    std::error_code error;
    const bool made = std::filesystem::create_directories(path_, error);
    if (error) return FromErrno(error.value(), fmt::format("cannot make the folder '{}'", path_));
    made_ = made_ || made;
    return path_;
  }

 private:
  std::string path_;
  bool made_ = false;
};

class SorterImpl final : public Sorter {
 public:
  SorterImpl(std::shared_ptr<arrow::Schema> schema, std::vector<SortKey> keys, const SorterOptions& options)
      : schema_(std::move(schema)),
        keys_(std::move(keys)),
        // Sorting a run joins its batches, which doubles them for a moment.
        run_bytes_(std::min(options.memory_bytes / 2, kMaxRunBytes)),
        folder_(options.spill_folder) {}

  Status Add(BatchPtr batch) override {
    if (output_ != nullptr) return Internal("a sorter was given rows after its end");
    if (!batch->schema()->Equals(*schema_, false)) {
      return InvalidArgument("a batch with columns {} does not fit the sorter's {}",
                             batch->schema()->ToString(), schema_->ToString());
    }
    if (batch->num_rows() == 0) return {};
    if (in_order_) {
      ASSIGN_OR_RETURN(in_order_,
                       IsSorted(*batch, keys_, batches_.empty() ? nullptr : batches_.back().get()));
    }
    bytes_ += arrow::util::ReferencedBufferSize(*batch).ValueOr(arrow::util::TotalBufferSize(*batch));
    batches_.push_back(std::move(batch));
    return bytes_ > run_bytes_ ? Spill() : Status();
  }

  Status Finish() override {
    if (output_ != nullptr) return {};
    if (runs_.empty()) {
      ASSIGN_OR_RETURN(output_, TakeRun(kOutputRows));
      return {};
    }
    ASSIGN_OR_RETURN(auto last, TakeRun(kRunRows));
    runs_.push_back(std::move(last));
    ASSIGN_OR_RETURN(output_, MergeSources(std::move(runs_), keys_, kOutputRows));
    return {};
  }

  Result<BatchPtr> Next() override {
    if (output_ == nullptr) return Internal("a sorter was read before its end");
    return output_->Next();
  }

 private:
  // What is in memory, in order. Input that came in order is handed out as it came.
  Result<std::unique_ptr<BatchSource>> TakeRun(int64_t batch_rows) {
    auto batches = std::exchange(batches_, {});
    bytes_ = 0;
    if (std::exchange(in_order_, true)) return MakeListSource(std::move(batches));
    BatchPtr joined = batches.front();
    if (batches.size() > 1) {
      ASSIGN_OR_RETURN_ARROW(joined, arrow::ConcatenateRecordBatches(batches));
      batches.clear();
    }
    ASSIGN_OR_RETURN(const RowKeys rows, RowKeys::Make(*joined, keys_));
    return MakeOrderedSource(joined, rows.SortedRows(), batch_rows);
  }

  Status Spill() {
    ASSIGN_OR_RETURN(const std::string folder, folder_.Use());
    ASSIGN_OR_RETURN(auto run, TakeRun(kRunRows));
    ASSIGN_OR_RETURN(auto spilled, SpillRun(folder, schema_, *run));
    runs_.push_back(std::move(spilled));
    return {};
  }

  const std::shared_ptr<arrow::Schema> schema_;
  const std::vector<SortKey> keys_;
  const int64_t run_bytes_;
  SpillFolder folder_;
  std::vector<BatchPtr> batches_;
  int64_t bytes_ = 0;
  bool in_order_ = true;  // the batches in memory
  std::vector<std::unique_ptr<BatchSource>> runs_;
  std::unique_ptr<BatchSource> output_;
};

}  // namespace

Result<std::unique_ptr<Sorter>> Sorter::Make(std::shared_ptr<arrow::Schema> schema, std::vector<SortKey> keys,
                                             SorterOptions options) {
  // Wrong keys are told now and not with the first rows.
  auto empty = arrow::RecordBatch::MakeEmpty(schema);
  if (!empty.ok()) return FromArrowStatus(empty.status());
  ASSIGN_OR_RETURN(const RowKeys checked, RowKeys::Make(**empty, keys));
  static_cast<void>(checked);
  return std::make_unique<SorterImpl>(std::move(schema), std::move(keys), options);
}

}  // namespace sluice::columnar
