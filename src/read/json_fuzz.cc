#include <cstdlib>
#include <string>

#include "read/reader.h"

namespace {

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

sluice::odf::DataField Field(std::string name, sluice::odf::DataType type) {
  return {std::move(name), sluice::odf::DataType::Option(std::move(type)), std::nullopt};
}

}  // namespace

// The first byte chooses format and schema, the rest is the input.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  using sluice::odf::DataType;
  using sluice::odf::ReadFormat;
  using sluice::odf::TypeKind;
  const unsigned choice = data[0];
  constexpr ReadFormat kFormats[] = {ReadFormat::kNdJson, ReadFormat::kJson, ReadFormat::kNdGeoJson,
                                     ReadFormat::kGeoJson};
  sluice::odf::ReadStep step;
  step.format = kFormats[choice & 3];
  if ((choice & 4) != 0) {
    DataType decimal = DataType::Of(TypeKind::kDecimal);
    decimal.precision = 20;
    decimal.scale = 3;
    DataType inner = DataType::Of(TypeKind::kStruct);
    inner.fields = {Field("a", DataType::Of(TypeKind::kInt64)),
                    Field("b", DataType::List(DataType::Of(TypeKind::kInt8)))};
    step.schema.emplace();
    step.schema->fields = {
        Field("i", DataType::Of(TypeKind::kInt64)), Field("s", DataType::Of(TypeKind::kString)),
        Field("t", DataType::Of(TypeKind::kTimestamp)), Field("d", decimal), Field("n", inner)};
  }
  ReadAll(step, std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
  return 0;
}
