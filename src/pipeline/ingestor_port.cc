#include "pipeline/ingestor_port.h"

#include <arrow/record_batch.h>

#include <algorithm>

#include "pipeline/backoff.h"
#include "pipeline/dead_letters.h"
#include "pipeline/position_keeper.h"
#include "pipeline/rows.h"
#include "pipeline/runner.h"

namespace sluice::pipeline {
namespace {

// Hands the refused rows to the dead letters and sets their outcomes. `ingestor` is who delivered them.
bool Refuse(const std::vector<std::pair<int64_t, std::string>>& refused, const Delivery& delivery,
            const std::string& ingestor, DeadLetters& dead_letters, const std::stop_token& stop,
            Receipt* receipt) {
  std::vector<DeadLetter> letters;
  for (const auto& [row, reason] : refused) {
    DeadLetter letter{.record = delivery.batch.records->Slice(row, 1), .reason = reason};
    const auto raw = std::lower_bound(delivery.refused.begin(), delivery.refused.end(), row,
                                      [](const auto& one, int64_t wanted) { return one.row < wanted; });
    if (raw != delivery.refused.end() && raw->row == row) {
      letter.is_raw = true;
      letter.ingestor = raw->ingestor.value_or(ingestor);
    }
    letters.push_back(std::move(letter));
  }
  const Status status = dead_letters.Write(letters, stop);
  for (const auto& [row, reason] : refused) {
    receipt->Set(row, status.ok() ? Outcome{OutcomeKind::kRejected, reason}
                                  : Outcome{OutcomeKind::kFailed, status.error().ToString()});
  }
  return status.ok();
}

// The runs of admitted rows, as items of their own: their rows have the numbers of the delivery.
Result<std::vector<Item>> CutItems(const Admitted& admitted, const Delivery& delivery,
                                   const std::shared_ptr<Receipt>& receipt) {
  std::vector<Item> items;
  const auto add = [&](int64_t first, int64_t rows) -> Status {
    Item item;
    item.receipt = receipt;
    item.first_row = first;
    item.batch.records = delivery.batch.records->Slice(first, rows);
    item.batch.partition = delivery.batch.partition;
    item.batch.places = delivery.batch.places;
    if (!delivery.batch.next.empty())
      item.batch.next.assign(delivery.batch.next.begin() + first, delivery.batch.next.begin() + first + rows);
    item.bytes = SizeOf(*item.batch.records) + 64;
    items.push_back(std::move(item));
    return {};
  };
  if (admitted.is_all) {
    RETURN_IF_ERROR(add(0, delivery.batch.rows()));
    return items;
  }
  size_t begin = 0;
  for (size_t i = 1; i <= admitted.rows.size(); ++i) {
    if (i < admitted.rows.size() && admitted.rows[i] == admitted.rows[i - 1] + 1) continue;
    RETURN_IF_ERROR(add(admitted.rows[begin], static_cast<int64_t>(i - begin)));
    begin = i;
  }
  return items;
}

}  // namespace

IngestorPort::IngestorPort(Parts parts, size_t number, std::string type, bool has_positions,
                           bool is_behind_spool, bool tells_writer)
    : parts_(parts),
      number_(number),
      type_(std::move(type)),
      has_positions_(has_positions),
      is_behind_spool_(is_behind_spool),
      tells_writer_(tells_writer) {}

uint64_t IngestorPort::Register() {
  std::lock_guard lock(pending_.mutex);
  const uint64_t started = pending_.next++;
  pending_.since[started] = std::chrono::steady_clock::now();
  return started;
}

void IngestorPort::Unregister(uint64_t started) {
  std::lock_guard lock(pending_.mutex);
  pending_.since.erase(started);
}

Receipt::Done IngestorPort::OnDone(Delivery* delivery, uint64_t started, uint64_t ticket, int64_t queued_rows,
                                   uint64_t queued_bytes) {
  return [this, gate = gate_, started, ticket, queued_rows, queued_bytes,
          done = std::move(delivery->done)](const Outcomes& outcomes) {
    const Tally tally(outcomes);
    parts_.counters.duplicates += tally.duplicates;
    parts_.counters.rejected += tally.rejected;
    parts_.counters.failed += tally.failed;
    Balance& balance = parts_.metrics.balance;
    (is_behind_spool_ ? balance.spooled : balance.accepted) += tally.accepted;
    balance.duplicates += tally.duplicates;
    balance.rejected += tally.rejected;
    balance.failed += tally.failed;
    if (ticket != 0 && tally.failed == 0) parts_.positions.Done(number_, ticket);
    Unregister(started);
    gate->Call([&] {
      if (done) done(outcomes);
    });
    // Last: whoever sees an empty pipeline may rely on all being told.
    parts_.queue.Release(queued_rows, queued_bytes);
  };
}

Status IngestorPort::Offer(Delivery delivery, std::chrono::milliseconds patience) {
  if (const Status fatal = parts_.runner.fatal(); !fatal.ok())
    return MakeError(ErrorCode::kCancelled, "the pipeline ends: {}",
                     parts_.environment.Clean(fatal.error().ToString()));
  if (!is_behind_spool_) RETURN_IF_ERROR(parts_.circuit.Check());
  const int64_t rows = delivery.batch.rows();
  ASSIGN_OR_RETURN(const Admitted admitted, Admit(parts_.tenants, &delivery));
  Millis wait{0};
  if (Status spent = parts_.buckets.Spend(admitted.tenants, patience, &wait); !spent.ok()) {
    if (wait.count() > 0 && delivery.limited) delivery.limited(wait);
    return spent;
  }
  uint64_t ticket = 0;
  if (has_positions_ && !delivery.batch.places.empty()) {
    ASSIGN_OR_RETURN(ticket,
                     parts_.positions.Begin(number_, type_, delivery.batch.partition, delivery.batch.places));
  }
  if (rows == 0) {
    if (ticket != 0) parts_.positions.Done(number_, ticket);
    if (delivery.done) gate_->Call([&] { delivery.done({}); });
    return {};
  }
  const uint64_t bytes = SizeOf(*delivery.batch.records) + 64;
  const bool is_queued = !admitted.rows.empty();
  const uint64_t started = Register();
  const auto receipt = std::make_shared<Receipt>(
      rows, OnDone(&delivery, started, ticket, is_queued ? rows : 0, is_queued ? bytes : 0));
  receipt->is_persistent = has_positions_;
  if (is_queued) {
    // The refused rows keep their place until the delivery is done: it is one, for its order and its bound.
    auto status = parts_.queue.Reserve(admitted.flow, rows, bytes, patience);
    if (status.ok()) {
      // Before the others go on: their position must not pass a record whose dead letter is not there yet.
      RefuseRows(admitted, delivery, receipt.get());
      auto items = CutItems(admitted, delivery, receipt);
      status = items.ok() ? parts_.queue.Put(admitted.flow, std::move(items).value()) : Status(items.error());
      if (!status.ok()) parts_.queue.Release(rows, bytes);
    }
    if (!status.ok()) {
      parts_.buckets.GiveBack(admitted.tenants);
      if (ticket != 0) parts_.positions.Forget(number_, ticket);
      Unregister(started);
      return status;
    }
  } else if (RefuseRows(admitted, delivery, receipt.get())) {
    TellWriter(admitted.flow, delivery, receipt);
  }
  parts_.counters.records += static_cast<uint64_t>(rows);
  Balance& balance = parts_.metrics.balance;
  if (delivery.is_repeat) {
    balance.failed -= static_cast<uint64_t>(rows);  // its outcome is open again
  } else {
    balance.taken += static_cast<uint64_t>(rows);
  }
  parts_.counters.batches += 1;
  parts_.counters.bytes += bytes;
  for (const auto& [tenant, sent] : admitted.tenants)
    parts_.metrics.CountTenant(tenant, sent.first, sent.second, 0);
  return {};
}

bool IngestorPort::RefuseRows(const Admitted& admitted, const Delivery& delivery, Receipt* receipt) {
  if (admitted.refused.empty()) return true;
  if (!delivery.tenant.empty()) parts_.metrics.CountTenant(delivery.tenant, 0, 0, admitted.refused.size());
  return Refuse(admitted.refused, delivery, parts_.counters.connector, parts_.dead_letters,
                parts_.abort.get_token(), receipt);
}

void IngestorPort::TellWriter(const std::string& flow, const Delivery& delivery,
                              std::shared_ptr<Receipt> receipt) {
  if (!tells_writer_ || delivery.batch.places.empty()) return;
  std::vector<Item> items(1);
  items[0].receipt = std::move(receipt);
  items[0].batch.records = NoRecords();
  items[0].batch.partition = delivery.batch.partition;
  items[0].batch.places = delivery.batch.places;
  (void)parts_.queue.Put(flow, std::move(items));  // a queue that is closed: the next start reads it again
}

Millis IngestorPort::lag() const {
  std::lock_guard lock(pending_.mutex);
  if (pending_.since.empty()) return Millis(0);
  return std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() -
                                            pending_.since.begin()->second);
}

}  // namespace sluice::pipeline
