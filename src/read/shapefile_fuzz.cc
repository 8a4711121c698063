#include <cstdlib>
#include <string>

#include "read/shapefile_reader.h"

namespace {

std::string Take(const uint8_t** data, size_t* size, size_t wanted) {
  const size_t n = std::min(wanted, *size);
  std::string part(reinterpret_cast<const char*>(*data), n);
  *data += n;
  *size -= n;
  return part;
}

}  // namespace

// Two bytes for the table's size, one for the index's, then table, index and shapes. Only a defect of ours,
// or a batch that Arrow finds inconsistent, ends the run.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 4) return 0;
  const size_t table = data[0] | (size_t{data[1]} << 8), index = data[2];
  const bool tell_set = (data[3] & 1) != 0;
  data += 4;
  size -= 4;
  sluice::read::ShapefileParts parts;
  parts.dbf = sluice::read::MakeRandomMemory(Take(&data, &size, table), "fuzz.dbf");
  if (index > 0) parts.shx = sluice::read::MakeRandomMemory(Take(&data, &size, index), "fuzz.shx");
  parts.shp = sluice::read::MakeRandomMemory(Take(&data, &size, size), "fuzz.shp");
  if (tell_set) parts.cpg = "UTF-8";
  sluice::odf::ReadStep step;
  step.format = sluice::odf::ReadFormat::kEsriShapefile;
  sluice::read::ReadOptions options;
  options.threads = 1;
  auto reader = sluice::read::OpenShapefileParts(step, nullptr, std::move(parts), options);
  if (!reader.ok()) {
    if (reader.error().code() == sluice::ErrorCode::kInternal) std::abort();
    return 0;
  }
  for (;;) {
    auto batch = (*reader)->Next();
    if (!batch.ok() && batch.error().code() == sluice::ErrorCode::kInternal) std::abort();
    if (!batch.ok() || !batch->has_value()) return 0;
  }
}
