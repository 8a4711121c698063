#include "connectors/odf/least_places.h"

namespace sluice::connectors::odf {

using pipeline::Places;

Places LeastOf(const std::vector<Places>& all) {
  const auto epoch_of = [](const pipeline::Place& place) {
    return place.is_plain ? 0 : place.next >> pipeline::kEpochBits;
  };
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
        place = place.is_plain
                    ? pipeline::Place{0, "", true}
                    : pipeline::Place{epoch_of(place) << pipeline::kEpochBits, place.cursor, false};
    }
  }
  return least;
}

}  // namespace sluice::connectors::odf
