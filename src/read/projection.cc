#include "read/projection.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::read {

std::string DescribeProjection(const std::string& well_known_text) {
  const size_t open = well_known_text.find('"');
  const size_t close = open == std::string::npos ? open : well_known_text.find('"', open + 1);
  if (close == std::string::npos) return {};
  constexpr size_t kShown = 80;
  const std::string name = well_known_text.substr(open + 1, std::min(close - open - 1, kShown));
  if (name == "GCS_WGS_1984" || name == "WGS 84" || name == "WGS_1984") return {};
  return fmt::format(
      "coordinates are in the projection '{}', as in the file; ST_Transform makes others of them", name);
}

}  // namespace sluice::read
