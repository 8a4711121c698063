#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/instant.h"
#include "columnar/keys.h"
#include "merge/gather.h"
#include "merge/merge_internal.h"

namespace sluice::merge {

// What one batch did to the state: keys in order, each with the row that is now its latest, or none.
struct StateChanges {
  struct Row {
    RowRef ref;  // into `batches`
    bool live = false;
  };
  columnar::PackedBytes keys;
  std::vector<Row> rows;
  std::vector<BatchPtr> batches;
  std::optional<Instant> fallback_event_time;

  void Remove(std::string_view key) {
    keys.Append(key);
    rows.push_back({});
  }
  void Set(std::string_view key, RowRef ref) {
    keys.Append(key);
    rows.push_back({ref, true});
  }
};

// The state as the earlier batches of a group left it, where it differs from history. Grows with what they
// changed.
class Overlay {
 public:
  struct Entry {
    std::string_view key;
    RowRef ref;  // into batches()
    bool live = false;
  };

  // Adds what a batch did. Its rows get the fallback event time where they have none, as they do when they
  // are committed.
  Status Fold(std::unique_ptr<StateChanges> changes, const std::string& event_time);

  const std::vector<Entry>& entries() const { return entries_; }  // in key order
  const std::vector<BatchPtr>& batches() const { return batches_; }

 private:
  std::vector<Entry> entries_;
  std::vector<BatchPtr> batches_;
  std::vector<std::unique_ptr<StateChanges>> folded_;  // own the keys
};

// `rows` with the nulls of a date or timestamp column replaced.
Result<BatchPtr> FillEventTime(const BatchPtr& rows, const std::string& column, Instant value);

}  // namespace sluice::merge
