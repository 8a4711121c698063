#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "odf/chain_state.h"

namespace sluice::dataset {

// For people, when the newest block's time lies more than five minutes ahead of the clock (decisions.md 1):
// what is committed now will bear that time.
std::optional<std::string> DescribeClockAhead(const odf::ChainState& state, const Clock& clock);

}  // namespace sluice::dataset
