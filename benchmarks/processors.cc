// `match`, `language` and `redact` over records of real-looking length, on one core: records a second of each
// and of all three, and how often each asks for memory. Usage: sluice_bench_processors [records] [text file
// to take sentences from, one a line]
#include <arrow/memory_pool.h>
#include <fmt/core.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "connectors/language/connector.h"
#include "connectors/match/connector.h"
#include "connectors/redact/connector.h"
#include "pipeline/config.h"
#include "pipeline/environment.h"
#include "pipeline/processor_chain.h"
#include "pipeline/record.h"
#include "pipeline/registry.h"

namespace {
std::atomic<int64_t> allocations{0};
}  // namespace

// Counted: what the processors ask for by `new`; Arrow counts its own.
void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using namespace sluice;
using Steady = std::chrono::steady_clock;

constexpr int64_t kBatchRows = 10'000;

class BenchEnvironment final : public pipeline::Environment {
 public:
  explicit BenchEnvironment(const pipeline::Registry& registry) : registry_(registry) {}
  const sluice::Clock& clock() const override { return clock_; }
  const pipeline::Registry& registry() const override { return registry_; }
  const std::string& pipeline() const override { return name_; }
  std::string Resolve(const std::string& path) const override { return path; }
  Result<std::string> StateFolder() override { return std::string("."); }
  std::string Clean(std::string text) const override { return text; }
  void Note(const std::string& line) override { fmt::print(stderr, "{}\n", line); }

 private:
  const pipeline::Registry& registry_;
  SystemClock clock_;
  const std::string name_ = "bench";
};

std::vector<std::string> Sentences(const char* path) {
  std::vector<std::string> sentences = {
      "All human beings are born free and equal in dignity and rights.",
      "They are endowed with reason and conscience and should act towards one another in a spirit of brotherhood.",
      "Alle Menschen sind frei und gleich an W\u00fcrde und Rechten geboren.",
      "Tous les \u00eatres humains naissent libres et \u00e9gaux en dignit\u00e9 et en droits.",
      "Todos los seres humanos nacen libres e iguales en dignidad y derechos."};
  if (path == nullptr) return sentences;
  std::ifstream file(path);
  std::string line;
  sentences.clear();
  while (std::getline(file, line)) {
    if (!line.empty()) sentences.push_back(line);
  }
  return sentences;
}

// Two to four sentences each; one record in ten holds something to redact, one in four a product's name.
Result<std::vector<pipeline::Batch>> MakeBatches(int64_t records, const std::vector<std::string>& sentences) {
  std::mt19937 random(1);
  std::vector<pipeline::Batch> batches;
  for (int64_t done = 0; done < records; done += kBatchRows) {
    std::string text;
    for (int64_t row = done; row < std::min(records, done + kBatchRows); ++row) {
      std::string data;
      for (size_t n = 2 + random() % 3; n > 0; --n) data += sentences[random() % sentences.size()] + " ";
      if (random() % 10 == 0) data += "Write to ada@example.org or call +49 30 901820.";
      if (random() % 4 == 0) data += "About product2.";
      std::string quoted;
      for (const char c : data) {
        if (c == '"' || c == '\\') quoted += '\\';
        quoted += c;
      }
      text += fmt::format(R"({{"uuid":"{}","source_type":"mail","data":"{}","metadata":{{"n":{}}}}})", row,
                          quoted, row);
      text += '\n';
    }
    ASSIGN_OR_RETURN(auto parsed, pipeline::ParseRecords(text));
    pipeline::Batch batch;
    batch.records = parsed.records;
    batches.push_back(std::move(batch));
  }
  return batches;
}

Status Run(int64_t records, const char* path) {
  pipeline::Registry registry;
  connectors::RegisterLanguage(registry);
  connectors::RegisterMatch(registry);
  connectors::RegisterRedact(registry);
  BenchEnvironment environment(registry);
  ASSIGN_OR_RETURN(const auto batches, MakeBatches(records, Sentences(path)));
  const std::string match =
      "{type: match, rules: [{when: {field: data, contains: product1}, set: {source_id: product1}}, {when: {field: data, "
      "contains: product2}, set: {source_id: product2}}, {when: {field: source_type, equals: mail}, set: {tenant_id: acme}}]}";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"match", match},
      {"language", "{type: language}"},
      {"redact", "{type: redact}"},
      {"match + language + redact", match + ", {type: language}, {type: redact}"}};
  for (const auto& [name, processors] : cases) {
    const std::string yaml = "{name: bench, ingestors: [{type: nothing}], processors: [" + processors +
                             "], writer: {type: nothing}}";
    pipeline::Declaration nothing;
    nothing.type = "nothing";
    registry.AddUnavailable(
        [&] {
          nothing.kind = pipeline::ConnectorKind::kIngestor;
          return nothing;
        }(),
        "");
    registry.AddUnavailable(
        [&] {
          nothing.kind = pipeline::ConnectorKind::kWriter;
          return nothing;
        }(),
        "");
    ASSIGN_OR_RETURN(const auto config,
                     pipeline::ReadConfig(yaml, "bench.yaml", registry, [](std::string_view text) {
                       return Result<std::string>(std::string(text));
                     }));
    pipeline::PipelineMetrics metrics("bench");
    ASSIGN_OR_RETURN(auto chain,
                     pipeline::ProcessorChain::Make(config.processors, registry, environment, &metrics));
    RETURN_IF_ERROR(chain->Open());
    int64_t rows = 0;
    const auto asked = [] { return allocations + arrow::default_memory_pool()->num_allocations(); };
    const int64_t asked_before = asked();
    const auto begin = Steady::now();
    for (const pipeline::Batch& batch : batches) {
      std::vector<pipeline::ProcessorChain::Refused> refused;
      ASSIGN_OR_RETURN(const auto out, chain->Run(batch, &refused, {}));
      rows += out.rows();
    }
    const double seconds = std::chrono::duration<double>(Steady::now() - begin).count();
    if (rows != records) return Internal("{} of {} records came out of {}", rows, records, name);
    fmt::print("{:<28} {:>9} records {:>7.2f} s {:>10.0f} records/s {:>8.4f} allocations/record\n", name,
               rows, seconds, static_cast<double>(rows) / seconds,
               static_cast<double>(asked() - asked_before) / static_cast<double>(rows));
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t records = argc > 1 ? std::atoll(argv[1]) : 1'000'000;
  const Status status = Run(records, argc > 2 ? argv[2] : nullptr);
  if (!status.ok()) fmt::print(stderr, "Error: {}\n", status.error().ToString());
  return status.ok() ? 0 : 1;
}
