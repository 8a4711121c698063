#include "pipeline/least_places.h"

namespace sluice::pipeline {

Places LeastOf(const std::vector<Places>& all) {
  const auto epoch_of = [](const Place& place) { return place.is_plain ? 0 : place.next >> kEpochBits; };
  Places least;
  for (const auto& places : all) {
    for (const auto& [partition, place] : places) {
      const auto [found, is_new] = least.emplace(partition, place);
      if (is_new) continue;
      const bool is_newer = epoch_of(place) > epoch_of(found->second);
      const bool is_less = epoch_of(place) == epoch_of(found->second) && place.next < found->second.next;
      if (is_newer || is_less) found->second = place;
    }
  }
  for (auto& [partition, place] : least) {
    for (const auto& places : all) {
      const auto mine = places.find(partition);
      if (mine == places.end() || epoch_of(mine->second) < epoch_of(place))
        place =
            place.is_plain ? Place{0, "", true} : Place{epoch_of(place) << kEpochBits, place.cursor, false};
    }
  }
  return least;
}

}  // namespace sluice::pipeline
