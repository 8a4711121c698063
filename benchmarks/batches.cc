// Small batches after a long history, in one process, as a node works.
//
//   sluice_bench_batches WORKSPACE ledger|upsert HISTORY_ROWS BATCHES
//
// Makes the dataset and its history, then takes BATCHES batches of 1,000 rows, half of whose keys are in
// history (uniformly), checks what became of each, and prints one line: key=value pairs, times in
// milliseconds.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "ingest/ingest.h"
#include "odf/yaml.h"
#include "sync_meter.h"
#include "workspace/workspace.h"

namespace {

using namespace sluice;
using Timer = std::chrono::steady_clock;

constexpr int64_t kBatchRows = 1000;

// A node keeps the index open and holds the locks itself.
class OpenIndex final : public index::GuardedIndex {
 public:
  explicit OpenIndex(index::KeyIndex* index) : index_(index) {}
  Result<index::KeyIndex*> Index() override { return index_; }

 private:
  index::KeyIndex* index_;
};

std::string Manifest(const std::string& name, bool upsert) {
  return fmt::format(R"(
kind: DatasetSnapshot
version: 1
content:
  name: {}
  kind: Root
  metadata:
    - kind: AddPushSource
      sourceName: default
      read:
        kind: Csv
        schema:
          fields:
            - {{name: id, type: Int64}}
            - {{name: event_time, type: Timestamp}}
            - {{name: label, type: String}}
            - {{name: value, type: Float64}}
      merge: {{kind: {}, primaryKey: [id]}}
)",
                     name, upsert ? "UpsertStream" : "Ledger");
}

void AppendRow(int64_t id, int64_t version, std::string* out) {
  const int64_t second = (id + version) % 86400;
  fmt::format_to(std::back_inserter(*out), "{},2024-05-01T{:02}:{:02}:{:02}Z,label-{},{}.5\n", id,
                 second / 3600, second / 60 % 60, second % 60, id % 1000, version * 1000 + id % 1000);
}

// Keys 0 to `rows` - 1, made while they are read.
class History final : public read::ByteSource {
 public:
  explicit History(int64_t count) : count_(count) {}
  Result<size_t> Read(char* buffer, size_t size) override {
    while (pending_.size() < size && next_ < count_) AppendRow(next_++, 0, &pending_);
    const size_t taken = std::min(size, pending_.size());
    pending_.copy(buffer, taken);
    pending_.erase(0, taken);
    return taken;
  }
  const std::string& name() const override { return name_; }

 private:
  int64_t count_;
  int64_t next_ = 0;
  std::string pending_;
  std::string name_ = "history";
};

struct Sample {
  double wall_ms, sync_ms, cpu_ms;
  double work_ms() const { return wall_ms - sync_ms; }
};

double Millis(std::chrono::nanoseconds time) { return static_cast<double>(time.count()) / 1e6; }

double CpuMillis() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  auto millis = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) / 1e3;
  };
  return millis(usage.ru_utime) + millis(usage.ru_stime);
}

class Benchmark {
 public:
  Benchmark(std::string strategy, int64_t history)
      : strategy_(std::move(strategy)), history_(history), upsert_(strategy_ == "upsert") {}

