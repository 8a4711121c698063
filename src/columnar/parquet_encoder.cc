#include "columnar/parquet_encoder_internal.h"

#include <arrow/array.h>
#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>
#include <parquet/arrow/writer.h>
#include <parquet/exception.h>
#include <parquet/properties.h>

#include <algorithm>
#include <string_view>
#include <thread>

#include "columnar/arrow_status.h"
#include "columnar/recycling_pool_internal.h"

namespace sluice::columnar {
namespace {

constexpr int64_t kSampleRows = 8192;
constexpr int64_t kMinSampleRows = 512;  // below, a dictionary costs nothing worth saving
// Share of distinct values in the sample from which a dictionary would overflow its page.
constexpr double kDistinctShare = 0.95;
constexpr int64_t kPageBytes = 1 << 20;
constexpr int64_t kDictionaryPageBytes = 1 << 20;
constexpr int64_t kPageRows = 1 << 17;
constexpr unsigned kCoresForParallelColumns = 4;

// Counts distinct values by their 64-bit hashes; as exact as a decision by share needs.
class DistinctCounter {
 public:
  DistinctCounter() : slots_(kSampleRows * 2, 0) {}

  void Add(std::string_view value) {
    uint64_t hash = std::hash<std::string_view>{}(value) | 1;
    size_t slot = (hash >> 1) % slots_.size();
    while (slots_[slot] != 0 && slots_[slot] != hash) slot = (slot + 1) % slots_.size();
    if (slots_[slot] == 0) {
      slots_[slot] = hash;
      ++distinct_;
    }
  }
  int64_t distinct() const { return distinct_; }

 private:
  std::vector<uint64_t> slots_;
  int64_t distinct_ = 0;
};

// Bytes of value `row`, for the types that have them in one piece.
std::string_view ValueBytes(const arrow::Array& array, int width, int64_t row) {
  if (width > 0) {
    const auto* values = array.data()->GetValues<char>(1, 0);
    return {values + (array.offset() + row) * width, static_cast<size_t>(width)};
  }
  return static_cast<const arrow::BinaryArray&>(array).GetView(row);
}

bool RepeatsItself(const arrow::Array& array) {
  const bool text = arrow::is_base_binary_like(array.type_id());
  const int width = arrow::is_fixed_width(array.type_id()) ? array.type()->bit_width() / 8 : 0;
  if ((!text && width == 0) || array.length() < kMinSampleRows) return true;
  const int64_t step = std::max<int64_t>(1, array.length() / kSampleRows);
  DistinctCounter counter;
  int64_t sampled = 0;
  for (int64_t row = 0; row < array.length() && sampled < kSampleRows; row += step) {
    if (array.IsNull(row)) continue;
    counter.Add(ValueBytes(array, width, row));
    ++sampled;
  }
  return counter.distinct() < sampled * kDistinctShare || sampled < kMinSampleRows;
}

std::shared_ptr<parquet::WriterProperties> WriterProperties(const ParquetEncoderOptions& options,
                                                            const arrow::RecordBatch* first,
                                                            arrow::MemoryPool* pool) {
  parquet::WriterProperties::Builder builder;
  builder.memory_pool(pool);
  // 2.6 is about types alone: with 1.0 an unsigned 32-bit integer would become INT64. Pages are of version 1.
  builder.version(parquet::ParquetVersion::PARQUET_2_6)
      ->data_page_version(parquet::ParquetDataPageVersion::V1)
      ->compression(parquet::Compression::SNAPPY)
      ->created_by("sluice version " SLUICE_VERSION)
      ->max_row_group_length(options.row_group_rows)
      ->data_pagesize(kPageBytes)
      ->max_rows_per_page(kPageRows)
      ->dictionary_pagesize_limit(kDictionaryPageBytes)
      ->set_size_statistics_level(parquet::SizeStatisticsLevel::None)
      ->enable_store_decimal_as_integer();
  if (first == nullptr) return builder.build();
  for (int i = 0; i < first->num_columns(); ++i) {
    const std::string& name = first->schema()->field(i)->name();
    const auto& always = options.dictionary_columns;
    if (std::find(always.begin(), always.end(), name) != always.end()) continue;
    if (!RepeatsItself(*first->column(i))) {
      builder.disable_dictionary(std::make_shared<parquet::schema::ColumnPath>(std::vector{name}));
    }
  }
  return builder.build();
}

std::shared_ptr<parquet::ArrowWriterProperties> ArrowProperties() {
  parquet::ArrowWriterProperties::Builder builder;
  builder.store_schema()->disable_compliant_nested_types();  // list items keep their name, `item`
  // With few cores the pipeline's own threads fill them; more of them encode columns side by side.
  builder.set_use_threads(std::thread::hardware_concurrency() >= kCoresForParallelColumns);
  return builder.build();
}

// Parquet throws some of its errors and returns the others.
template <class Function>
Status Guard(Function function) {
  try {
    return columnar::ToStatus(function());
  } catch (const parquet::ParquetStatusException& e) {
    return FromArrowStatus(e.status());
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::kResourceExhausted, "out of memory while writing parquet");
  } catch (const std::exception& e) {
    return Internal("writing parquet: {}", e.what());
  }
}

}  // namespace

struct ParquetEncoder::Impl {
  std::shared_ptr<arrow::Schema> schema;
  std::shared_ptr<arrow::io::OutputStream> stream;
  ParquetEncoderOptions options;
  std::unique_ptr<RecyclingPool> pool;
  std::unique_ptr<parquet::arrow::FileWriter> writer;

  // Properties are fixed for a file, and the first batch decides them.
  Status EnsureOpen(const arrow::RecordBatch* first) {
    if (writer != nullptr) return {};
    return Guard([&]() -> arrow::Status {
      ARROW_ASSIGN_OR_RAISE(writer, parquet::arrow::FileWriter::Open(
                                        *schema, pool.get(), stream,
                                        WriterProperties(options, first, pool.get()), ArrowProperties()));
      return {};
    });
  }
};

ParquetEncoder::ParquetEncoder(std::shared_ptr<arrow::Schema> schema,
                               std::shared_ptr<arrow::io::OutputStream> stream, ParquetEncoderOptions options)
    : impl_(std::make_unique<Impl>(Impl{std::move(schema), std::move(stream), std::move(options),
                                        std::make_unique<RecyclingPool>(arrow::default_memory_pool()),
                                        nullptr})) {}

ParquetEncoder::~ParquetEncoder() {
  // The writer's destructor writes a footer, and may throw when the stream refuses it.
  if (impl_ == nullptr || impl_->writer == nullptr) return;
  static_cast<void>(Guard([&] {
    impl_->writer.reset();
    return arrow::Status::OK();
  }));
}

Status ParquetEncoder::Write(const arrow::RecordBatch& batch) {
  RETURN_IF_ERROR(impl_->EnsureOpen(&batch));
  return Guard([&] { return impl_->writer->WriteRecordBatch(batch); });
}

Status ParquetEncoder::Close() {
  RETURN_IF_ERROR(impl_->EnsureOpen(nullptr));
  Status status = Guard([&] { return impl_->writer->Close(); });
  impl_->writer.reset();
  return status;
}

}  // namespace sluice::columnar
