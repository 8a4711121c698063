#include "connectors/http/answer.h"

#include <array>
#include <nlohmann/json.hpp>

namespace sluice::connectors::http {
namespace {

using nlohmann::json;
using pipeline::OutcomeKind;

constexpr std::array<std::string_view, 4> kNames = {"accepted", "duplicate", "rejected", "failed"};

std::string_view NameOf(OutcomeKind kind) { return kNames[static_cast<size_t>(kind)]; }

void AppendText(std::string_view text, std::string* out) {
  *out += json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

int StatusOf(const std::vector<Answered>& records) {
  int status = 200;
  for (const Answered& record : records) {
    if (record.outcome.kind == OutcomeKind::kFailed) return 503;
    if (record.outcome.kind != OutcomeKind::kRejected) continue;
    if (!record.is_unreadable) {
      status = 422;
    } else if (status == 200) {
      status = 400;
    }
  }
  return status;
}

std::string OutcomesToJson(const std::vector<Answered>& records) {
  std::array<int64_t, kNames.size()> counts{};
  for (const Answered& record : records) ++counts[static_cast<size_t>(record.outcome.kind)];
  std::string out = "{";
  for (size_t i = 0; i < kNames.size(); ++i) out += fmt::format("\"{}\":{},", kNames[i], counts[i]);
  out += "\"outcomes\":[";
  for (size_t i = 0; i < records.size(); ++i) {
    out +=
        fmt::format("{}{{\"outcome\":\"{}\",\"uuid\":", i == 0 ? "" : ",", NameOf(records[i].outcome.kind));
    AppendText(records[i].uuid, &out);
    if (!records[i].outcome.reason.empty()) {
      out += ",\"reason\":";
      AppendText(records[i].outcome.reason, &out);
    }
    out += '}';
  }
  return out + "]}";
}

std::optional<pipeline::Outcomes> OutcomesFromJson(std::string_view body, int64_t rows) {
  const json answer = json::parse(body, nullptr, false);
  if (!answer.is_object()) return std::nullopt;
  const auto list = answer.find("outcomes");
  if (list == answer.end() || !list->is_array() || static_cast<int64_t>(list->size()) != rows)
    return std::nullopt;
  pipeline::Outcomes outcomes;
  outcomes.reserve(list->size());
  for (const json& item : *list) {
    if (!item.is_object()) return std::nullopt;
    const auto name = item.find("outcome");
    if (name == item.end() || !name->is_string()) return std::nullopt;
    size_t kind = 0;
    while (kind < kNames.size() && name->get_ref<const std::string&>() != kNames[kind]) ++kind;
    if (kind == kNames.size()) return std::nullopt;
    pipeline::Outcome outcome{.kind = static_cast<OutcomeKind>(kind), .reason = {}};
    const auto reason = item.find("reason");
    if (reason != item.end() && reason->is_string()) outcome.reason = reason->get<std::string>();
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

}  // namespace sluice::connectors::http
