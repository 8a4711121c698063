#include "pipeline/batch.h"

#include <arrow/record_batch.h>

#include <nlohmann/json.hpp>

namespace sluice::pipeline {

int Badness(OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::kDuplicate:
      return 0;
    case OutcomeKind::kAccepted:
      return 1;
    case OutcomeKind::kRejected:
      return 2;
    case OutcomeKind::kFailed:
      return 3;
  }
  return 3;
}

int64_t Batch::rows() const { return records ? records->num_rows() : 0; }

std::string PlacesToJson(const Places& places) {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [partition, place] : places) {
    nlohmann::json entry = {{"next", place.next}};
    if (!place.cursor.empty()) entry["cursor"] = place.cursor;
    if (place.is_plain) entry["plain"] = true;
    json[partition] = std::move(entry);
  }
  return json.dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::json::error_handler_t::replace);
}

Result<Places> PlacesFromJson(std::string_view json) {
  const auto tree = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!tree.is_object()) return InvalidArgument("'{}' are no positions", json);
  Places places;
  for (const auto& [partition, entry] : tree.items()) {
    if (!entry.is_object() || !entry.contains("next") || !entry["next"].is_number_integer())
      return InvalidArgument("the position of '{}' is none", partition);
    Place place;
    place.next = entry["next"].get<int64_t>();
    if (const auto cursor = entry.find("cursor"); cursor != entry.end()) {
      if (!cursor->is_string()) return InvalidArgument("the cursor of '{}' is no text", partition);
      place.cursor = cursor->get<std::string>();
    }
    if (const auto plain = entry.find("plain"); plain != entry.end()) {
      if (!plain->is_boolean())
        return InvalidArgument("'plain' of '{}' is neither true nor false", partition);
      place.is_plain = plain->get<bool>();
    }
    places[partition] = std::move(place);
  }
  return places;
}

}  // namespace sluice::pipeline
