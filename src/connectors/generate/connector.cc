#include "connectors/generate/connector.h"

#include <arrow/api.h>

#include <algorithm>
#include <array>
#include <functional>

#include "base/instant.h"
#include "pipeline/backoff.h"
#include "pipeline/environment.h"
#include "pipeline/feeding_ingestor.h"
#include "pipeline/record.h"
#include "pipeline/registry.h"
#include "pipeline/settings.h"

namespace sluice::connectors {
namespace {

using pipeline::Feeder;
using pipeline::OptionType;

constexpr std::array<std::string_view, 12> kSentences = {
    "The new search is fast and finds what I mean.",
    "After the update the app crashes when I open the settings.",
    "Please add a dark theme, my eyes would thank you.",
    "La recherche est rapide, merci à toute l'équipe.",
    "Nach dem Update stürzt die App beim Start ab.",
    "How do I export my data to a spreadsheet?",
    "El inicio de sesión falla cada mañana.",
    "Works as described. No complaints so far.",
    "The invoice of last month shows the wrong address.",
    "Sync between two devices takes ages on product1.",
    "Could product2 support more than one account?",
    "Support answered within an hour, impressive."};

struct GenerateOptions {
  int64_t count = 0;
  double rate = 0;
  int64_t batch = 100;
  int64_t tenants = 1;
  int64_t data_bytes = 0;
  std::string source_type;
};

// Makes records on a thread of its own: `count` of them, or for ever, `rate` a second or as fast as they are
// taken. The same record number has always the same content but for time and uuid.
class Generator final : public pipeline::FeedSource {
 public:
  Generator(const GenerateOptions& options, const pipeline::Environment& environment)
      : options_(options), environment_(environment) {}

  Status Read(Feeder& feeder, const std::function<void(Status)>&, const std::stop_token& stop) override {
    const auto start = std::chrono::steady_clock::now();
    int64_t made = 0;
    while (!stop.stop_requested() && (options_.count == 0 || made < options_.count)) {
      int64_t size = options_.batch;
      if (options_.rate > 0) {
        const double passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        const auto due = static_cast<int64_t>(passed * options_.rate) + 1;
        if (due <= made) {
          const double wait = static_cast<double>(made) / options_.rate - passed;
          pipeline::SleepFor(std::chrono::milliseconds(static_cast<int64_t>(wait * 1000) + 1), stop);
          continue;
        }
        size = std::min(size, due - made);
      }
      if (options_.count > 0) size = std::min(size, options_.count - made);
      pipeline::Delivery delivery;
      ASSIGN_OR_RETURN(delivery.batch.records, MakeRecords(made, size));
      RETURN_IF_ERROR(feeder.Feed(std::move(delivery), stop));
      made += size;
    }
    return {};
  }

 private:
  // As text, through the one reader of records: what a fetching service would send.
  Result<std::shared_ptr<arrow::RecordBatch>> MakeRecords(int64_t first, int64_t size) const {
    const std::string now = FormatInstant(environment_.clock().Now().TruncatedToMillis());
    std::string text;
    for (int64_t number = first; number < first + size; ++number) {
      const auto index = static_cast<size_t>(number);
      std::string data(kSentences[(index * 7 + index / 12) % kSentences.size()]);
      while (static_cast<int64_t>(data.size()) < options_.data_bytes) data += ' ' + data;
      if (options_.data_bytes > 0) data.resize(static_cast<size_t>(options_.data_bytes), '.');
      text += fmt::format(
          R"({{"source_type":"{}","source_id":"source-{}","data":"{}","data_id":"{}",)"
          R"("metadata":{{"number":{},"score":{}}},"metadata_type":"generated","tenant_id":"tenant-{}",)"
          R"("created_at":"{}"}})",
          options_.source_type, number % 10, data, number, number, number % 5 + 1, number % options_.tenants,
          now);
      text += '\n';
    }
    pipeline::ParseLimits limits;
    limits.layout = pipeline::Layout::kLines;
    ASSIGN_OR_RETURN(auto parsed, pipeline::ParseRecords(text, limits));
    if (!parsed.bad.empty()) return Internal("a made-up record is none: {}", parsed.bad[0].reason);
    return parsed.records;
  }

  const GenerateOptions options_;
  const pipeline::Environment& environment_;
};

Result<std::unique_ptr<pipeline::Ingestor>> Make(const pipeline::Settings& settings,
                                                 pipeline::Environment& environment) {
  GenerateOptions options;
  options.count = settings.integer("count");
  options.rate = settings.number("rate");
  options.batch = settings.integer("batch");
  options.tenants = settings.integer("tenants");
  options.data_bytes = static_cast<int64_t>(settings.bytes("data_bytes"));
  options.source_type = settings.text("source_type");
  if (options.count < 0) return settings.Complain("count", "a count cannot be negative");
  if (options.rate < 0) return settings.Complain("rate", "a rate cannot be negative");
  if (options.batch < 1 || options.batch > 100'000) return settings.Complain("batch", "from 1 to 100000");
  if (options.tenants < 1) return settings.Complain("tenants", "at least 1");
  if (options.data_bytes > (1 << 20)) return settings.Complain("data_bytes", "at most 1MiB");
  if (options.source_type.find_first_of("\"\\\n") != std::string::npos)
    return settings.Complain("source_type", "a plain word, please");
  return pipeline::MakeFeedingIngestor("generate", std::make_unique<Generator>(options, environment),
                                       [&environment](const std::string& line) { environment.Note(line); });
}

}  // namespace

void RegisterGenerate(pipeline::Registry& registry) {
  pipeline::Declaration declaration;
  declaration.type = "generate";
  declaration.summary = "Makes up records at a rate, for demos and load";
  declaration.tier = pipeline::Tier::kStable;
  declaration.guarantee = pipeline::Guarantee::kNone;
  declaration.guarantee_text = "Made-up records are made again from the first one after a restart.";
  declaration.options = {
      {.name = "count",
       .type = OptionType::kInteger,
       .description = "How many; 0 = without end",
       .default_text = "0"},
      {.name = "rate",
       .type = OptionType::kNumber,
       .description = "Records a second; 0 = as fast as they are taken",
       .default_text = "10"},
      {.name = "batch",
       .type = OptionType::kInteger,
       .description = "Most records of one delivery",
       .default_text = "100"},
      {.name = "tenants",
       .type = OptionType::kInteger,
       .description = "Number of tenants",
       .default_text = "1"},
      {.name = "data_bytes",
       .type = OptionType::kBytes,
       .description = "Size of `data`; 0 = a sentence",
       .default_text = "0"},
      {.name = "source_type", .description = "`source_type` of the records", .default_text = "generate"},
  };
  declaration.example = "type: generate\nrate: 500\ncount: 1000\n";
  registry.Add(std::move(declaration), Make);
}

}  // namespace sluice::connectors
