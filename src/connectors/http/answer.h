#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/batch.h"
#include "pipeline/record.h"

// What both sides of HTTP say about records: the body of an answer to a POST with `Accept: application/json`.
//   {"accepted": 1, "duplicate": 0, "rejected": 1, "failed": 0,
//    "outcomes": [{"outcome": "accepted", "uuid": "..."}, {"outcome": "rejected", "uuid": "", "reason":
//    "..."}]}
namespace sluice::connectors::http {

// Media types that a body of records may have; told in `Accept-Post`, by which our writer knows its like.
inline constexpr std::string_view kAcceptPost = "application/json, application/x-ndjson";

// A record of a request, in the request's order.
struct Answered {
  pipeline::Outcome outcome;
  std::string uuid;
  bool is_unreadable = false;  // rejected because it could not be read
};

// 200 when all are accepted or duplicates; 503 when any may succeed later; else 400 when all that is wrong
// could not be read, 422 otherwise.
int StatusOf(const std::vector<Answered>& records);
std::string OutcomesToJson(const std::vector<Answered>& records);
// Nothing when `body` is not such an answer about `rows` records.
std::optional<pipeline::Outcomes> OutcomesFromJson(std::string_view body, int64_t rows);

}  // namespace sluice::connectors::http
