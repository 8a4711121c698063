// `verify` of ten slices, about 1 GB together (SLUICE_VERIFY_BENCH_MB for another size), and the parts of it:
// what one core does with the bytes of the files and what it does with their content. The files are read once
// before, so that the disk is not what is measured. `bytes_per_second` counts bytes of Parquet.
#include <arrow/array.h>
#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <benchmark/benchmark.h>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <random>

#include "columnar/slice.h"
#include "dataset/verify.h"
#include "dataset/verify_internal.h"
#include "odf/arrow_schema.h"

namespace sluice::dataset {
namespace {

constexpr int kSlices = 10;
constexpr int64_t kBatchRows = 64 * 1024;
constexpr int64_t kSampleRows = 4 * kBatchRows;
const Instant kTime{.seconds = 1'700'000'000};

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

std::shared_ptr<arrow::Schema> EventColumns() {
  const auto millis = arrow::timestamp(arrow::TimeUnit::MILLI, "UTC");
  return arrow::schema({arrow::field("offset", arrow::int64(), false),
                        arrow::field("op", arrow::int32(), false), arrow::field("system_time", millis, false),
                        arrow::field("event_time", millis, false), arrow::field("id", arrow::int64()),
                        arrow::field("device", arrow::utf8()), arrow::field("city", arrow::utf8()),
                        arrow::field("latitude", arrow::float64()),
                        arrow::field("longitude", arrow::float64()), arrow::field("note", arrow::utf8()),
                        arrow::field("count", arrow::int32())});
}

void Check(bool ok, const std::string& what) {
  if (ok) return;
  std::fprintf(stderr, "verify_bench: %s\n", what.c_str());
  std::exit(1);
}

BatchPtr MakeBatch(std::mt19937_64* random) {
  const auto schema = EventColumns();
  arrow::Int64Builder offset, id;
  arrow::Int32Builder op, count;
  arrow::TimestampBuilder system_time(schema->field(2)->type(), arrow::default_memory_pool());
  arrow::TimestampBuilder event_time(schema->field(2)->type(), arrow::default_memory_pool());
  arrow::StringBuilder device, city, note;
  arrow::DoubleBuilder latitude, longitude;
  bool ok = true;
  for (int64_t i = 0; i < kBatchRows; ++i) {
    const uint64_t r = (*random)();
    const auto wide = static_cast<int64_t>(r >> 1);
    ok = ok && offset.Append(i).ok() && op.Append(0).ok() && system_time.Append(kTime.ToMillis()).ok();
    ok = ok && event_time.Append(kTime.ToMillis() - wide % 86'400'000).ok() &&
         id.Append(wide % 100'000'000).ok();
    ok = ok && device.Append("device-" + std::to_string(r % 20'000)).ok();
    ok = ok && city.Append("city number " + std::to_string((r >> 20) % 500)).ok();
    ok = ok && latitude.Append(static_cast<double>(r % 180'000'000) / 1e6 - 90).ok();
    ok = ok && longitude.Append(static_cast<double>((r >> 8) % 360'000'000) / 1e6 - 180).ok();
    ok = ok && note.Append(fmt::format("{:016x}-{:016x}", r, r * 0x9E3779B97F4A7C15)).ok();
    ok = ok && count.Append(static_cast<int32_t>(r % 1000)).ok();
  }
  Check(ok, "cannot build a batch");
  arrow::ArrayVector columns;
  for (arrow::ArrayBuilder* builder :
       std::initializer_list<arrow::ArrayBuilder*>{&offset, &op, &system_time, &event_time, &id, &device,
                                                   &city, &latitude, &longitude, &note, &count}) {
    columns.push_back(builder->Finish().ValueOrDie());
  }
  return arrow::RecordBatch::Make(schema, kBatchRows, std::move(columns));
}

BatchPtr WithOffsets(const BatchPtr& batch, uint64_t start) {
  arrow::Int64Builder offset;
  for (int64_t i = 0; i < batch->num_rows(); ++i) {
    Check(offset.Append(static_cast<int64_t>(start) + i).ok(), "cannot build offsets");
  }
  return batch->SetColumn(0, batch->schema()->field(0), offset.Finish().ValueOrDie()).ValueOrDie();
}

// The dataset, made at its first use and removed at the end.
class BenchDataset {
 public:
  static BenchDataset& Get() {
    static BenchDataset dataset;
    return dataset;
  }
  ~BenchDataset() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  const DatasetStores& stores() const { return stores_; }
  uint64_t bytes() const { return bytes_; }
  const std::vector<FileClaim>& files() const { return files_; }

 private:
  BenchDataset()
      : folder_(std::filesystem::temp_directory_path() / fmt::format("sluice-verify-bench-{}", ::getpid())) {
    const char* megabytes = std::getenv("SLUICE_VERIFY_BENCH_MB");
    const uint64_t wanted = (megabytes ? std::strtoull(megabytes, nullptr, 10) : 1000) * 1'000'000;
    auto files = storage::OpenLocalStorage(folder_.string());
    Check(files.ok(), "no folder for the dataset");
    stores_ = {std::move(files).value(), storage::MakeMemoryStorage()};
    std::mt19937_64 random(1);
    std::vector<BatchPtr> sample;
    for (int64_t rows = 0; rows < kSampleRows; rows += kBatchRows) sample.push_back(MakeBatch(&random));
    odf::SetDataSchema schema;
    schema.schema = odf::FromArrow(*EventColumns()).value();
    auto dataset = Dataset::Create(
        stores_, {multiformats::DatasetId::FromSeed("bench"), odf::DatasetKind::kRoot}, {schema}, kTime);
    Check(dataset.ok(), "cannot create the dataset");
    for (int i = 0; i < kSlices; ++i) AddSlice(**dataset, sample, wanted / kSlices);
    bytes_ = (*dataset)->state().data_bytes;
    Findings findings;
    files_ = CheckChain(*stores_.files, {}, findings).value().files;
    auto report = Verify(stores_, {});
    Check(report.ok() && report->violations.empty(), "the dataset does not hold");
  }

  void AddSlice(Dataset& dataset, const std::vector<BatchPtr>& sample, uint64_t bytes) {
    columnar::SliceOptions options;
    options.dictionary_columns = {"op", "system_time"};
    auto writer = columnar::SliceWriter::Open(dataset.files().Stage("data").value(), EventColumns(), options);
    Check(writer.ok(), "cannot write a slice");
    const uint64_t start = dataset.state().last_offset() ? *dataset.state().last_offset() + 1 : 0;
    uint64_t next = start;
    // About as many bytes a row as this data takes in Parquet.
    for (size_t i = 0; (next - start) * kBytesPerRow < bytes; ++i) {
      Check((*writer)->Write(WithOffsets(sample[i % sample.size()], next)).ok(), "cannot write rows");
      next += static_cast<uint64_t>(kBatchRows);
    }
    auto info = (*writer)->Close();
    Check(info.ok(), "cannot finish a slice");
    odf::AddData data;
    data.prev_offset = dataset.state().last_offset();
    data.new_data = odf::DataSlice{info->logical_hash, info->physical_hash, {start, next - 1}, info->size};
    CommitRequest request{.events = {data}, .slices = {}, .system_time = kTime};
    request.slices.push_back({(*writer)->TakeFile(), info->physical_hash});
    auto committed = dataset.Commit(std::move(request));
    Check(committed.ok(), "cannot commit a slice");
  }

  static constexpr uint64_t kBytesPerRow = 68;
  const std::filesystem::path folder_;
  DatasetStores stores_;
  uint64_t bytes_ = 0;
  std::vector<FileClaim> files_;
};

void SetBytes(benchmark::State& state) {
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(BenchDataset::Get().bytes()));
  state.counters["MB"] = static_cast<double>(BenchDataset::Get().bytes()) / 1e6;
}

void BM_Verify(benchmark::State& state) {
  const BenchDataset& dataset = BenchDataset::Get();
  for (auto _ : state) {
    auto report =
        Verify(dataset.stores(), {.threads = static_cast<int>(state.range(0)), .stop = {}, .progress = {}});
    Check(report.ok() && report->violations.empty(), "the dataset does not hold");
  }
  SetBytes(state);
}
BENCHMARK(BM_Verify)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime();

// One thread, all files: reading and hashing bytes.
void BM_PhysicalHashOnly(benchmark::State& state) {
  const BenchDataset& dataset = BenchDataset::Get();
  std::vector<FileClaim> files = dataset.files();
  for (FileClaim& file : files) file.slice.reset();
  for (auto _ : state) {
    Findings findings;
    const auto status = CheckFiles(
        *dataset.stores().files, files, {.threads = 1, .stop = {}, .progress = {}}, [](uint64_t) {},
        findings);
    Check(status.ok() && findings.Take().empty(), "a file does not hold");
  }
  SetBytes(state);
}
BENCHMARK(BM_PhysicalHashOnly)->Unit(benchmark::kMillisecond)->UseRealTime();

// One thread, all slices: decoding, logical hash, system columns.
void BM_ContentOnly(benchmark::State& state) {
  const BenchDataset& dataset = BenchDataset::Get();
  for (auto _ : state) {
    for (const FileClaim& file : dataset.files()) {
      Findings findings;
      const auto status = CheckSlice(*dataset.stores().files, file, {}, [](uint64_t) {}, findings);
      Check(status.ok() && findings.Take().empty(), "a slice does not hold");
    }
  }
  SetBytes(state);
}
BENCHMARK(BM_ContentOnly)->Unit(benchmark::kMillisecond)->UseRealTime();

// One thread, all slices: decoding alone.
void BM_DecodeOnly(benchmark::State& state) {
  const BenchDataset& dataset = BenchDataset::Get();
  for (auto _ : state) {
    for (const FileClaim& file : dataset.files()) {
      auto reader = columnar::SliceReader::Open(*dataset.stores().files, file.name);
      Check(reader.ok(), "a slice cannot be opened");
      while (true) {
        auto batch = (*reader)->Next();
        Check(batch.ok(), "a slice cannot be read");
        if (*batch == nullptr) break;
        benchmark::DoNotOptimize(batch);
      }
    }
  }
  SetBytes(state);
}
BENCHMARK(BM_DecodeOnly)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace sluice::dataset
