#include "gateway/last_commits.h"

#include <algorithm>
#include <set>
#include <utility>

namespace sluice::gateway {
namespace {

constexpr size_t kNoted = 32;
constexpr size_t kLookBack = 100;

// The owners of blocks, seen from the head back.
class LookBack {
 public:
  LookBack(const odf::ChainState& chain, const LastCommits& noted, const LastCommits::News& news)
      : chain_(chain), noted_(noted), news_(news) {
    for (const auto& [name, source] : chain.push_sources) wanted_.insert(name);
  }

  // Those of whom nothing was found yet.
  const std::set<std::string>& wanted() const { return wanted_; }
  const std::map<std::string, LastCommits::Last>& found() const { return found_; }

  void Add(const dataset::StoredBlock& stored) {
    const auto& block = stored.block;
    for (auto it = wanted_.begin(); it != wanted_.end();) {
      const bool has_none = chain_.push_sources.at(*it).activated_at >= block.sequence_number;
      if (has_none) found_[*it] = {};
      it = has_none ? wanted_.erase(it) : std::next(it);
    }
    if (const auto* disabled = std::get_if<odf::DisablePushSource>(&block.event))
      former_.insert(disabled->source_name);
    const auto* data = std::get_if<odf::AddData>(&block.event);
    if (data == nullptr) return;
    const SourceBlock here{stored.hash, block.sequence_number};
    const auto owners = noted_.OwnersOf(stored.hash);
    for (const auto& owner : owners) Settle(owner, {here});
    if (data->new_source_state) Settle(data->new_source_state->source_name, {here});
    if (!data->new_data) return;  // without a state, a watermark: of no source
    const bool is_joined = block.sequence_number <= news_.joined_until;
    if (!is_joined && (data->new_source_state || !owners.empty())) return;
    if (!is_joined && news_.adds_to) return Settle(*news_.adds_to, {here});
    std::set<std::string> possible = former_;
    for (const auto& [name, source] : chain_.push_sources) {
      if (source.activated_at < block.sequence_number) possible.insert(name);
    }
    for (const auto& name : possible)
      Settle(name, possible.size() == 1 ? LastCommits::Last{here} : LastCommits::Last{{}, false});
  }

 private:
  void Settle(const std::string& name, LastCommits::Last last) {
    if (wanted_.erase(name) > 0) found_[name] = std::move(last);
  }

  const odf::ChainState& chain_;
  const LastCommits& noted_;
  const LastCommits::News& news_;
  std::set<std::string> wanted_;
  std::set<std::string> former_;  // active at the block that is looked at, and not any more
  std::map<std::string, LastCommits::Last> found_;
};

}  // namespace

void LastCommits::Note(const std::string& source, const SourceBlock& block) {
  auto& known = sources_[source];
  if (known.last.is_known && known.last.block && known.last.block->sequence > block.sequence) return;
  if (!known.noted.empty() && known.noted.back() == block && known.last == Last{block}) return;
  known.last = {block};
  if (std::ranges::find(known.noted, block) != known.noted.end()) return;
  known.noted.push_back(block);
  if (known.noted.size() > kNoted) known.noted.pop_front();
}

void LastCommits::Replace(const std::vector<std::pair<uint64_t, uint64_t>>& successors,
                          const std::vector<multiformats::Multihash>& blocks) {
  const auto now = [&](const SourceBlock& old) -> std::optional<SourceBlock> {
    const auto it =
        std::lower_bound(successors.begin(), successors.end(), old.sequence,
                         [](const auto& entry, uint64_t sequence) { return entry.first < sequence; });
    if (it == successors.end() || it->second >= blocks.size()) return std::nullopt;
    return SourceBlock{blocks[it->second], it->second};
  };
  for (auto& [name, source] : sources_) {
    if (source.last.block) source.last.block = now(*source.last.block);
    std::deque<SourceBlock> noted;
    for (const auto& old : source.noted) {
      const auto block = now(old);
      if (block && (noted.empty() || noted.back() != *block)) noted.push_back(*block);
    }
    source.noted = std::move(noted);
  }
  if (!blocks.empty()) replaced_by_ = SourceBlock{blocks.back(), blocks.size() - 1};
}

std::vector<std::string> LastCommits::OwnersOf(const multiformats::Multihash& block) const {
  std::vector<std::string> owners;
  for (const auto& [name, source] : sources_) {
    if (std::ranges::any_of(source.noted, [&](const SourceBlock& noted) { return noted.hash == block; }))
      owners.push_back(name);
  }
  return owners;
}

LastCommits::Last LastCommits::Of(const std::string& source) const {
  const auto it = sources_.find(source);
  return it == sources_.end() ? Last{} : it->second.last;
}

uint64_t LastCommits::oldest_noted() const {
  uint64_t oldest = UINT64_MAX;
  for (const auto& [name, source] : sources_) {
    if (!source.noted.empty()) oldest = std::min(oldest, source.noted.front().sequence);
  }
  return oldest;
}

void LastCommits::Follow(const dataset::Dataset& dataset, News news) {
  // What a compaction has made of a known history is known.
  if (const auto replaced_by = std::exchange(replaced_by_, std::nullopt); replaced_by && !news.seen) {
    const auto is_there = dataset.IsAncestor(replaced_by->hash);
    if (is_there.ok() && *is_there) news.seen = replaced_by->sequence;
  }
  const auto& seen = news.seen;
  LookBack look(dataset.state(), *this, news);
  std::set<multiformats::Multihash> there;
  bool reached_seen = false;
  // Of another history than before also what a later reset may go back to.
  const uint64_t far_enough = seen ? UINT64_MAX : oldest_noted();
  if (look.wanted().empty()) {
    if (!seen) sources_.clear();
    return;
  }
  const Status walked = dataset.WalkBack([&](const dataset::StoredBlock& stored) -> Result<bool> {
    const uint64_t sequence = stored.block.sequence_number;
    reached_seen = seen && sequence <= *seen;
    if (reached_seen || there.size() == kLookBack) return false;
    there.insert(stored.hash);
    look.Add(stored);
    return !look.wanted().empty() || sequence > far_enough;
  });
  for (auto& [name, source] : sources_) {
    if (!seen)
      std::erase_if(source.noted, [&](const SourceBlock& block) { return !there.contains(block.hash); });
  }
  for (const auto& [name, last] : look.found()) {
    sources_[name].last = {};
    if (last.block) Note(name, *last.block);
    sources_[name].last = last;
  }
  for (const auto& name : look.wanted()) {
    if (!reached_seen || !walked.ok()) sources_[name].last = {{}, false};
  }
}

}  // namespace sluice::gateway
