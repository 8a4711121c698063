#include <cstdlib>
#include <string>

#include "connectors/rest/json_slice.h"
#include "connectors/rest/mapping.h"
#include "connectors/rest/marks.h"
#include "connectors/rest/paging.h"
#include "pipeline/json_scan.h"
#include "pipeline/settings.h"

// What any server may answer: a body, of which pieces are taken, and a header Link.
namespace {

using namespace sluice::connectors::rest;

void Check(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)NextLink(text);
  (void)PageOf(text);
  (void)JsonPath::Parse(text);
  std::string why;
  if (!sluice::pipeline::IsJson(text, 100'000, &why)) return 0;
  RestOptions options;
  options.mark = Mark::kNumber;
  options.mark_path = JsonPath::Parse("id").value();
  options.mapping = Mapping::Parse(nullptr, {}).value();
  (void)MemberNames(text);
  const auto list = FindValue(text, JsonPath::Parse("data").value());
  const auto items = Elements(list.value_or(text));
  if (!items) return 0;
  for (const std::string_view item : *items) {
    Check(sluice::pipeline::IsJson(item, 100'000, &why));
    (void)MarkOf(options, item, 0);
    std::string line;
    Check(options.mapping.Append(item, &line).ok() && line.find('\n') == line.size() - 1);
  }
  return 0;
}
