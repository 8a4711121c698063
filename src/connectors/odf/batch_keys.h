#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::connectors::odf {

// Idempotency keys of batches that have no position. A key belongs to one attempt to store a batch, however
// often that is repeated, and not to what the batch holds: records may come back to what they said before.
// So an equal batch gets the same key only as long as nobody knows whether the first one was taken.
// Thread-safe.
class BatchKeys {
 public:
  struct Limits {
    size_t batches = 10'000;
    size_t records = 1'000'000;
  };
  BatchKeys() : BatchKeys(Limits()) {}
  explicit BatchKeys(const Limits& limits) : limits_(limits) {}

  // For a push of `body` to `target`, which is followed by Answered or Unanswered.
  std::string KeyOf(const std::string& target, std::string_view body);
  // The node said what became of it. `uuids` = of the records that it has now, empty when it was refused:
  // whatever was not answered before and holds one of them may be said once more, as something new.
  void Answered(const std::string& target, std::string_view body, const std::vector<std::string_view>& uuids);
  // It may have been taken. Beyond the limits the oldest are forgotten.
  void Unanswered(const std::string& target, std::string_view body, const std::string& key,
                  const std::vector<std::string_view>& uuids);

 private:
  struct Open {
    std::string key;
    uint64_t number = 0;        // in the order of coming
    std::vector<size_t> uuids;  // hashes, in order
  };
  using OpenBatches = std::map<std::pair<std::string, std::string>, Open>;  // by target and digest

  void Drop(OpenBatches::iterator batch);

  const Limits limits_;
  std::mutex mutex_;
  OpenBatches open_;
  std::map<uint64_t, OpenBatches::iterator> by_age_;
  uint64_t next_ = 0;
  size_t records_ = 0;
};

}  // namespace sluice::connectors::odf
