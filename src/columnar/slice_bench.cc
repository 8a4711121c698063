#include "columnar/slice.h"

#include <arrow/array.h>
#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <random>

#include "columnar/format.h"
#include "columnar/logical_hash.h"
#include "columnar/parquet_encoder_internal.h"
#include "columnar/sorter.h"
#include "multiformats/sha3.h"

// A slice of 5 M rows, seven data columns behind the four of the system, as one ingest of a large CSV file
// writes it. `cpu_s` is the processor time of all threads.
namespace sluice::columnar {
namespace {

constexpr int64_t kRows = 5'000'000;
constexpr int64_t kBatchRows = 64 * 1024;

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

std::shared_ptr<arrow::Schema> EventSchema() {
  const auto ms = arrow::timestamp(arrow::TimeUnit::MILLI, "UTC");
  return arrow::schema({arrow::field("offset", arrow::int64(), false),
                        arrow::field("op", arrow::int32(), false), arrow::field("system_time", ms, false),
                        arrow::field("event_time", ms, false), arrow::field("id", arrow::int64()),
                        arrow::field("device", arrow::utf8()), arrow::field("city", arrow::utf8()),
                        arrow::field("latitude", arrow::float64()),
                        arrow::field("longitude", arrow::float64()), arrow::field("note", arrow::utf8()),
                        arrow::field("count", arrow::int32())});
}

BatchPtr MakeEvents(int64_t first, int64_t rows, std::mt19937_64* random) {
  arrow::Int64Builder offset, id;
  arrow::Int32Builder op, count;
  arrow::TimestampBuilder system_time(EventSchema()->field(2)->type(), arrow::default_memory_pool());
  arrow::TimestampBuilder event_time(EventSchema()->field(2)->type(), arrow::default_memory_pool());
  arrow::StringBuilder device, city, note;
  arrow::DoubleBuilder latitude, longitude;
  for (int64_t i = first; i < first + rows; ++i) {
    const uint64_t r = (*random)();
    bool ok = offset.Append(i).ok() && op.Append(0).ok() && system_time.Append(1'700'000'000'000).ok() &&
              event_time.Append(1'600'000'000'000 + i * 20 + static_cast<int64_t>(r % 20)).ok() &&
              id.Append(i).ok();
    ok = ok && device.Append("device-" + std::to_string(r % 20'000)).ok();
    ok = ok && city.Append("city number " + std::to_string((r >> 20) % 500)).ok();
    ok = ok && latitude.Append(static_cast<double>(r % 180'000'000) / 1e6 - 90).ok();
    ok = ok && longitude.Append(static_cast<double>((r >> 8) % 360'000'000) / 1e6 - 180).ok();
    char text[40];
    std::snprintf(text, sizeof(text), "%016llx-%016llx", static_cast<unsigned long long>(r),
                  static_cast<unsigned long long>(r * 0x9E3779B97F4A7C15));
    ok = ok && note.Append(text).ok() && count.Append(static_cast<int32_t>(r % 1000)).ok();
    if (!ok) std::abort();
  }
  arrow::ArrayVector columns;
  for (arrow::ArrayBuilder* builder :
       std::initializer_list<arrow::ArrayBuilder*>{&offset, &op, &system_time, &event_time, &id, &device,
                                                   &city, &latitude, &longitude, &note, &count}) {
    columns.push_back(builder->Finish().ValueOrDie());
  }
  return arrow::RecordBatch::Make(EventSchema(), rows, std::move(columns));
}

const std::vector<BatchPtr>& Events() {
  static const std::vector<BatchPtr> events = [] {
    std::mt19937_64 random(1);
    std::vector<BatchPtr> batches;
    for (int64_t first = 0; first < kRows; first += kBatchRows) {
      batches.push_back(MakeEvents(first, std::min(kBatchRows, kRows - first), &random));
    }
    return batches;
  }();
  return events;
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

// Takes bytes and forgets them: the disk is not what is measured.
class NullFile final : public storage::StagedFile {
 public:
  Status Append(std::string_view bytes) override {
    size_ += bytes.size();
    return {};
  }
  uint64_t size() const override { return size_; }
  std::string local_path() const override { return ""; }
  Result<std::string> ReadAt(uint64_t, uint64_t) override { return std::string(); }
  Status Commit(const std::string&) override { return {}; }

 private:
  uint64_t size_ = 0;
};

class NullStream final : public arrow::io::OutputStream {
 public:
  using arrow::io::OutputStream::Write;
  arrow::Status Close() override { return arrow::Status::OK(); }
  bool closed() const override { return false; }
  arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Status Write(const void*, int64_t size) override {
    position_ += size;
    return arrow::Status::OK();
  }

 private:
  int64_t position_ = 0;
};

template <class Function>
void Measure(benchmark::State& state, Function function) {
  const auto& events = Events();
  double cpu = 0;
  int64_t bytes = 0;
  for (auto _ : state) {
    const double before = CpuSeconds();
    auto result = function(events);
    if (!result.ok()) {
      state.SkipWithError(result.error().ToString().c_str());
      return;
    }
    bytes = static_cast<int64_t>(*result);
    cpu += CpuSeconds() - before;
  }
  state.counters["cpu_s"] = benchmark::Counter(cpu, benchmark::Counter::kAvgIterations);
  state.counters["MB"] = static_cast<double>(bytes) / 1e6;
  state.SetItemsProcessed(state.iterations() * kRows);
}

void BM_WriteSlice(benchmark::State& state) {
  Measure(state, [&](const std::vector<BatchPtr>& events) -> Result<uint64_t> {
    SliceOptions options{.dictionary_columns = {"op", "system_time"}, .threads = state.range(0) != 0};
    ASSIGN_OR_RETURN(auto writer, SliceWriter::Open(std::make_unique<NullFile>(), EventSchema(), options));
    for (const auto& batch : events) RETURN_IF_ERROR(writer->Write(batch));
    ASSIGN_OR_RETURN(const SliceInfo info, writer->Close());
    if (info.rows != kRows) return Internal("{} rows", info.rows);
    return info.size;
  });
}
BENCHMARK(BM_WriteSlice)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond)->UseRealTime();

void BM_EncodeOnly(benchmark::State& state) {
  Measure(state, [](const std::vector<BatchPtr>& events) -> Result<uint64_t> {
    auto stream = std::make_shared<NullStream>();
    ParquetEncoder encoder(EventSchema(), stream, {.dictionary_columns = {"op", "system_time"}});
    for (const auto& batch : events) RETURN_IF_ERROR(encoder.Write(*batch));
    RETURN_IF_ERROR(encoder.Close());
    return static_cast<uint64_t>(stream->Tell().ValueOrDie());
  });
}
BENCHMARK(BM_EncodeOnly)->Unit(benchmark::kMillisecond)->UseRealTime();

void BM_LogicalHashOnly(benchmark::State& state) {
  Measure(state, [](const std::vector<BatchPtr>& events) -> Result<uint64_t> {
    ASSIGN_OR_RETURN(auto hasher, LogicalHasher::Make(EventSchema()));
    for (const auto& batch : events) RETURN_IF_ERROR(hasher.Update(*batch));
    ASSIGN_OR_RETURN(auto hash, hasher.Finish());
    return hash.digest().size();
  });
}
BENCHMARK(BM_LogicalHashOnly)->Unit(benchmark::kMillisecond)->UseRealTime();

void BM_IsSorted(benchmark::State& state) {
  Measure(state, [](const std::vector<BatchPtr>& events) -> Result<uint64_t> {
    const arrow::RecordBatch* last = nullptr;
    for (const auto& batch : events) {
      ASSIGN_OR_RETURN(const bool sorted, IsSorted(*batch, {{"event_time"}}, last));
      if (!sorted) return Internal("not in order");
      last = batch.get();
    }
    return uint64_t{0};
  });
}
BENCHMARK(BM_IsSorted)->Unit(benchmark::kMillisecond)->UseRealTime();

void BM_SortByText(benchmark::State& state) {
  Measure(state, [&](const std::vector<BatchPtr>& events) -> Result<uint64_t> {
    SorterOptions options{.memory_bytes = state.range(0) << 20, .spill_folder = "/tmp/sluice_sort_bench"};
    ASSIGN_OR_RETURN(auto sorter, Sorter::Make(EventSchema(), {{"device"}, {"event_time"}}, options));
    for (const auto& batch : events) RETURN_IF_ERROR(sorter->Add(batch));
    RETURN_IF_ERROR(sorter->Finish());
    int64_t rows = 0;
    while (true) {
      ASSIGN_OR_RETURN(auto batch, sorter->Next());
      if (batch == nullptr) break;
      rows += batch->num_rows();
    }
    if (rows != kRows) return Internal("{} rows", rows);
    return uint64_t{0};
  });
}
BENCHMARK(BM_SortByText)->Arg(256)->Arg(2048)->Unit(benchmark::kMillisecond)->UseRealTime();

void BM_Print(benchmark::State& state) {
  const auto format = static_cast<OutputFormat>(state.range(0));
  state.SetLabel(std::string(NameOf(format)));
  Measure(state, [&](const std::vector<BatchPtr>& events) -> Result<uint64_t> {
    uint64_t bytes = 0;
    const auto sink = [&](std::string_view text) -> Status {
      bytes += text.size();
      return {};
    };
    ASSIGN_OR_RETURN(auto writer, RowWriter::Make(format, EventSchema(), sink));
    for (const auto& batch : events) RETURN_IF_ERROR(writer->Write(*batch));
    RETURN_IF_ERROR(writer->Finish());
    return bytes;
  });
}
BENCHMARK(BM_Print)
    ->Arg(static_cast<int>(OutputFormat::kCsv))
    ->Arg(static_cast<int>(OutputFormat::kNdJson))
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace sluice::columnar
