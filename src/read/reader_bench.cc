#include <arrow/record_batch.h>
#include <benchmark/benchmark.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "read/reader.h"

// Typed reading of rows like those of the big ingestion benchmark: seven columns, some 113 bytes a row.
namespace sluice::read {
namespace {

constexpr int kRows = 500000;

odf::DataField Field(std::string name, odf::TypeKind kind) {
  return {std::move(name), odf::DataType::Option(odf::DataType::Of(kind)), std::nullopt};
}

odf::ReadStep Step(odf::ReadFormat format) {
  odf::ReadStep step;
  step.format = format;
  step.schema.emplace();
  step.schema->fields = {
      Field("event_time", odf::TypeKind::kTimestamp), Field("id", odf::TypeKind::kInt64),
      Field("sensor", odf::TypeKind::kString),        Field("value", odf::TypeKind::kFloat64),
      Field("quality", odf::TypeKind::kInt32),        Field("ratio", odf::TypeKind::kFloat64),
      Field("note", odf::TypeKind::kString)};
  return step;
}

std::string Rows(const char* format) {
  std::mt19937_64 random(1);
  std::string text;
  for (int i = 0; i < kRows; ++i) {
    text += fmt::format(fmt::runtime(format), i % 28 + 1, i % 24, i % 60, i % 1000, 100000000 + i,
                        random() % 5000, static_cast<double>(random() % 1000000) / 1000.0, random() % 100,
                        static_cast<double>(random() % 1000000007) / 1000000007.0, random() % 1000000);
  }
  return text;
}

const std::string& CsvText(bool quoted) {
  static const std::string plain = Rows(
      "2024-05-{:02}T{:02}:{:02}:30.{:03}Z,{},sensor-{:05},{},{},{},a note of some words that nobody {:06}\n");
  static const std::string quotes = Rows(
      "\"2024-05-{:02}T{:02}:{:02}:30.{:03}Z\",{},\"sensor-{:05}\",{},{},{},\"a note, \"\"quoted\"\", that nobody {:06}\"\n");
  return quoted ? quotes : plain;
}

const std::string& JsonText() {
  static const std::string text = Rows(
      "{{\"event_time\":\"2024-05-{:02}T{:02}:{:02}:30.{:03}Z\",\"id\":{},\"sensor\":\"sensor-{:05}\",\"value\":{},\"quality\":{},"
      "\"ratio\":{},\"note\":\"a note of some words that nobody {:06}\"}}\n");
  return text;
}

// The text as a file in the page cache; reading it costs what it costs an ingestion.
class TextFile {
 public:
  explicit TextFile(const std::string& text)
      : path_((std::filesystem::temp_directory_path() / "sluice-reader-bench").string()) {
    std::ofstream(path_, std::ios::binary) << text;
  }
  ~TextFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void Run(benchmark::State& state, odf::ReadFormat format, const std::string& text) {
  const TextFile file(text);
  ReadOptions options;
  options.threads = static_cast<int>(state.range(0));
  for (auto _ : state) {
    auto reader = OpenReader(Step(format), OpenFileSource(file.path()).value(), options);
    int64_t rows = 0;
    for (;;) {
      auto batch = (*reader)->Next();
      if (!batch.ok() || !batch->has_value()) break;
      rows += (*batch)->rows->num_rows();
    }
    if (rows != kRows) state.SkipWithError("rows are missing");
  }
  state.SetBytesProcessed(static_cast<int64_t>(text.size()) * state.iterations());
  state.SetItemsProcessed(int64_t{kRows} * state.iterations());
}

void BM_Csv(benchmark::State& state) { Run(state, odf::ReadFormat::kCsv, CsvText(false)); }
void BM_CsvQuoted(benchmark::State& state) { Run(state, odf::ReadFormat::kCsv, CsvText(true)); }
void BM_NdJson(benchmark::State& state) { Run(state, odf::ReadFormat::kNdJson, JsonText()); }

BENCHMARK(BM_Csv)->Arg(1)->Arg(2)->MeasureProcessCPUTime()->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(BM_CsvQuoted)
    ->Arg(1)
    ->Arg(2)
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(BM_NdJson)->Arg(1)->Arg(2)->MeasureProcessCPUTime()->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sluice::read
