#include <benchmark/benchmark.h>
#include <unistd.h>

#include <filesystem>

#include "log/log.h"

namespace sluice::log {
namespace {

// Durable appends of 1 KiB, each waited for: with more threads, more of them share an fdatasync.
class AppendBench : public benchmark::Fixture {
 public:
  void SetUp(const benchmark::State& state) override {
    if (state.thread_index() != 0) return;
    folder_ = std::filesystem::temp_directory_path() / fmt::format("sluice-log-bench-{}", getpid());
    std::filesystem::remove_all(folder_);
    auto log = Log::Open(folder_);
    if (log.ok()) log_ = std::move(*log);
  }
  void TearDown(const benchmark::State& state) override {
    if (state.thread_index() != 0) return;
    log_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::string folder_;
  std::unique_ptr<Log> log_;
};

BENCHMARK_DEFINE_F(AppendBench, Durable)(benchmark::State& state) {
  const std::string payload(1024, 'x');
  for (auto _ : state) {
    if (!log_ || !log_->Append(1, payload).ok()) state.SkipWithError("cannot append");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_REGISTER_F(AppendBench, Durable)->ThreadRange(1, 64)->UseRealTime();

}  // namespace
}  // namespace sluice::log
