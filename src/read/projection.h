#pragma once

#include <string>

namespace sluice::read {

// For people: which projection coordinates are in. Empty without one, and for plain longitude and latitude
// (WGS 84).
std::string DescribeProjection(const std::string& well_known_text);

}  // namespace sluice::read
