#include "connectors/sqs/messages.h"

#include <arrow/api.h>

#include <set>

#include "columnar/arrow_status.h"
#include "pipeline/record.h"
#include "pipeline/rows.h"

namespace sluice::connectors::sqs {
namespace {

using pipeline::Column;
using pipeline::OutcomeKind;

// The message's own id, which is a UUID, for its first record; then the same with the place in its last
// digits.
std::string UuidOf(const Message& message, int64_t place) {
  if (place == 0) return message.id;
  const size_t cut = message.id.size() > 12 ? message.id.size() - 12 : 0;
  uint64_t tail = 0;
  for (const char c : message.id.substr(cut))
    tail = tail * 16 + static_cast<uint64_t>(c >= 'a' ? c - 'a' + 10 : c - '0');
  return message.id.substr(0, cut) +
         fmt::format("{:012x}", (tail + static_cast<uint64_t>(place)) & 0xffffffffffff);
}

Result<std::shared_ptr<arrow::RecordBatch>> WithUuids(std::shared_ptr<arrow::RecordBatch> records,
                                                      std::span<const Message> messages,
                                                      const std::vector<int32_t>& message_of) {
  const int at = static_cast<int>(Column::kUuid);
  const auto& given = static_cast<const arrow::StringArray&>(*records->column(at));
  bool has_empty = false;
  for (int64_t row = 0; row < given.length(); ++row) has_empty |= given.value_length(row) == 0;
  if (!has_empty) return records;
  arrow::StringBuilder builder;
  int64_t place = 0;
  for (int64_t row = 0; row < given.length(); ++row) {
    const int32_t message = message_of[static_cast<size_t>(row)];
    place = row > 0 && message_of[static_cast<size_t>(row - 1)] == message ? place + 1 : 0;
    RETURN_IF_ERROR(
        columnar::ToStatus(given.value_length(row) != 0
                               ? builder.Append(given.GetView(row))
                               : builder.Append(UuidOf(messages[static_cast<size_t>(message)], place))));
  }
  ASSIGN_OR_RETURN(auto uuids, columnar::ToResult(builder.Finish()));
  return columnar::ToResult(records->SetColumn(at, pipeline::RecordSchema()->field(at), uuids));
}

}  // namespace

Result<Unpacked> Unpack(std::span<const Message> messages) {
  Unpacked unpacked;
  std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
  const auto add = [&](const std::shared_ptr<arrow::RecordBatch>& part, size_t message) {
    unpacked.message_of.insert(unpacked.message_of.end(), static_cast<size_t>(part->num_rows()),
                               static_cast<int32_t>(message));
    parts.push_back(part);
  };
  const auto refuse = [&](std::string_view text, size_t message, std::string reason) {
    unpacked.delivery.refused.push_back(
        {static_cast<int64_t>(unpacked.message_of.size()), std::move(reason)});
    add(pipeline::RawRecord(text), message);
  };
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string place = "message " + messages[i].id;
    auto parsed = pipeline::ParseRecords(messages[i].body);
    if (!parsed.ok()) {
      refuse(messages[i].body, i, place + ": " + parsed.error().ToString());
      continue;
    }
    if (parsed->records->num_rows() > 0) add(parsed->records, i);
    for (const auto& bad : parsed->bad)
      refuse(bad.text, i, fmt::format("{}, record {}: {}", place, bad.position, bad.reason));
    if (parsed->records->num_rows() == 0 && parsed->bad.empty())
      refuse(messages[i].body, i, place + ": holds no record");
  }
  ASSIGN_OR_RETURN(auto joined, pipeline::JoinRecords(parts));
  ASSIGN_OR_RETURN(unpacked.delivery.batch.records,
                   WithUuids(std::move(joined), messages, unpacked.message_of));
  return unpacked;
}

std::vector<bool> SettledMessages(std::span<const Message> messages, const std::vector<int32_t>& message_of,
                                  const pipeline::Outcomes& outcomes) {
  std::vector<bool> settled(messages.size(), true);
  for (size_t row = 0; row < outcomes.size() && row < message_of.size(); ++row) {
    if (!outcomes[row].is_final()) settled[static_cast<size_t>(message_of[row])] = false;
  }
  std::set<std::string_view> held_groups;
  for (size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].group.empty()) continue;
    if (held_groups.contains(messages[i].group)) settled[i] = false;
    if (!settled[i]) held_groups.insert(messages[i].group);
  }
  return settled;
}

}  // namespace sluice::connectors::sqs
