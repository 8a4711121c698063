#include <cstdlib>
#include <string>

#include "read/reader.h"

namespace {

// Reads all; only a defect of ours, or a batch that Arrow finds inconsistent, ends the run.
void ReadAll(const sluice::odf::ReadStep& step, const std::string& text) {
  auto reader = sluice::read::OpenReader(step, sluice::read::MakeMemorySource(text, "fuzz"), {});
  if (!reader.ok()) {
    if (reader.error().code() == sluice::ErrorCode::kInternal) std::abort();
    return;
  }
  for (;;) {
    auto batch = (*reader)->Next();
    if (!batch.ok() && batch.error().code() == sluice::ErrorCode::kInternal) std::abort();
    if (!batch.ok() || !batch->has_value()) return;
  }
}

sluice::odf::DataField Field(std::string name, sluice::odf::TypeKind kind) {
  return {std::move(name), sluice::odf::DataType::Option(sluice::odf::DataType::Of(kind)), std::nullopt};
}

}  // namespace

// The first byte chooses the options, the rest is the input.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  using sluice::odf::TypeKind;
  const unsigned choice = data[0];
  sluice::odf::ReadStep step;
  step.format = sluice::odf::ReadFormat::kCsv;
  step.header = (choice & 1) != 0;
  step.infer_schema = (choice & 2) != 0;
  if ((choice & 4) != 0) step.escape = "";
  if ((choice & 8) != 0) step.quote = "";
  if ((choice & 16) != 0) step.separator = ";";
  if ((choice & 32) != 0) {
    step.schema.emplace();
    step.schema->fields = {Field("i", TypeKind::kInt32), Field("f", TypeKind::kFloat64),
                           Field("t", TypeKind::kTimestamp), Field("d", TypeKind::kDate),
                           Field("s", TypeKind::kString)};
  }
  if ((choice & 64) != 0) step.timestamp_format = "%d.%m.%Y %H:%M:%S %z";
  ReadAll(step, std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
  return 0;
}
