#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <optional>
#include <thread>

#include "base/bounded_queue.h"
#include "base/mutex.h"
#include "columnar/arrow_status.h"
#include "columnar/logical_hash.h"
#include "columnar/parquet_encoder_internal.h"
#include "columnar/plain_types.h"
#include "columnar/slice.h"
#include "multiformats/sha3.h"

// Three stages, each on its own thread once a slice is large enough to pay for them:
//
//   Write -> [batches] -> encode Parquet -> [file bytes] -> hash the bytes, append to the file
//         -> [batches] -> logical hash
//
// The queues are bounded, so that a slow stage holds up the caller. The first error of any stage is kept; the
// stages then drain their queues without work, and Write and Close report it.
namespace sluice::columnar {
namespace {

constexpr size_t kQueuedBatches = 4;
constexpr size_t kQueuedBuffers = 64;  // about the column chunks of one row group
constexpr int64_t kRowsForThreads = 32 * 1024;
constexpr int64_t kSmallRows = 1024;
constexpr int64_t kGatheredRows = 8192;

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

class FirstError {
 public:
  void Set(Error error) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (!error_.has_value()) error_ = std::move(error);
  }
  // Also when the caller gave up.
  bool failed() const EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return error_.has_value();
  }
  Status Get() const EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (error_.has_value()) return *error_;
    return {};
  }

 private:
  mutable Mutex mutex_;
  std::optional<Error> error_ GUARDED_BY(mutex_);
};

// Where the file's bytes end: the physical hash and the staged file.
struct FileEnd {
  std::unique_ptr<storage::StagedFile> file;
  multiformats::Sha3Hasher hasher;
  uint64_t size = 0;

  Status Append(std::string_view bytes) {
    hasher.Update(bytes);
    size += bytes.size();
    return file->Append(bytes);
  }
};

// What Parquet writes to. Goes to the queue when there is one, else straight to the end.
class SliceStream final : public arrow::io::OutputStream {
 public:
  SliceStream(FileEnd* end, FirstError* error) : end_(end), error_(error) {}

  void UseQueue(BoundedQueue<std::shared_ptr<arrow::Buffer>>* queue) { queue_ = queue; }
  // From now on writes are dropped: the slice was given up.
  void Detach() { end_ = nullptr; }

  arrow::Status Close() override { return arrow::Status::OK(); }
  bool closed() const override { return false; }
  arrow::Result<int64_t> Tell() const override { return position_; }

  arrow::Status Write(const void* data, int64_t size) override {
    if (queue_ != nullptr && end_ != nullptr) {
      return Write(
          arrow::Buffer::FromString(std::string(static_cast<const char*>(data), static_cast<size_t>(size))));
    }
    position_ += size;
    if (end_ == nullptr) return arrow::Status::OK();
    return Keep(end_->Append({static_cast<const char*>(data), static_cast<size_t>(size)}));
  }

  arrow::Status Write(const std::shared_ptr<arrow::Buffer>& buffer) override {
    if (queue_ == nullptr || end_ == nullptr) return Write(buffer->data(), buffer->size());
    position_ += buffer->size();
    if (error_->failed()) return Stopped();
    queue_->Push(buffer);
    return arrow::Status::OK();
  }

 private:
  static arrow::Status Stopped() { return arrow::Status::Cancelled("the slice's file could not be written"); }

  // Our error is kept as it is; Parquet only learns that there was one.
  arrow::Status Keep(Status status) {
    if (status.ok()) return arrow::Status::OK();
    error_->Set(std::move(status).error());
    return Stopped();
  }

  FileEnd* end_;
  FirstError* error_;
  BoundedQueue<std::shared_ptr<arrow::Buffer>>* queue_ = nullptr;
  int64_t position_ = 0;
};

class SliceWriterImpl final : public SliceWriter {
 public:
  SliceWriterImpl(std::unique_ptr<storage::StagedFile> file, std::shared_ptr<arrow::Schema> schema,
                  LogicalHasher hasher, const SliceOptions& options)
      : schema_(std::move(schema)),
        threads_(options.threads),
        logical_(std::move(hasher)),
        end_{std::move(file)},
        stream_(std::make_shared<SliceStream>(&end_, &error_)),
        encoder_(std::make_unique<ParquetEncoder>(
            schema_, stream_, ParquetEncoderOptions{options.dictionary_columns, options.row_group_rows})) {}

  ~SliceWriterImpl() override {
    if (running()) error_.Set(Error(ErrorCode::kCancelled, "the slice was given up"));
    JoinThreads();
    stream_->Detach();
    encoder_.reset();
  }

  Status Write(BatchPtr batch) override {
    if (closed_) return Internal("a slice was written to after its end");
    RETURN_IF_ERROR(error_.Get());
    if (batch->num_rows() == 0) return {};
    ASSIGN_OR_RETURN(auto batches, ConvertBatch(batch, schema_));
    for (auto& part : batches) {
      rows_ += part->num_rows();
      RETURN_IF_ERROR(Gather(std::move(part)));
    }
    return {};
  }