  Status Run(const std::string& folder, int batches) {
    ASSIGN_OR_RETURN(workspace_, workspace::Workspace::Init(folder, /*exists_ok=*/true));
    ASSIGN_OR_RETURN(index_, index::KeyIndex::Open(workspace_->root() + "/index"));
    const std::string name = fmt::format("{}.{}", strategy_, history_);
    ASSIGN_OR_RETURN(auto manifests, odf::ParseManifests(Manifest(name, upsert_), "benchmark"));
    ASSIGN_OR_RETURN(entry_, workspace_->Create(std::get<odf::DatasetSnapshot>(manifests[0]), clock_));
    ASSIGN_OR_RETURN(auto load, Take([this] { return std::make_unique<History>(history_); }, history_, 0));
    std::vector<Sample> samples;
    std::mt19937_64 random(1);
    int64_t fresh = history_;
    for (int i = 0; i < batches; ++i) {
      std::string csv;
      for (int64_t row = 0; row < kBatchRows / 2; ++row) {
        AppendRow(static_cast<int64_t>(random() % static_cast<uint64_t>(history_)), i + 1, &csv);
        AppendRow(fresh++, i + 1, &csv);
      }
      auto open = [&] { return read::MakeMemorySource(csv, "batch"); };
      ASSIGN_OR_RETURN(auto sample, Take(open, kBatchRows / 2, upsert_ ? kBatchRows / 2 : 0));
      samples.push_back(sample);
    }
    const Sample cold = samples.front();
    std::sort(samples.begin(), samples.end(),
              [](const Sample& a, const Sample& b) { return a.work_ms() < b.work_ms(); });
    const Sample& middle = samples[samples.size() / 2];
    std::printf(
        "load_ms=%.0f load_cpu_ms=%.0f first_ms=%.2f work_ms=%.2f work_p90_ms=%.2f cpu_ms=%.2f wall_ms=%.2f folder=%s\n",
        load.wall_ms, load.cpu_ms, cold.work_ms(), middle.work_ms(),
        samples[samples.size() * 9 / 10].work_ms(), middle.cpu_ms, middle.wall_ms,
        workspace_->DatasetFolder(entry_.id).c_str());
    return {};
  }

 private:
  Result<std::unique_ptr<index::GuardedIndex>> BeginCommit() {
    return std::unique_ptr<index::GuardedIndex>(std::make_unique<OpenIndex>(index_.get()));
  }

  // Some keys of a batch may be drawn twice: what is corrected may be a little less than asked for.
  Result<Sample> Take(std::function<std::unique_ptr<read::ByteSource>()> open, int64_t appended,
                      int64_t corrected) {
    const auto start = Timer::now();
    const auto sync = SyncTime();
    const double cpu = CpuMillis();
    if (!dataset_) {
      ASSIGN_OR_RETURN(dataset_, workspace_->Open(entry_));
    }
    ingest::IngestContext context{dataset_.get(), [this] { return BeginCommit(); }, &clock_,
                                  workspace_->temp_folder()};
    std::vector<ingest::IngestInput> inputs(1);
    inputs[0].open = [&]() -> Result<std::unique_ptr<read::ByteSource>> { return open(); };
    ASSIGN_OR_RETURN(auto rejects, ingest::RejectLog::Open(ingest::OnError::kFail, ""));
    ASSIGN_OR_RETURN(auto outcomes, ingest::Ingest(context, std::move(inputs), *rejects, {}));
    Sample sample{Millis(Timer::now() - start), Millis(SyncTime() - sync), CpuMillis() - cpu};
    const auto& counts = outcomes[0].counts;
    if (counts.appended != appended || counts.corrected > corrected ||
        counts.corrected < corrected * 9 / 10) {
      return Internal("{} rows appended, {} corrected; expected {} and {}", counts.appended, counts.corrected,
                      appended, corrected);
    }
    return sample;
  }

  std::string strategy_;
  int64_t history_;
  bool upsert_;
  SystemClock clock_;
  std::unique_ptr<workspace::Workspace> workspace_;
  workspace::Entry entry_;
  std::unique_ptr<index::KeyIndex> index_;
  std::unique_ptr<dataset::Dataset> dataset_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5)
    return std::fprintf(stderr, "usage: sluice_bench_batches WORKSPACE ledger|upsert HISTORY_ROWS BATCHES\n"),
           2;
  Status status = Benchmark(argv[2], std::atoll(argv[3])).Run(argv[1], std::atoi(argv[4]));
  if (!status.ok()) std::fprintf(stderr, "Error: %s\n", status.error().ToString().c_str());
  return status.ok() ? 0 : 1;
}
