#include "pipeline/replay.h"

#include <arrow/api.h>
#include <fcntl.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "columnar/arrow_status.h"
#include "pipeline/dead_letters.h"
#include "pipeline/feeding_ingestor.h"
#include "pipeline/json_scan.h"
#include "pipeline/record.h"
#include "pipeline/rows.h"
#include "pipeline/text_records.h"
#include "storage/disk.h"

namespace sluice::pipeline {
namespace {

constexpr uint64_t kReadBytes = 1 << 20;
constexpr int kUuidColumn = static_cast<int>(Column::kUuid);
constexpr int kExtraColumn = static_cast<int>(Column::kExtra);

// A JSON object without the member of dead letters, which stands in front of any that the record has itself;
// empty when nothing is left. `label` gets that member.
std::string WithoutLabel(std::string_view object, std::string* label) {
  std::string rest;
  size_t at = SkipSpace(object, 0) + 1;
  while (true) {
    at = SkipSpace(object, at);
    if (at >= object.size() || object[at] != '"') break;
    const size_t key_end = FindValueEnd(object, at);
    const auto key = object.substr(at + 1, key_end - at - 2);
    size_t value = SkipSpace(object, key_end);
    value = SkipSpace(object, value + 1);  // behind the colon
    const size_t end = FindValueEnd(object, value);
    if (end == std::string_view::npos) break;
    if (key == kDeadLetterField && label->empty()) {
      *label = object.substr(value, end - value);
    } else {
      rest += rest.empty() ? '{' : ',';
      rest += object.substr(at, end - at);
    }
    at = SkipSpace(object, end);
    if (at >= object.size() || object[at] != ',') break;
    ++at;
  }
  if (!rest.empty()) rest += '}';
  return rest;
}

// What a dead letter says of itself, as far as sending it again needs it.
struct Label {
  bool is_raw = false;
  std::string ingestor;
  std::vector<std::string> writers;
  bool is_processed = false;
};

Label ReadLabel(const std::string& text) {
  Label label;
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return label;
  const auto is_true = [&](const char* name) {
    const auto found = json.find(name);
    return found != json.end() && *found == true;
  };
  label.is_raw = is_true("raw");
  label.is_processed = is_true("processed");
  if (const auto found = json.find("ingestor"); found != json.end() && found->is_string())
    label.ingestor = found->get<std::string>();
  if (const auto found = json.find("writers"); found != json.end() && found->is_array()) {
    for (const auto& name : *found) {
      if (name.is_string()) label.writers.push_back(name.get<std::string>());
    }
    std::sort(label.writers.begin(), label.writers.end());
  }
  return label;
}

std::string_view ExtraAt(const arrow::RecordBatch& records, int64_t row) {
  const auto& extras = static_cast<const arrow::StringArray&>(*records.column(kExtraColumn));
  return extras.IsNull(row) ? std::string_view() : extras.GetView(row);
}

// Calls `take` with the file's letters, some at a time. A dead letter is longer than the record was: no
// limit.
Status ReadLetters(const storage::File& file, uint64_t size, const std::function<Status(Delivery)>& take) {
  TextRecordsOptions options;
  options.max_record_bytes = size;
  TextRecords records(options);
  for (uint64_t at = 0;;) {
    ASSIGN_OR_RETURN(const std::string bytes, file.ReadSome(at, std::min(kReadBytes, size - at)));
    at += bytes.size();
    records.Append(bytes);
    const bool is_end = bytes.empty() || at >= size;
    while (true) {
      ASSIGN_OR_RETURN(auto delivery, records.Take(is_end));
      if (!delivery) break;
      RETURN_IF_ERROR(take(*std::move(delivery)));
    }
    if (is_end) return {};
  }
}

// Calls `visit` with each row: its label and its unknown fields without it; nothing for a line that is no
// record.
Status ForEachLetter(const Delivery& delivery,
                     const std::function<Status(int64_t row, const Delivery::Refusal* refusal,
                                                const Label& label, const std::string& extra)>& visit) {
  auto refused = delivery.refused.begin();
  for (int64_t row = 0; row < delivery.batch.rows(); ++row) {
    if (refused != delivery.refused.end() && refused->row == row) {
      RETURN_IF_ERROR(visit(row, &*refused++, Label(), ""));
      continue;
    }
    std::string text;
    const std::string_view given = ExtraAt(*delivery.batch.records, row);
    const std::string extra = given.empty() ? "" : WithoutLabel(given, &text);
    RETURN_IF_ERROR(visit(row, nullptr, ReadLabel(text), extra));
  }
  return {};
}

Result<std::shared_ptr<arrow::RecordBatch>> WithText(const std::shared_ptr<arrow::RecordBatch>& one,
                                                     int column, const std::string& text) {
  arrow::StringBuilder builder;
  RETURN_IF_ARROW_ERROR(text.empty() && RecordSchema()->field(column)->nullable() ? builder.AppendNull()
                                                                                  : builder.Append(text));
  std::shared_ptr<arrow::Array> values;
  RETURN_IF_ARROW_ERROR(builder.Finish(&values));
  ASSIGN_OR_RETURN_ARROW(auto changed,
                         one->SetColumn(column, RecordSchema()->field(column), std::move(values)));
  return changed;
}

std::string UuidOf(const arrow::RecordBatch& one) {
  return static_cast<const arrow::StringArray&>(*one.column(kUuidColumn)).GetString(0);
}

class ReplaySource final : public FeedSource {
 public:
  ReplaySource(ReplayPass pass, std::map<std::string, std::unique_ptr<Ingestor>> readers)
      : pass_(std::move(pass)), readers_(std::move(readers)) {}

