#include <arrow/record_batch.h>

#include <cstdlib>
#include <string>

#include "connectors/http/answer.h"
#include "pipeline/record.h"

// What anybody may send to the HTTP ingestor, and what any server may answer to the writer. Records that were
// read must be written as JSON that reads as the same records.
namespace {

using namespace sluice::pipeline;

void Check(bool holds) {
  if (!holds) std::abort();
}

void Read(std::string_view text, Layout layout) {
  ParseLimits limits;
  limits.max_record_bytes = 1 << 16;
  limits.layout = layout;
  auto parsed = ParseRecords(text, limits);
  if (!parsed.ok()) {
    Check(parsed.error().code() != sluice::ErrorCode::kInternal);
    return;
  }
  Check(static_cast<int64_t>(parsed->positions.size()) == parsed->records->num_rows());
  Check(parsed->records->Validate().ok());
  std::string written;
  AppendNdJson(*parsed->records, &written);
  limits = {};
  limits.layout = Layout::kLines;
  auto again = ParseRecords(written, limits);
  Check(again.ok() && again->bad.empty());
  Check(again->records->num_rows() == parsed->records->num_rows());
  std::string rewritten;
  AppendNdJson(*again->records, &rewritten);
  Check(written == rewritten);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Read(text, Layout::kLook);
  Read(text, Layout::kLines);
  (void)sluice::connectors::http::OutcomesFromJson(text, 1);
  return 0;
}
