#include <arrow/record_batch.h>

#include <cstdlib>
#include <string>

#include "pipeline/record.h"
#include "pipeline/text_records.h"

namespace {

using sluice::pipeline::ParseLimits;

// What was read and written is read as the same.
void CheckRoundTrip(const std::shared_ptr<arrow::RecordBatch>& records) {
  std::string text;
  sluice::pipeline::AppendNdJson(*records, &text);
  ParseLimits limits;
  limits.layout = sluice::pipeline::Layout::kLines;
  limits.max_record_bytes = UINT32_MAX;
  limits.max_depth = 1000;
  const auto again = sluice::pipeline::ParseRecords(text, limits);
  if (!again.ok() || !again->bad.empty() || !again->records->Equals(*records)) std::abort();
}

}  // namespace

// The first byte chooses between a body, lines and CSV that come in two pieces.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 3 == 0) {
    const auto parsed = sluice::pipeline::ParseRecords(text);
    if (parsed.ok()) CheckRoundTrip(parsed->records);
    return 0;
  }
  sluice::pipeline::TextRecordsOptions options;
  options.max_record_bytes = 1000;
  if (data[0] % 3 == 1) options.format = sluice::pipeline::TextFormat::kCsv;
  sluice::pipeline::TextRecords records(options);
  const size_t middle = data[0] / 3 % (text.size() + 1);
  for (const auto& piece : {text.substr(0, middle), text.substr(middle), std::string()}) {
    records.Append(piece);
    while (true) {
      auto delivery = records.Take(piece.empty());
      if (!delivery.ok() || !*delivery) break;
      const auto& batch = (*delivery)->batch;
      if (static_cast<int64_t>(batch.next.size()) != batch.rows()) std::abort();
      if (!batch.records->ValidateFull().ok()) std::abort();
    }
  }
  return 0;
}
