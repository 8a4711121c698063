#include "connectors/postgres/rounds.h"

#include <algorithm>
#include <unordered_set>

namespace sluice::connectors::postgres {
namespace {

using pipeline::Column;

constexpr std::array kKeyColumns = {Column::kTenantId, Column::kSourceType, Column::kSourceId,
                                    Column::kDataId};

// No text of a record that gets here holds a NUL. Without a data_id it is the uuid that tells records apart.
std::string IdentityOf(const Records& records, int64_t row) {
  std::string text = KeyText(records, row);
  return text.empty() ? std::string(records.text(Column::kUuid, row)) : text;
}

// Records that are one by their key stay as they came: the first of them counts.
bool IsBefore(const Records& records, int64_t a, int64_t b) {
  for (const Column column : kKeyColumns) {
    const int order = records.text(column, a).compare(records.text(column, b));
    if (order != 0) return order < 0;
  }
  return records.text(Column::kDataId, a).empty() &&
         records.text(Column::kUuid, a) < records.text(Column::kUuid, b);
}

}  // namespace

std::string KeyText(const std::array<std::string_view, 4>& key) {
  std::string text;
  if (key.back().empty()) return text;
  for (const std::string_view part : key) {
    text += part;
    text += '\0';
  }
  return text;
}

std::string KeyText(const Records& records, int64_t row) {
  std::array<std::string_view, kKeyColumns.size()> key;
  for (size_t i = 0; i < key.size(); ++i) key[i] = records.text(kKeyColumns[i], row);
  return KeyText(key);
}

std::vector<int64_t> FindOtherUuids(const Records& records, const std::vector<int64_t>& rows) {
  std::unordered_map<std::string, std::string_view> first_uuid;  // by identity
  std::vector<int64_t> others;
  for (const int64_t row : rows) {
    const std::string_view uuid = records.text(Column::kUuid, row);
    if (first_uuid.emplace(IdentityOf(records, row), uuid).first->second != uuid) others.push_back(row);
  }
  return others;
}

Round PlanRound(const Records& records, const std::vector<int64_t>& pending, const StoredKeys& stored) {
  struct Group {
    std::string identity;
    std::vector<int64_t> rows;
  };
  std::vector<Group> groups;
  std::unordered_map<std::string, size_t> group_of;
  std::unordered_map<std::string_view, size_t> uuid_group;  // uuid -> the group that has it
  std::unordered_map<std::string, size_t> left_by;          // key of a stored record -> who gives it another
  // What something in a later round waits for must not grow any more, nor be overtaken.
  std::unordered_set<std::string> closed;
  std::unordered_set<std::string_view> closed_uuids;
  Round round;
  for (const int64_t row : pending) {
    std::string identity = IdentityOf(records, row);
    const std::string_view uuid = records.text(Column::kUuid, row);
    const auto known = group_of.find(identity);
    const size_t group = known == group_of.end() ? groups.size() : known->second;
    const auto holder = uuid_group.find(uuid);
    const bool is_held = holder != uuid_group.end() && holder->second != group;
    const auto stored_key = stored.find(row);
    const bool is_another = group < groups.size() && stored_key != stored.end() &&
                            records.text(Column::kUuid, groups[group].rows.front()) != uuid;
    const std::string left =
        stored_key == stored.end() || stored_key->second == identity ? std::string() : stored_key->second;
    const auto leaver = left_by.find(identity);
    const bool is_left = leaver != left_by.end() && leaver->second != group;
    const bool may_not_leave = !left.empty() && (closed.contains(left) || group_of.contains(left));
    if (closed.contains(identity) || closed_uuids.contains(uuid) || is_held || is_another || is_left ||
        may_not_leave) {
      if (is_held) closed.insert(groups[holder->second].identity);
      if (is_left) closed.insert(groups[leaver->second].identity);
      if (!left.empty()) closed.insert(left);
      closed.insert(std::move(identity));
      closed_uuids.insert(uuid);
      round.later.push_back(row);
      continue;
    }
    if (group == groups.size()) {
      groups.push_back({identity, {}});
      group_of.emplace(std::move(identity), group);
    }
    uuid_group.emplace(uuid, group);
    if (!left.empty()) left_by.emplace(left, group);
    groups[group].rows.push_back(row);
  }
  std::stable_sort(groups.begin(), groups.end(), [&](const Group& a, const Group& b) {
    return IsBefore(records, a.rows.back(), b.rows.back());
  });
  for (const Group& group : groups) {
    const size_t place = round.rows.size();
    for (size_t i = 0; i + 1 < group.rows.size(); ++i) round.replaced.emplace_back(group.rows[i], place);
    round.rows.push_back(group.rows.back());
    round.first_rows.push_back(group.rows.front());
  }
  return round;
}

std::vector<int64_t> TakeRepeats(const Records& records, std::vector<int64_t>* rows) {
  std::unordered_set<std::string_view> uuids;
  std::unordered_set<std::string> keys;
  std::vector<int64_t> repeats;
  std::erase_if(*rows, [&](int64_t row) {
    const bool is_new_uuid = uuids.insert(records.text(Column::kUuid, row)).second;
    const bool is_new_key =
        records.text(Column::kDataId, row).empty() || keys.insert(IdentityOf(records, row)).second;
    if (is_new_uuid && is_new_key) return false;
    repeats.push_back(row);
    return true;
  });
  return repeats;
}

void SortByKey(const Records& records, std::vector<int64_t>* rows) {
  const auto is_before = [&](int64_t a, int64_t b) { return IsBefore(records, a, b); };
  if (!std::is_sorted(rows->begin(), rows->end(), is_before))
    std::stable_sort(rows->begin(), rows->end(), is_before);
}

}  // namespace sluice::connectors::postgres
