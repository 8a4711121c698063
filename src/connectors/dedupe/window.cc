#include "connectors/dedupe/window.h"

#include <xxhash.h>

#include <random>
#include <string>

namespace sluice::connectors::dedupe {

static_assert(192 >= XXH3_SECRET_SIZE_MIN);

Window::Window(std::chrono::milliseconds span, size_t max_keys) : span_(span), max_keys_(max_keys) {
  std::random_device random;
  for (uint8_t& byte : secret_) byte = static_cast<uint8_t>(random());
}

Key Window::KeyOf(char kind, const std::vector<std::string_view>& parts) const {
  // Lengths first, so that ("ab", "c") and ("a", "bc") differ.
  std::string bytes(1, kind);
  for (const std::string_view part : parts) {
    const uint64_t size = part.size();
    bytes.append(reinterpret_cast<const char*>(&size), sizeof(size));
    bytes.append(part);
  }
  const XXH128_hash_t hash =
      XXH3_128bits_withSecret(bytes.data(), bytes.size(), secret_.data(), secret_.size());
  return {hash.low64, hash.high64};
}

void Window::Expire(Clock::time_point now) {
  while (!order_.empty() && (order_.front().at + span_ <= now || order_.size() > max_keys_)) {
    const auto found = entries_.find(order_.front().key);
    if (found != entries_.end() && found->second.number == order_.front().number) entries_.erase(found);
    order_.pop_front();
  }
}

Window::Seen Window::Find(const std::vector<Key>& keys, Clock::time_point now) {
  MutexLock lock(mutex_);
  Expire(now);
  Seen seen;
  for (const Key& key : keys) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) continue;
    if (!found->second.fates) return {State::kStored, nullptr, 0};
    seen = {State::kUnderWay, found->second.fates, found->second.row};
  }
  return seen;
}

void Window::Enter(const std::vector<Key>& keys, const std::shared_ptr<const pipeline::Fates>& fates,
                   int32_t row) {
  MutexLock lock(mutex_);
  for (const Key& key : keys) entries_[key] = {fates, row, 0};
}

void Window::Store(const std::vector<Key>& keys, Clock::time_point now) {
  MutexLock lock(mutex_);
  for (const Key& key : keys) {
    Entry& entry = entries_[key];
    entry = {nullptr, 0, next_number_++};
    order_.push_back({now, key, entry.number});
  }
  Expire(now);
}

void Window::Forget(const std::vector<Key>& keys) {
  MutexLock lock(mutex_);
  for (const Key& key : keys) {
    const auto found = entries_.find(key);
    if (found != entries_.end() && found->second.fates) entries_.erase(found);
  }
}

size_t Window::size() const {
  MutexLock lock(mutex_);
  return entries_.size();
}

}  // namespace sluice::connectors::dedupe
