#include <arrow/api.h>

#include <algorithm>
#include <mutex>
#include <thread>

#include "base/cancel.h"
#include "connectors/sqs/sqs_internal.h"
#include "multiformats/multihash.h"
#include "pipeline/record.h"

namespace sluice::connectors::sqs {
namespace {

using pipeline::Column;
using pipeline::Outcome;
using pipeline::OutcomeKind;
using pipeline::Outcomes;

constexpr int kTries = 4;  // of an entry that the service did not take this time
constexpr std::chrono::milliseconds kFirstPause{100};
constexpr size_t kMaxIdBytes = 128;

std::string_view TextOf(const arrow::RecordBatch& records, Column column, int64_t row) {
  return static_cast<const arrow::StringArray&>(*records.column(static_cast<int>(column))).GetView(row);
}

// Letters, digits and punctuation, at most 128: what the service takes for a group or an id.
bool IsFitId(std::string_view text) {
  return !text.empty() && text.size() <= kMaxIdBytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

// The text itself where it is fit, else a digest of it.
std::string IdOf(std::string text) {
  return IsFitId(text) ? text : multiformats::Sha3Multihash(text).ToString();
}

// One call's worth of rows.
struct Pack {
  std::vector<int64_t> rows;
  std::vector<Outgoing> entries;
  size_t bytes = 0;
};

class SqsWriter final : public pipeline::IngestionWriter {
 public:
  explicit SqsWriter(WriterOptions options)
      : options_(std::move(options)), is_fifo_(options_.queue.queue_url.ends_with(".fifo")) {}

  Status Open(std::stop_token stop) override {
    ASSIGN_OR_RETURN(auto queue, Borrow());
    RETURN_IF_ERROR(queue->Check(std::move(stop)));
    Return(std::move(queue));
    return {};
  }

  Result<Outcomes> Write(const pipeline::Batch& batch, std::stop_token stop) override;

  // Batches of a FIFO queue follow each other.
  int concurrency() const override { return is_fifo_ ? 1 : 2; }
  int64_t preferred_rows() const override { return 1'000; }

  Status Close() override {
    const std::lock_guard lock(mutex_);
    idle_.clear();
    return {};
  }

 private:
  using Lane = std::vector<Pack>;

  Result<std::unique_ptr<Queue>> Borrow() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto queue = std::move(idle_.back());
        idle_.pop_back();
        return queue;
      }
    }
    return Queue::Make(options_.queue);
  }
  void Return(std::unique_ptr<Queue> queue) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(queue));
  }

  Outgoing MakeEntry(const arrow::RecordBatch& records, int64_t row) const;
  std::vector<Lane> MakeLanes(const arrow::RecordBatch& records, Outcomes* outcomes) const;
  Status SendLane(Lane& lane, Outcomes* outcomes, const std::stop_token& stop);
  Status SendPack(Queue& queue, Pack pack, Outcomes* outcomes, const std::stop_token& stop) const;
  Status SendApart(Queue& queue, Pack pack, const Error& why, Outcomes* outcomes,
                   const std::stop_token& stop) const;

  const WriterOptions options_;
  const bool is_fifo_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Queue>> idle_;
};

Outgoing SqsWriter::MakeEntry(const arrow::RecordBatch& records, int64_t row) const {
  Outgoing entry;
  pipeline::AppendRecord(records, row, {.write_empty = false}, &entry.body);
  if (!is_fifo_) return entry;
  std::string group;
  for (const int column : options_.group_by) {
    if (!group.empty()) group += '/';
    group += TextOf(records, static_cast<Column>(column), row);
  }
  entry.group = IdOf(group.empty() ? "none" : std::move(group));
  entry.deduplication_id = IdOf(std::string(TextOf(records, Column::kUuid, row)));
  return entry;
}

// Packs that may be under way at the same time are in different lanes: for FIFO, each group in one of them.
std::vector<SqsWriter::Lane> SqsWriter::MakeLanes(const arrow::RecordBatch& records,
                                                  Outcomes* outcomes) const {
  std::vector<Lane> lanes(static_cast<size_t>(options_.connections));
  size_t next = 0;
  for (int64_t row = 0; row < records.num_rows(); ++row) {
    Outgoing entry = MakeEntry(records, row);
    const size_t bytes = entry.body.size();
    if (bytes > options_.max_message_bytes) {
      (*outcomes)[static_cast<size_t>(row)] = {
          .kind = OutcomeKind::kRejected,
          .reason =
              fmt::format("the record is a message of {} bytes, and the queue takes {} (max_message_bytes)",
                          bytes, options_.max_message_bytes)};
      continue;
    }
    const size_t at = is_fifo_ ? std::hash<std::string>()(entry.group) % lanes.size() : next;
    Lane& lane = lanes[at];
    const bool is_full = lane.empty() || lane.back().rows.size() == kMaxEntries ||
                         lane.back().bytes + bytes > options_.max_message_bytes;
    if (is_full) lane.emplace_back();
    Pack& pack = lane.back();
    pack.rows.push_back(row);
    pack.entries.push_back(std::move(entry));
    pack.bytes += bytes;
    // Full packs for few records, rather than many lanes.
    if (pack.rows.size() == kMaxEntries) next = (next + 1) % lanes.size();
  }
  std::erase_if(lanes, [](const Lane& lane) { return lane.empty(); });
  return lanes;
}

