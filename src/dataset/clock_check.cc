#include "dataset/clock_check.h"

namespace sluice::dataset {

std::optional<std::string> DescribeClockAhead(const odf::ChainState& state, const Clock& clock) {
  constexpr int64_t kToleratedSeconds = 300;
  const Instant now = clock.Now();
  if (!state.head || state.system_time.seconds - now.seconds <= kToleratedSeconds) return std::nullopt;
  return fmt::format(
      "the dataset's newest block is of {}, this machine's clock says {}: new blocks bear the block's time, "
      "and one of the clocks is wrong",
      FormatInstant(state.system_time), FormatInstant(now));
}

}  // namespace sluice::dataset