  Result<SliceInfo> Close() override {
    if (closed_) return Internal("a slice was closed twice");
    closed_ = true;
    RETURN_IF_ERROR(PassGathered());
    RETURN_IF_ERROR(Flush());
    JoinThreads();
    RETURN_IF_ERROR(error_.Get());
    // Small slices never started the threads; the footer is written here in both cases.
    stream_->UseQueue(nullptr);
    Status closed = encoder_->Close();
    RETURN_IF_ERROR(error_.Get());
    RETURN_IF_ERROR(std::move(closed));
    SliceInfo info;
    ASSIGN_OR_RETURN(info.logical_hash, logical_.Finish());
    info.physical_hash = multiformats::Multihash(multiformats::HashCode::kSha3_256, end_.hasher.Finish());
    info.size = end_.size;
    info.rows = rows_;
    return info;
  }

  std::unique_ptr<storage::StagedFile> TakeFile() override { return std::move(end_.file); }

 private:
  // A batch costs Parquet and the hash the same for one row as for hundreds: small ones go together.
  Status Gather(BatchPtr batch) {
    if (batch->num_rows() >= kSmallRows) {
      RETURN_IF_ERROR(PassGathered());
      return Accept(std::move(batch));
    }
    gathered_rows_ += batch->num_rows();
    small_.push_back(std::move(batch));
    return gathered_rows_ >= kGatheredRows ? PassGathered() : Status();
  }

  Status PassGathered() {
    gathered_rows_ = 0;
    auto small = std::exchange(small_, {});
    if (small.empty()) return {};
    if (small.size() == 1) return Accept(std::move(small.front()));
    ASSIGN_OR_RETURN_ARROW(auto one, arrow::ConcatenateRecordBatches(small));
    return Accept(std::move(one));
  }

  // Batches are kept back until it is known whether the slice is worth three threads.
  Status Accept(BatchPtr batch) {
    if (threads_ && !running()) {
      held_.push_back(std::move(batch));
      if (rows_ < kRowsForThreads) return {};
      StartThreads();
      for (auto& held : std::exchange(held_, {})) Queue(held);
      return error_.Get();
    }
    if (running()) {
      Queue(batch);
      return error_.Get();
    }
    return Process(*batch);
  }

  Status Process(const arrow::RecordBatch& batch) {
    Status status = logical_.Update(batch);
    if (status.ok()) status = Encode(batch);
    if (!status.ok()) error_.Set(status.error());
    return status;
  }

  // The error that the stream kept says more than what Parquet makes of it.
  Status Encode(const arrow::RecordBatch& batch) {
    Status status = encoder_->Write(batch);
    RETURN_IF_ERROR(error_.Get());
    return status;
  }

  Status Flush() {
    for (auto& held : std::exchange(held_, {})) RETURN_IF_ERROR(Process(*held));
    return {};
  }

  bool running() const { return encode_thread_.joinable(); }

  void Queue(const BatchPtr& batch) {
    to_encode_.Push(batch);
    to_hash_.Push(batch);
  }

  void StartThreads() {
    stream_->UseQueue(&to_file_);
    encode_thread_ =
        std::jthread([this] { Run(to_encode_, [this](const BatchPtr& batch) { return Encode(*batch); }); });
    hash_thread_ = std::jthread(
        [this] { Run(to_hash_, [this](const BatchPtr& batch) { return logical_.Update(*batch); }); });
    file_thread_ = std::jthread([this] {
      Run(to_file_, [this](const std::shared_ptr<arrow::Buffer>& bytes) {
        return end_.Append(
            {reinterpret_cast<const char*>(bytes->data()), static_cast<size_t>(bytes->size())});
      });
    });
  }

  template <class Item, class Function>
  void Run(BoundedQueue<Item>& queue, Function function) {
    while (auto item = queue.Pop()) {
      if (error_.failed()) continue;
      Status status = function(*item);
      if (!status.ok()) error_.Set(std::move(status).error());
    }
  }

  void JoinThreads() {
    if (!running()) return;
    to_encode_.Close();
    to_hash_.Close();
    encode_thread_.join();
    // These two are not there when the system gave no more threads.
    if (hash_thread_.joinable()) hash_thread_.join();
    to_file_.Close();  // only the encoder fills it
    if (file_thread_.joinable()) file_thread_.join();
  }

  const std::shared_ptr<arrow::Schema> schema_;
  const bool threads_;
  bool closed_ = false;
  int64_t rows_ = 0;
  std::vector<BatchPtr> small_;
  int64_t gathered_rows_ = 0;
  std::vector<BatchPtr> held_;
  FirstError error_;
  LogicalHasher logical_;  // hash thread while it runs
  FileEnd end_;            // file thread while it runs
  std::shared_ptr<SliceStream> stream_;
  std::unique_ptr<ParquetEncoder> encoder_;  // encode thread while it runs
  BoundedQueue<BatchPtr> to_encode_{kQueuedBatches};
  BoundedQueue<BatchPtr> to_hash_{kQueuedBatches};
  BoundedQueue<std::shared_ptr<arrow::Buffer>> to_file_{kQueuedBuffers};
  std::jthread encode_thread_, hash_thread_, file_thread_;
};

}  // namespace

Result<std::unique_ptr<SliceWriter>> SliceWriter::Open(std::unique_ptr<storage::StagedFile> file,
                                                       std::shared_ptr<arrow::Schema> schema,
                                                       SliceOptions options) {
  if (options.row_group_rows <= 0) return InvalidArgument("a row group of {} rows", options.row_group_rows);
  auto stored = StoredSchema(*schema);
  ASSIGN_OR_RETURN(LogicalHasher hasher, LogicalHasher::Make(stored));
  return std::make_unique<SliceWriterImpl>(std::move(file), std::move(stored), std::move(hasher), options);
}

}  // namespace sluice::columnar
