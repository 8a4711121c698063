#include "connectors/rest/progress.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <functional>
#include <span>

#include "connectors/rest/marks.h"
#include "pipeline/record.h"
#include "pipeline/rows.h"
#include "pipeline/text_records.h"

namespace sluice::connectors::rest {
namespace {

constexpr size_t kMostBad = 10'000;
constexpr int64_t kMostAheadSeconds = 3600;

size_t HashOf(std::string_view text) { return std::hash<std::string_view>()(text); }

// What is refused travels as the item that it came as: the mapping may be mended, and read it again.
Status KeepItems(std::span<const Entry> entries, pipeline::Delivery* delivery) {
  if (delivery->refused.empty()) return {};
  std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
  int64_t begin = 0;
  const auto take_until = [&](int64_t end) {
    if (end > begin) parts.push_back(delivery->batch.records->Slice(begin, end - begin));
    begin = end;
  };
  for (const auto& refusal : delivery->refused) {
    take_until(refusal.row);
    parts.push_back(pipeline::RawRecord(entries[static_cast<size_t>(refusal.row)].item));
    ++begin;
  }
  take_until(delivery->batch.rows());
  ASSIGN_OR_RETURN(delivery->batch.records, pipeline::JoinRecords(parts));
  return {};
}

}  // namespace

void Progress::GoOnFrom(const pipeline::Places& places) {
  const auto place = places.find(options_.name);
  if (place == places.end()) return;
  next_ = std::max(place->second.next, options_.start);
  page_ = PageOf(place->second.cursor);
  // The page must not lie behind what is wanted.
  if (page_.base > next_) page_ = {};
}

std::vector<Entry> Progress::NewOf(const std::vector<std::string_view>& items, int64_t base,
                                   int64_t server_seconds) {
  std::vector<Entry> entries;
  for (size_t i = 0; i < items.size(); ++i) {
    auto mark = MarkOf(options_, items[i], base + static_cast<int64_t>(i));
    const bool is_ahead = options_.mark == Mark::kTime && mark.ok() &&
                          (*mark >> kTieBits) / 1000 > server_seconds + kMostAheadSeconds;
    if (is_ahead)
      mark =
          MakeError(ErrorCode::kInvalidRecords, "'{}' of the item is in the future", options_.mark_path.text);
    if (mark.ok()) {
      if (*mark >= next_) entries.push_back({*mark, items[i], {}});
      continue;
    }
    if (!bad_.contains(HashOf(items[i]))) entries.push_back({next_ - 1, items[i], mark.error().message()});
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.mark < b.mark; });
  return entries;
}

Status Progress::Deliver(std::vector<Entry> entries, const PageRef& page, pipeline::Feeder& feeder,
                         const std::stop_token& stop) {
  if (entries.empty()) return {};
  std::string lines;
  for (Entry& entry : entries) {
    if (!entry.wrong.empty()) {
      if (bad_.size() >= kMostBad) bad_.clear();
      bad_.insert(HashOf(entry.item));
    } else {
      if (const Status mapped = options_.mapping.Append(entry.item, &lines); mapped.ok()) continue;
      entry.wrong = "the item cannot be made a record";
    }
    lines += "0\n";  // is no record, and refused
  }
  pipeline::TextRecordsOptions text;
  text.max_record_bytes = options_.max_answer_bytes * 2;
  pipeline::TextRecords records(text);
  records.Append(lines);
  page_ = page;
  size_t at = 0;
  while (true) {
    ASSIGN_OR_RETURN(auto delivery, records.Take(/*is_end=*/true));
    if (!delivery) break;
    const auto rows = static_cast<size_t>(delivery->batch.rows());
    if (at + rows > entries.size()) return Internal("{} records of {} items", at + rows, entries.size());
    for (auto& refusal : delivery->refused) {
      const Entry& entry = entries[at + static_cast<size_t>(refusal.row)];
      if (!entry.wrong.empty()) refusal.reason = entry.wrong;
    }
    for (size_t row = 0; row < rows; ++row) {
      next_ = std::max(next_, entries[at + row].mark + 1);
      delivery->batch.next[row] = next_;
    }
    RETURN_IF_ERROR(KeepItems(std::span(entries).subspan(at, rows), &*delivery));
    at += rows;
    delivery->batch.partition = options_.name;
    delivery->batch.places[options_.name] = place();
    RETURN_IF_ERROR(feeder.Feed(*std::move(delivery), stop));
  }
  return {};
}

Status Progress::SkipTo(int64_t next, pipeline::Feeder& feeder, const std::stop_token& stop) {
  if (next <= next_) return {};
  next_ = next;
  pipeline::Delivery delivery;
  delivery.batch.records = pipeline::NoRecords();
  delivery.batch.partition = options_.name;
  delivery.batch.places[options_.name] = place();
  return feeder.Feed(std::move(delivery), stop);
}

}  // namespace sluice::connectors::rest