// The server refused the call for one of its entries, and does not say which.
Status SqsWriter::SendApart(Queue& queue, Pack pack, const Error& why, Outcomes* outcomes,
                            const std::stop_token& stop) const {
  if (pack.rows.size() == 1) {
    (*outcomes)[static_cast<size_t>(pack.rows.front())] = {.kind = OutcomeKind::kRejected,
                                                           .reason = why.ToString()};
    return {};
  }
  for (size_t i = 0; i < pack.rows.size(); ++i) {
    Pack one;
    one.rows.push_back(pack.rows[i]);
    one.entries.push_back(std::move(pack.entries[i]));
    RETURN_IF_ERROR(SendPack(queue, std::move(one), outcomes, stop));
  }
  return {};
}

// Entries that were not taken are sent again, those of a FIFO queue before what comes behind them.
Status SqsWriter::SendPack(Queue& queue, Pack pack, Outcomes* outcomes, const std::stop_token& stop) const {
  auto pause = kFirstPause;
  for (int tries = 1;; ++tries) {
    const auto answer = queue.Send(pack.entries, stop);
    if (!answer.ok() && answer.error().code() == ErrorCode::kInvalidRecords)
      return SendApart(queue, std::move(pack), answer.error(), outcomes, stop);
    if (!answer.ok()) return answer.error();
    const auto& sent = *answer;
    Pack again;
    for (size_t i = 0; i < sent.size(); ++i) {
      Outcome& outcome = (*outcomes)[static_cast<size_t>(pack.rows[i])];
      outcome = {};
      if (sent[i].is_done) continue;
      outcome = {.kind = sent[i].is_final ? OutcomeKind::kRejected : OutcomeKind::kFailed,
                 .reason = sent[i].reason};
      if (sent[i].is_final) continue;
      again.rows.push_back(pack.rows[i]);
      again.entries.push_back(std::move(pack.entries[i]));
    }
    if (again.rows.empty()) return {};
    if (tries == kTries) {
      return MakeError(ErrorCode::kUnavailable, "queue '{}' did not take an entry: {}",
                       options_.queue.queue_url, (*outcomes)[static_cast<size_t>(again.rows.front())].reason);
    }
    pack = std::move(again);
    std::this_thread::sleep_for(pause);
    pause *= 2;
    RETURN_IF_ERROR(CheckCancelled(stop));
  }
}

// What is not sent because of an error stays kFailed.
Status SqsWriter::SendLane(Lane& lane, Outcomes* outcomes, const std::stop_token& stop) {
  ASSIGN_OR_RETURN(auto queue, Borrow());
  for (Pack& pack : lane) RETURN_IF_ERROR(SendPack(*queue, std::move(pack), outcomes, stop));
  Return(std::move(queue));
  return {};
}

Result<Outcomes> SqsWriter::Write(const pipeline::Batch& batch, std::stop_token stop) {
  ASSIGN_OR_RETURN(const auto records, pipeline::FillUuids(batch.records));
  Outcomes outcomes(static_cast<size_t>(records->num_rows()),
                    {.kind = OutcomeKind::kFailed, .reason = "not sent"});
  auto lanes = MakeLanes(*records, &outcomes);
  std::vector<Status> statuses(lanes.size());
  {
    std::vector<std::jthread> threads;
    for (size_t i = 1; i < lanes.size(); ++i)
      threads.emplace_back([&, i] { statuses[i] = SendLane(lanes[i], &outcomes, stop); });
    if (!lanes.empty()) statuses[0] = SendLane(lanes[0], &outcomes, stop);
  }
  const auto failed = std::find_if(statuses.begin(), statuses.end(), [](const Status& s) { return !s.ok(); });
  if (failed == statuses.end()) return outcomes;
  const bool none_is_done = std::none_of(outcomes.begin(), outcomes.end(),
                                         [](const Outcome& outcome) { return outcome.is_final(); });
  const Error& error = failed->error();
  if (none_is_done) {
    // At the start it let us in: what it refuses now it may take again.
    if (IsRetryable(error.code()) || error.code() == ErrorCode::kCancelled) return error;
    return Error(ErrorCode::kUnavailable, error.ToString());
  }
  for (Outcome& outcome : outcomes) {
    if (!outcome.is_final()) outcome.reason = error.ToString();
  }
  return outcomes;
}

}  // namespace

std::unique_ptr<pipeline::IngestionWriter> MakeWriter(WriterOptions options) {
  return std::make_unique<SqsWriter>(std::move(options));
}

}  // namespace sluice::connectors::sqs
