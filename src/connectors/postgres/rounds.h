#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "connectors/postgres/rows.h"

namespace sluice::connectors::postgres {

// Rows that one transaction of Session::StoreLatest may hold: no two share a uuid or a key. Ordered as by
// SortByKey.
struct Round {
  std::vector<int64_t> rows;
  std::vector<int64_t>
      first_rows;  // for each of `rows`: the first of its group, which gives uuid and created_at
  // Rows whose content a later one of `rows` replaces: (row, place in `rows`).
  std::vector<std::pair<int64_t, size_t>> replaced;
  std::vector<int64_t> later;  // for another round, in order
};

// Of `rows`, in the order in which the records came, those whose key came before with another uuid.
std::vector<int64_t> FindOtherUuids(const Records& records, const std::vector<int64_t>& rows);

// tenant_id, source_type, source_id and data_id as one text; empty without a data_id.
std::string KeyText(const std::array<std::string_view, 4>& key);
std::string KeyText(const Records& records, int64_t row);

// Rows whose uuid is that of a stored record, and the KeyText of that record.
using StoredKeys = std::unordered_map<int64_t, std::string>;

// `pending` in the order in which the records came. Of records that are one by their key (or, without a
// data_id, by their uuid) the last one counts, under the uuid of the first: as if they were stored one by
// one. `stored` has to tell of those of FindOtherUuids, as one whose uuid is stored is no record of its key,
// and of those that give a stored record another key: they meet whoever comes with the one that it has.
Round PlanRound(const Records& records, const std::vector<int64_t>& pending, const StoredKeys& stored);

// Takes out of `rows`, which are in the order in which the records came, those that one before them has the
// uuid or the key of: the first that came counts.
std::vector<int64_t> TakeRepeats(const Records& records, std::vector<int64_t>* rows);

// `rows` ordered by key, those without a data_id by uuid; equal ones stay in their order. Writers that store
// the same records then take the server's locks in the same order.
void SortByKey(const Records& records, std::vector<int64_t>* rows);

}  // namespace sluice::connectors::postgres
