#include "ingest/group_history.h"

#include "ingest/slice_indexer.h"
#include "odf/chain_state.h"

namespace sluice::ingest {

Status GroupHistory::Add(storage::StagedFile& slice, const odf::ChainState& chain) {
  ASSIGN_OR_RETURN(auto indexer, SliceIndexer::Make(set_, chain));
  return indexer.ReadStaged(slice, [&](const std::vector<index::IndexRow>& rows, const auto&) -> Status {
    for (const auto& row : rows) {
      if (row.skip) continue;
      auto& state = written_[std::string(row.key)];
      state.seen = true;
      if (row.retract || !set_.rows) {
        state.latest_row.reset();
      } else {
        state.latest_row = std::string(row.row);
      }
    }
    return {};
  });
}

Result<std::vector<merge::KeyState>> GroupHistory::Find(const std::vector<std::string_view>& keys) {
  std::vector<merge::KeyState> states(keys.size());
  std::vector<std::string_view> asked;
  std::vector<size_t> places;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (auto it = written_.find(keys[i]); it != written_.end()) {
      states[i] = it->second;
    } else {
      asked.push_back(keys[i]);
      places.push_back(i);
    }
  }
  if (asked.empty() || base_->empty()) return states;
  ASSIGN_OR_RETURN(auto found, base_->Find(asked));
  for (size_t i = 0; i < found.size(); ++i) states[places[i]] = std::move(found[i]);
  return states;
}

Status GroupHistory::Scan(const std::function<Status(std::string_view, std::string_view)>& visit) {
  auto next = written_.begin();
  const auto visit_written = [&]() -> Status {
    const auto& [key, state] = *next++;
    return state.latest_row ? visit(key, *state.latest_row) : OkStatus();
  };
  if (!base_->empty()) {
    RETURN_IF_ERROR(base_->Scan([&](std::string_view key, std::string_view row) -> Status {
      while (next != written_.end() && next->first < key) RETURN_IF_ERROR(visit_written());
      if (next != written_.end() && next->first == key) return visit_written();
      return visit(key, row);
    }));
  }
  while (next != written_.end()) RETURN_IF_ERROR(visit_written());
  return {};
}

}  // namespace sluice::ingest
