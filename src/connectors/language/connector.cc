#include "connectors/language/connector.h"

#include <arrow/api.h>

#include <algorithm>

#include "columnar/arrow_status.h"
#include "connectors/language/detector.h"
#include "pipeline/columns.h"
#include "pipeline/registry.h"
#include "pipeline/settings.h"

namespace sluice::connectors {
namespace {

using language::Detect;
using language::Detected;

using pipeline::Batch;
using pipeline::Column;

struct Options {
  bool overwrite = false;
  bool reliable_only = true;
  size_t max_bytes = 0;
  std::vector<std::string> languages;  // sorted; empty = all
  std::string fallback;
};

class Language final : public pipeline::Processor {
 public:
  explicit Language(Options options) : options_(std::move(options)) {}

  Result<Batch> Process(Batch batch, std::vector<Reject>*, std::stop_token) override {
    const arrow::StringArray& old = pipeline::Texts(*batch.records, Column::kLang);
    const arrow::StringArray& data = pipeline::Texts(*batch.records, Column::kData);
    arrow::StringBuilder builder;
    RETURN_IF_ARROW_ERROR(builder.Reserve(old.length()));
    RETURN_IF_ARROW_ERROR(builder.ReserveData(old.length() * 2 + old.total_values_length()));
    for (int64_t row = 0; row < old.length(); ++row) {
      const std::string_view given = old.GetView(row);
      RETURN_IF_ARROW_ERROR(
          builder.Append(given.empty() || options_.overwrite ? Find(data.GetView(row), given) : given));
    }
    std::shared_ptr<arrow::Array> column;
    RETURN_IF_ARROW_ERROR(builder.Finish(&column));
    batch.records = pipeline::WithColumn(*batch.records, Column::kLang, std::move(column));
    return batch;
  }

 private:
  std::string_view Find(std::string_view text, std::string_view given) const {
    const Detected detected = Detect(text, options_.max_bytes, !options_.reliable_only);
    const bool is_wanted =
        !detected.code.empty() && (detected.is_reliable || !options_.reliable_only) &&
        (options_.languages.empty() ||
         std::binary_search(options_.languages.begin(), options_.languages.end(), detected.code));
    if (is_wanted) return detected.code;
    return given.empty() ? std::string_view(options_.fallback) : given;
  }

  const Options options_;
};

}  // namespace

void RegisterLanguage(pipeline::Registry& registry) {
  pipeline::Declaration d;
  d.kind = pipeline::ConnectorKind::kProcessor;
  d.type = "language";
  d.summary = "Fills `lang` with the language of `data`, where it is empty";
  d.tier = pipeline::Tier::kStable;
  d.guarantee_text =
      "Works offline, by CLD2. Of 1,651 paragraphs in 28 languages it told 97.2% right (docs/processors.md); "
      "what is too short or mixed is left empty unless `reliable_only: false`.";
  d.options = {
      {.name = "overwrite",
       .type = pipeline::OptionType::kBoolean,
       .description = "Whether a `lang` that the record brings is replaced when another language is found",
       .default_text = "false"},
      {.name = "reliable_only",
       .type = pipeline::OptionType::kBoolean,
       .description = "Whether guesses that CLD2 does not vouch for, mostly of short texts, are left out",
       .default_text = "true"},
      {.name = "languages",
       .type = pipeline::OptionType::kTexts,
       .description = "The only languages that are set, as codes such as en, de, zh-Hant; none = all"},
      {.name = "default", .description = "What `lang` becomes when no language is found and none was given"},
      {.name = "max_bytes",
       .type = pipeline::OptionType::kBytes,
       .description = "How much of the text is looked at",
       .default_text = "4KiB"},
  };
  d.example = "type: language\n";
  registry.Add(std::move(d),
               [](const pipeline::Settings& settings,
                  pipeline::Environment&) -> Result<std::unique_ptr<pipeline::Processor>> {
                 Options options;
                 options.overwrite = settings.boolean("overwrite");
                 options.reliable_only = settings.boolean("reliable_only");
                 options.max_bytes = settings.bytes("max_bytes");
                 options.languages = settings.texts("languages");
                 for (const auto& code : options.languages) {
                   if (!language::IsKnown(code))
                     return settings.Complain("languages",
                                              fmt::format("'{}' is no code that is ever set", code));
                 }
                 std::sort(options.languages.begin(), options.languages.end());
                 options.fallback = settings.text("default");
                 if (options.max_bytes == 0)
                   return settings.Complain("max_bytes", "nothing can be told from 0 bytes");
                 return std::unique_ptr<pipeline::Processor>(std::make_unique<Language>(std::move(options)));
               });
}

}  // namespace sluice::connectors
