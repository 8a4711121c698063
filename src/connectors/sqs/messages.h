#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "connectors/sqs/queue.h"
#include "pipeline/connector.h"

namespace sluice::connectors::sqs {

// Messages as a delivery of records. A body is one record, an array of them, or NDJSON; one that cannot be
// read travels as raw text and is refused with the reason. A record without a `uuid` gets one that depends on
// the message alone, so that a message that is delivered twice is the same record twice.
struct Unpacked {
  pipeline::Delivery delivery;
  std::vector<int32_t> message_of;  // for each row
};
// Errors: kInternal.
Result<Unpacked> Unpack(std::span<const Message> messages);

// Which messages have been dealt with: each of its rows has a final outcome. Where groups are given (FIFO), a
// message behind one of its group that has not been is not, however it went, lest they change places.
std::vector<bool> SettledMessages(std::span<const Message> messages, const std::vector<int32_t>& message_of,
                                  const pipeline::Outcomes& outcomes);

}  // namespace sluice::connectors::sqs
