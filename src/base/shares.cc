#include "base/shares.h"

#include <algorithm>

namespace sluice {

bool Shares::MayTake(const std::string& tenant, uint64_t amount) {
  std::lock_guard lock(mutex_);
  return IsAllowed(tenant, amount);
}

bool Shares::TakeIfAllowed(const std::string& tenant, uint64_t amount) {
  std::lock_guard lock(mutex_);
  if (!IsAllowed(tenant, amount)) return false;
  held_[tenant] += amount;
  total_ += amount;
  return true;
}

bool Shares::IsAllowed(const std::string& tenant, uint64_t amount) {
  if (!held_.contains(tenant) && held_.size() >= kMostIdle)
    std::erase_if(held_, [](const auto& entry) { return entry.second == 0; });
  const uint64_t mine = held_[tenant];
  const uint64_t free = total_ < capacity_ ? capacity_ - total_ : 0;
  if (amount > free) return false;
  return held_.size() < 2 || mine + amount <= kTimesFree * (free - amount) || mine == 0;
}

void Shares::Take(const std::string& tenant, uint64_t amount) {
  std::lock_guard lock(mutex_);
  held_[tenant] += amount;
  total_ += amount;
}

void Shares::Give(const std::string& tenant, uint64_t amount) {
  std::lock_guard lock(mutex_);
  auto& mine = held_[tenant];
  mine -= std::min(mine, amount);
  total_ -= std::min(total_, amount);
}

uint64_t Shares::total() const {
  std::lock_guard lock(mutex_);
  return total_;
}

std::map<std::string, uint64_t> Shares::held() const {
  std::lock_guard lock(mutex_);
  return held_;
}

}  // namespace sluice
