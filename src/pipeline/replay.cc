#include "pipeline/replay.h"

#include <arrow/api.h>
#include <fcntl.h>

#include <functional>
#include <nlohmann/json.hpp>

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
constexpr int kData = static_cast<int>(Column::kData);
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

// The records as they were before they were rejected.
Result<Delivery> Restore(Delivery delivery) {
  delivery.batch.next.clear();
  const auto records = delivery.batch.records;
  const auto& extras = static_cast<const arrow::StringArray&>(*records->column(kExtraColumn));
  const auto& data = static_cast<const arrow::StringArray&>(*records->column(kData));
  std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
  auto next_refused = delivery.refused.begin();
  for (int64_t row = 0; row < records->num_rows(); ++row) {
    auto one = records->Slice(row, 1);
    if (next_refused != delivery.refused.end() && next_refused->row == row) {
      ++next_refused;
      parts.push_back(std::move(one));
      continue;
    }
    std::string label;
    const std::string extra = extras.IsNull(row) ? "" : WithoutLabel(extras.GetView(row), &label);
    const auto json = nlohmann::json::parse(label, nullptr, /*allow_exceptions=*/false);
    const auto raw = json.is_object() ? json.find("raw") : json.end();
    if (raw != json.end() && *raw == true) {
      ParseLimits limits;
      limits.layout = Layout::kLines;
      auto parsed = ParseRecords(data.GetView(row), limits);
      if (parsed.ok() && parsed->bad.empty() && parsed->records->num_rows() == 1) {
        parts.push_back(parsed->records);
      } else {
        parts.push_back(RawRecord(data.GetView(row)));
        const std::string why = !parsed.ok()          ? parsed.error().ToString()
                                : parsed->bad.empty() ? "it is not one record"
                                                      : parsed->bad[0].reason;
        next_refused = delivery.refused.insert(next_refused, {row, why}) + 1;
      }
      continue;
    }
    arrow::StringBuilder builder;
    RETURN_IF_ARROW_ERROR(extra.empty() ? builder.AppendNull() : builder.Append(extra));
    std::shared_ptr<arrow::Array> column;
    RETURN_IF_ARROW_ERROR(builder.Finish(&column));
    ASSIGN_OR_RETURN_ARROW(
        one, one->SetColumn(kExtraColumn, RecordSchema()->field(kExtraColumn), std::move(column)));
    parts.push_back(std::move(one));
  }
  ASSIGN_OR_RETURN(delivery.batch.records, JoinRecords(parts));
  return delivery;
}

class ReplaySource final : public FeedSource {
 public:
  explicit ReplaySource(std::string path) : path_(std::move(path)) {}

  Status Open(const Places&) override {
    ASSIGN_OR_RETURN(file_, storage::File::Open(storage::Disk::Real(), path_, O_RDONLY));
    ASSIGN_OR_RETURN(size_, file_->Size());
    return {};
  }

  Status Read(Feeder& feeder, const std::function<void(Status)>&, const std::stop_token& stop) override {
    TextRecords records({});
    for (uint64_t at = 0; at < size_ || size_ == 0;) {
      ASSIGN_OR_RETURN(const std::string bytes, file_->ReadSome(at, std::min(kReadBytes, size_ - at)));
      at += bytes.size();
      records.Append(bytes);
      const bool is_end = bytes.empty() || at >= size_;
      while (true) {
        ASSIGN_OR_RETURN(auto delivery, records.Take(is_end));
        if (!delivery) break;
        ASSIGN_OR_RETURN(auto restored, Restore(*std::move(delivery)));
        RETURN_IF_ERROR(feeder.Feed(std::move(restored), stop));
      }
      if (is_end) break;
    }
    return {};
  }

 private:
  const std::string path_;
  std::unique_ptr<storage::File> file_;
  uint64_t size_ = 0;
};

}  // namespace

std::unique_ptr<Ingestor> MakeReplayIngestor(std::string path) {
  return MakeFeedingIngestor("replay", std::make_unique<ReplaySource>(std::move(path)),
                             [](const std::string&) {});
}

}  // namespace sluice::pipeline
