#include "connectors/odf/batch_keys.h"

#include <algorithm>
#include <functional>

#include "base/random.h"
#include "multiformats/multihash.h"

namespace sluice::connectors::odf {
namespace {

std::string DigestOf(std::string_view body) { return multiformats::Sha3Multihash(body).ToString(); }

std::vector<size_t> HashesOf(const std::vector<std::string_view>& uuids) {
  std::vector<size_t> hashes;
  hashes.reserve(uuids.size());
  for (const auto uuid : uuids) {
    if (!uuid.empty()) hashes.push_back(std::hash<std::string_view>()(uuid));
  }
  std::sort(hashes.begin(), hashes.end());
  return hashes;
}

bool HaveOneInCommon(const std::vector<size_t>& a, const std::vector<size_t>& b) {
  for (auto left = a.begin(), right = b.begin(); left != a.end() && right != b.end();) {
    if (*left == *right) return true;
    ++(*left < *right ? left : right);
  }
  return false;
}

}  // namespace

std::string BatchKeys::KeyOf(const std::string& target, std::string_view body) {
  std::lock_guard lock(mutex_);
  if (!open_.empty()) {
    const auto found = open_.find({target, DigestOf(body)});
    if (found != open_.end()) return found->second.key;
  }
  return NewUuid();
}

void BatchKeys::Answered(const std::string& target, std::string_view body,
                         const std::vector<std::string_view>& uuids) {
  std::lock_guard lock(mutex_);
  if (open_.empty()) return;
  if (const auto own = open_.find({target, DigestOf(body)}); own != open_.end()) Drop(own);
  const auto hashes = HashesOf(uuids);
  for (auto other = open_.lower_bound({target, ""}); other != open_.end() && other->first.first == target;) {
    const auto next = std::next(other);
    if (HaveOneInCommon(other->second.uuids, hashes)) Drop(other);
    other = next;
  }
}

void BatchKeys::Unanswered(const std::string& target, std::string_view body, const std::string& key,
                           const std::vector<std::string_view>& uuids) {
  std::lock_guard lock(mutex_);
  const auto [batch, is_new] = open_.try_emplace({target, DigestOf(body)});
  if (!is_new) return;
  batch->second = {key, next_++, HashesOf(uuids)};
  by_age_[batch->second.number] = batch;
  records_ += batch->second.uuids.size();
  while (open_.size() > 1 && (open_.size() > limits_.batches || records_ > limits_.records))
    Drop(by_age_.begin()->second);
}

void BatchKeys::Drop(OpenBatches::iterator batch) {
  records_ -= batch->second.uuids.size();
  by_age_.erase(batch->second.number);
  open_.erase(batch);
}

}  // namespace sluice::connectors::odf
