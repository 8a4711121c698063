#include "pipeline/position_keeper.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "pipeline/durable_file.h"

namespace sluice::pipeline {

Result<std::unique_ptr<PositionKeeper>> PositionKeeper::Open(std::string path) {
  auto keeper = std::unique_ptr<PositionKeeper>(new PositionKeeper(std::move(path)));
  if (keeper->path_.empty()) return keeper;
  ASSIGN_OR_RETURN(const auto text, ReadFileIfThere(keeper->path_));
  if (!text) return keeper;
  const auto json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object())
    return Corruption("'{}' holds no positions; without it every upstream is read from its beginning",
                      keeper->path_);
  for (const auto& [type, places] : json.items()) {
    auto read = PlacesFromJson(places.dump());
    if (!read.ok()) return Corruption("'{}': {}", keeper->path_, read.error().message());
    keeper->stored_[type] = *std::move(read);
  }
  return keeper;
}

Places PositionKeeper::StoredOf(const std::string& type) const {
  std::lock_guard lock(mutex_);
  const auto found = stored_.find(type);
  return found == stored_.end() ? Places() : found->second;
}

Result<uint64_t> PositionKeeper::Begin(size_t ingestor, const std::string& type, const std::string& partition,
                                       Places places) {
  std::lock_guard lock(mutex_);
  const auto reader = readers_[type].try_emplace(partition, ingestor).first;
  if (!partition.empty() && reader->second != ingestor)
    return InvalidArgument(
        "two ingestors of type '{}' read '{}', and would overwrite each other's position: take one away, or give it "
        "a 'name' of its own where it has that option",
        type, partition);
  const uint64_t ticket = next_ticket_++;
  open_[ingestor].push_back({ticket, type, std::move(places), false});
  return ticket;
}

void PositionKeeper::Forget(size_t ingestor, uint64_t ticket) {
  std::lock_guard lock(mutex_);
  std::erase_if(open_[ingestor], [&](const Delivered& one) { return one.ticket == ticket; });
}

void PositionKeeper::Done(size_t ingestor, uint64_t ticket) {
  std::lock_guard lock(mutex_);
  auto& open = open_[ingestor];
  const auto found =
      std::lower_bound(open.begin(), open.end(), ticket,
                       [](const Delivered& one, uint64_t wanted) { return one.ticket < wanted; });
  if (found == open.end() || found->ticket != ticket) return;
  found->is_done = true;
  while (!open.empty() && open.front().is_done) {
    for (auto& [partition, place] : open.front().places) {
      auto& stored = stored_[open.front().type][partition];
      if (stored == place) continue;
      stored = place;
      is_dirty_ = true;
    }
    open.pop_front();
  }
}

Status PositionKeeper::Save() {
  if (path_.empty()) return {};
  std::lock_guard saving(save_mutex_);
  std::string text;
  {
    std::lock_guard lock(mutex_);
    if (!is_dirty_) return {};
    is_dirty_ = false;
    nlohmann::json json = nlohmann::json::object();
    for (const auto& [type, places] : stored_) json[type] = nlohmann::json::parse(PlacesToJson(places));
    text = json.dump(1) + "\n";
  }
  auto status = WriteFileDurably(path_, text);
  if (!status.ok()) {
    std::lock_guard lock(mutex_);
    is_dirty_ = true;
  }
  return status;
}

}  // namespace sluice::pipeline
