#include "connectors/redact/connector.h"

#include <arrow/api.h>

#include "columnar/arrow_status.h"
#include "connectors/redact/redactor.h"
#include "pipeline/columns.h"
#include "pipeline/field_path.h"
#include "pipeline/registry.h"
#include "pipeline/settings.h"

namespace sluice::connectors {
namespace {

using redact::Kind;
using redact::KindOf;
using redact::Redactor;
using redact::RedactorOptions;

using pipeline::Batch;
using pipeline::Column;

bool IsJson(Column column) { return column == Column::kMetadata || column == Column::kExtra; }

class Redact final : public pipeline::Processor {
 public:
  Redact(std::vector<Column> columns, std::unique_ptr<Redactor> redactor)
      : columns_(std::move(columns)), redactor_(std::move(redactor)) {}

  Result<Batch> Process(Batch batch, std::vector<Reject>*, std::stop_token) override {
    for (const Column column : columns_) {
      ASSIGN_OR_RETURN(auto changed, Change(pipeline::Texts(*batch.records, column), IsJson(column)));
      if (changed != nullptr)
        batch.records = pipeline::WithColumn(*batch.records, column, std::move(changed));
    }
    return batch;
  }

 private:
  // Null when there is nothing to change.
  Result<std::shared_ptr<arrow::Array>> Change(const arrow::StringArray& texts, bool is_json) {
    arrow::StringBuilder builder;
    bool is_changed = false;
    for (int64_t row = 0; row < texts.length(); ++row) {
      const bool is_null = texts.IsNull(row);
      const std::string_view text = is_null ? std::string_view() : texts.GetView(row);
      const bool is_found = !text.empty() && (is_json ? redactor_->RedactJson(text, &new_text_)
                                                      : redactor_->Redact(text, &new_text_));
      if (is_found && !is_changed) {
        is_changed = true;
        RETURN_IF_ARROW_ERROR(builder.Reserve(texts.length()));
        RETURN_IF_ARROW_ERROR(builder.ReserveData(texts.total_values_length()));
        RETURN_IF_ARROW_ERROR(builder.AppendArraySlice(*texts.data(), 0, row));
      }
      if (!is_changed) continue;
      if (is_null) {
        RETURN_IF_ARROW_ERROR(builder.AppendNull());
      } else {
        RETURN_IF_ARROW_ERROR(builder.Append(is_found ? std::string_view(new_text_) : text));
      }
    }
    std::shared_ptr<arrow::Array> out;
    if (is_changed) RETURN_IF_ARROW_ERROR(builder.Finish(&out));
    return out;
  }

  const std::vector<Column> columns_;
  const std::unique_ptr<Redactor> redactor_;
  std::string new_text_;
};

Result<std::unique_ptr<pipeline::Processor>> Make(const pipeline::Settings& settings) {
  std::vector<Column> columns;
  for (const std::string& name : settings.texts("fields")) {
    auto path = pipeline::FieldPath::Parse(name);
    if (!path.ok()) return settings.Complain("fields", path.error().message());
    if (path->is_inside())
      return settings.Complain("fields", fmt::format("'{}' is inside of a field; name the field", name));
    const bool is_kept = path->column == Column::kUuid || path->column == Column::kCreatedAt ||
                         path->column == Column::kUpdatedAt;
    if (is_kept) return settings.Complain("fields", fmt::format("'{}' is not redacted", name));
    columns.push_back(path->column);
  }
  if (columns.empty()) columns.push_back(Column::kData);
  RedactorOptions options;
  for (const std::string& name : settings.texts("find")) {
    auto kind = KindOf(name);
    if (!kind.ok()) return settings.Complain("find", kind.error().message());
    options.kinds.push_back(*kind);
  }
  options.custom = settings.text_map("custom");
  if (options.kinds.empty() && (!settings.has("find") || options.custom.empty()))
    options.kinds = {Kind::kEmail, Kind::kPhone, Kind::kCard, Kind::kIp, Kind::kIban};
  options.replacement = settings.text("replacement");
  if (settings.text("mode") == "hash") {
    options.salt = settings.text("salt");
    if (options.salt.empty())
      return settings.Complain("salt", "mode 'hash' needs a secret, else the values can be found by trying");
  } else if (!settings.text("salt").empty()) {
    return settings.Complain("salt", "only mode 'hash' has one");
  }
  auto redactor = Redactor::Make(options);
  if (!redactor.ok()) return settings.Complain("custom", redactor.error().message());
  return std::unique_ptr<pipeline::Processor>(
      std::make_unique<Redact>(std::move(columns), std::move(redactor).value()));
}

}  // namespace

void RegisterRedact(pipeline::Registry& registry) {
  pipeline::Declaration d;
  d.kind = pipeline::ConnectorKind::kProcessor;
  d.type = "redact";
  d.summary =
      "Takes e-mail addresses, telephone numbers, payment cards, IP addresses, IBANs and the like out.";
  d.tier = pipeline::Tier::kStable;
  d.guarantee_text =
      "What is found is replaced before anything behind it sees the record; it finds what has the form of such a "
      "value, not what a person would recognise by meaning. The dead letters hold records as they came in.";
  d.options = {
      {.name = "fields",
       .type = pipeline::OptionType::kTexts,
       .description =
           "Fields to look into; of metadata and extra all strings and numbers, not the keys. None = data"},
      {.name = "find",
       .type = pipeline::OptionType::kTexts,
       .description =
           "What to look for: email, phone, card (with its check digit), ip, iban. None = all of them"},
      {.name = "custom",
       .type = pipeline::OptionType::kTextMap,
       .description = "More to look for: name to RE2 expression"},
      {.name = "mode",
       .description = "replace, or hash: `[kind:HASH]`, the same for the same value",
       .default_text = "replace",
       .allowed = {"replace", "hash"}},
      {.name = "replacement",
       .description = "What stands in place of it in mode replace; `{kind}` is what it was",
       .default_text = "[{kind}]"},
      {.name = "salt", .description = "Secret of mode hash", .is_sensitive = true},
  };
  d.example = "type: redact\nfields: [data, metadata]\ncustom: {ticket: 'TCK-[0-9]+'}\n";
  registry.Add(std::move(d),
               [](const pipeline::Settings& settings, pipeline::Environment&) { return Make(settings); });
}

}  // namespace sluice::connectors