  Status Open(const Places&) override {
    ASSIGN_OR_RETURN(file_, storage::File::Open(storage::Disk::Real(), pass_.path, O_RDONLY));
    return {};
  }

  Status Read(Feeder& feeder, const std::function<void(Status)>&, const std::stop_token& stop) override {
    return ReadLetters(*file_, pass_.size_bytes, [&](Delivery letters) -> Status {
      ASSIGN_OR_RETURN(auto restored, Restore(letters));
      return restored.batch.records ? feeder.Feed(std::move(restored), stop) : OkStatus();
    });
  }

 private:
  // The records of this pass as they were before they were rejected.
  Result<Delivery> Restore(const Delivery& letters) const {
    Delivery restored;
    std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
    int64_t rows = 0;
    const auto add = [&](std::shared_ptr<arrow::RecordBatch> part) {
      rows += part->num_rows();
      parts.push_back(std::move(part));
    };
    RETURN_IF_ERROR(
        ForEachLetter(letters,
                      [&](int64_t row, const Delivery::Refusal* refusal, const Label& label,
                          const std::string& extra) -> Status {
                        if (label.writers != pass_.writers || label.is_processed != pass_.is_processed)
                          return {};
                        auto one = letters.batch.records->Slice(row, 1);
                        if (refusal != nullptr) {
                          restored.refused.push_back({rows, refusal->reason, ""});
                          add(std::move(one));
                          return {};
                        }
                        if (!label.is_raw) {
                          ASSIGN_OR_RETURN(one, WithText(one, kExtraColumn, extra));
                          add(std::move(one));
                          return {};
                        }
                        ASSIGN_OR_RETURN(const auto bare, WithText(one, kExtraColumn, extra));
                        const std::string text = RawTextOf(*bare, 0);
                        auto again = Reread(label, text, *one);
                        if (!again.ok()) {
                          restored.refused.push_back({rows, again.error().message(), label.ingestor});
                          again = WithText(RawRecord(text), kUuidColumn, UuidOf(*one));
                        }
                        add(*std::move(again));
                        return {};
                      }));
    if (parts.empty()) return restored;
    ASSIGN_OR_RETURN(restored.batch.records, JoinRecords(parts));
    return restored;
  }

  // By the ingestor that refused it, where the pipeline still has it.
  Result<std::shared_ptr<arrow::RecordBatch>> Reread(const Label& label, const std::string& text,
                                                     const arrow::RecordBatch& letter) const {
    const auto reader = readers_.find(label.ingestor);
    if (reader == readers_.end() && !label.ingestor.empty())
      return MakeError(
          ErrorCode::kInvalidRecords,
          "the pipeline has no ingestor '{}', which could read it: change 'ingestor' in the dead letter",
          label.ingestor);
    auto records = reader == readers_.end() ? ParseAll(text) : reader->second->Reread(text);
    if (!records.ok() || (*records)->num_rows() != 1) return records;
    // Sent again a second time it is the same record.
    if (!UuidOf(**records).empty()) return records;
    return WithText(*records, kUuidColumn, UuidOf(letter));
  }

  const ReplayPass pass_;
  const std::map<std::string, std::unique_ptr<Ingestor>> readers_;
  std::unique_ptr<storage::File> file_;
};

}  // namespace

Result<std::vector<ReplayPass>> PlanReplay(const std::string& path) {
  ASSIGN_OR_RETURN(const auto file, storage::File::Open(storage::Disk::Real(), path, O_RDONLY));
  ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  std::vector<ReplayPass> passes;
  RETURN_IF_ERROR(ReadLetters(*file, size, [&](const Delivery& letters) {
    return ForEachLetter(
        letters, [&](int64_t, const Delivery::Refusal*, const Label& label, const std::string&) -> Status {
          const bool is_known = std::any_of(passes.begin(), passes.end(), [&](const ReplayPass& pass) {
            return pass.writers == label.writers && pass.is_processed == label.is_processed;
          });
          if (!is_known) passes.push_back({path, size, label.writers, label.is_processed});
          return {};
        });
  }));
  if (passes.empty()) passes.push_back({path, size, {}, false});
  return passes;
}

std::unique_ptr<Ingestor> MakeReplayIngestor(ReplayPass pass,
                                             std::map<std::string, std::unique_ptr<Ingestor>> readers) {
  return MakeFeedingIngestor("replay", std::make_unique<ReplaySource>(std::move(pass), std::move(readers)),
                             [](const std::string&) {});
}

}  // namespace sluice::pipeline
