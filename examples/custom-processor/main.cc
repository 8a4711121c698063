// A program of your own that runs pipelines with a processor of your own beside the stock connectors:
//   feedback pipeline.yaml...
// `mood` sets `metadata_type` to `complaint` where the text holds one of its words. Everything else, batches,
// retries, acknowledgements, conditions, checks of the configuration, is the library's.
#include <arrow/api.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <thread>

#include "base/clock.h"
#include "columnar/arrow_status.h"
#include "connectors/file/connector.h"
#include "connectors/http/connector.h"
#include "connectors/match/connector.h"
#include "connectors/stdio/connector.h"
#include "pipeline/columns.h"
#include "pipeline/host.h"
#include "pipeline/registry.h"
#include "pipeline/settings.h"

using namespace sluice;
using pipeline::Column;

class Mood final : public pipeline::Processor {
 public:
  explicit Mood(std::vector<std::string> words) : words_(std::move(words)) {}

  // A batch is a table of Arrow arrays; columns that do not change are shared, not copied.
  Result<pipeline::Batch> Process(pipeline::Batch batch, std::vector<Reject>*, std::stop_token) override {
    const arrow::StringArray& data = pipeline::Texts(*batch.records, Column::kData);
    const arrow::StringArray& types = pipeline::Texts(*batch.records, Column::kMetadataType);
    arrow::StringBuilder moods;
    for (int64_t row = 0; row < data.length(); ++row) {
      const std::string_view text = data.GetView(row);
      const bool is_complaint = std::any_of(words_.begin(), words_.end(), [&](const std::string& word) {
        return text.find(word) != std::string_view::npos;
      });
      RETURN_IF_ARROW_ERROR(moods.Append(is_complaint ? "complaint" : types.GetView(row)));
    }
    ASSIGN_OR_RETURN_ARROW(auto column, moods.Finish());
    batch.records = pipeline::WithColumn(*batch.records, Column::kMetadataType, std::move(column));
    return batch;
  }

 private:
  const std::vector<std::string> words_;
};

void RegisterMood(pipeline::Registry& registry) {
  pipeline::Declaration declaration;
  declaration.type = "mood";
  declaration.summary = "Marks complaints";
  declaration.options = {{.name = "words",
                          .type = pipeline::OptionType::kTexts,
                          .description = "Words that complaints hold",
                          .is_required = true}};
  registry.Add(std::move(declaration),
               [](const pipeline::Settings& settings,
                  pipeline::Environment&) -> Result<std::unique_ptr<pipeline::Processor>> {
                 return std::unique_ptr<pipeline::Processor>(std::make_unique<Mood>(settings.texts("words")));
               });
}

volatile std::sig_atomic_t is_stopping = 0;

Status Run(const std::vector<std::string>& files) {
  pipeline::Registry registry;
  connectors::RegisterFile(registry);
  connectors::RegisterHttp(registry);
  connectors::RegisterMatch(registry);
  connectors::RegisterStdio(registry);
  RegisterMood(registry);

  SystemClock clock;
  const auto note = [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); };
  // This program knows no `${{ ... }}` of its own: they stay as they are.
  const auto load = [&](const std::string& path) {
    return pipeline::LoadConfig(path, registry,
                                [](std::string_view text) { return Result<std::string>(std::string(text)); });
  };
  auto host = pipeline::PipelineHost::Make({clock, registry, note}, load);
  RETURN_IF_ERROR(host->Start(files));
  while (is_stopping == 0 && !host->is_finished() && host->fatal().ok())
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const Status fatal = host->fatal();
  RETURN_IF_ERROR(host->Stop());
  return fatal;
}

int main(int argc, char** argv) {
  std::signal(SIGTERM, [](int) { is_stopping = 1; });
  std::signal(SIGINT, [](int) { is_stopping = 1; });
  std::signal(SIGPIPE, SIG_IGN);
  const Status status = Run(std::vector<std::string>(argv + 1, argv + argc));
  if (!status.ok()) std::fprintf(stderr, "Error: %s\n", status.error().ToString().c_str());
  return status.ok() ? 0 : 1;
}
