#include "connectors/postgres/writer.h"

#include <algorithm>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/cancel.h"
#include "base/mutex.h"
#include "connectors/postgres/rounds.h"
#include "connectors/postgres/session.h"
#include "pipeline/record.h"

namespace sluice::connectors::postgres {
namespace {

using pipeline::Outcome;
using pipeline::OutcomeKind;
using pipeline::Outcomes;

constexpr int kTries = 8;      // of a transaction that another writer got in the way of
constexpr int kMaxRounds = 8;  // of records within a batch that get in each other's way
// How often another writer may get between the statements for one record. It does so by inserting what is
// found the next time, so that more often than this it is the table itself.
constexpr int kMaxRaces = 3;
constexpr char kKeptOut[] =
    "the table kept it out: by a trigger, or by a unique index or constraint beside those over uuid and over "
    "tenant_id, source_type, source_id, data_id";
constexpr size_t kManyRows = 512;  // from here on it pays to hope that all are new

// Whether COPY straight into the table, without looking for duplicates, is worth a try: an attempt that meets
// a duplicate was for nothing. Thread-safe.
class Hope {
 public:
  bool IsGood() {
    const MutexLock lock(mutex_);
    if (wait_ == 0) return true;
    --wait_;
    return false;
  }
  void Fulfilled() {
    const MutexLock lock(mutex_);
    penalty_ /= 2;
  }
  void Disappointed() {
    const MutexLock lock(mutex_);
    penalty_ = std::min(penalty_ * 2 + 1, kMostBatches);
    wait_ = penalty_;
  }

 private:
  static constexpr int kMostBatches = 1023;
  Mutex mutex_;
  int penalty_ GUARDED_BY(mutex_) = 0;
  int wait_ GUARDED_BY(mutex_) = 0;
};

bool IsRace(const Result<std::vector<Fate>>& part) {
  return !part.ok() && part.error().code() == ErrorCode::kAlreadyExists;
}

// After the start a server that refuses us is one that may take us again.
Error AsPassing(Error error) {
  if (IsRetryable(error.code()) || error.code() == ErrorCode::kCancelled) return error;
  return Error(ErrorCode::kUnavailable, error.ToString());
}

class Writer final : public pipeline::IngestionWriter {
 public:
  explicit Writer(WriterOptions options) : options_(std::move(options)) {}

  Status Open(std::stop_token stop) override {
    ASSIGN_OR_RETURN(auto session, Session::Open(options_.connect, options_.target, std::move(stop)));
    Return(std::move(session));
    return {};
  }

  Result<Outcomes> Write(const pipeline::Batch& batch, std::stop_token stop) override;

  // The last of two records with one key holds: no batch may overtake the one before.
  int concurrency() const override { return options_.target.updates ? 1 : options_.connections; }

  Status Close() override {
    const MutexLock lock(mutex_);
    idle_.clear();
    return {};
  }

 private:
  // One call of Write.
  struct Job {
    Records records;
    Outcomes outcomes;
    std::unique_ptr<Session> session;
    std::stop_token stop;
  };

  Result<std::unique_ptr<Session>> Borrow(const std::stop_token& stop);
  void Return(std::unique_ptr<Session> session);
  static void Reject(Job& job, int64_t row, std::string reason);
  Status Store(Job& job);
  Status StoreNew(Job& job, std::span<const int64_t> rows);
  Status StoreLatest(Job& job, std::vector<int64_t> rows);
  using Races = std::unordered_map<int64_t, int>;  // lost so far, by row
  static Status JudgeRaces(Job& job, const Round& round, Races* races, std::vector<Fate>* fates);
  Status StoreRound(Job& job, const Round& round, size_t from, size_t to, std::vector<Fate>* fates);
  // Runs `attempt` until no other writer is in its way.
  template <class Attempt>
  auto Insist(Job& job, Attempt attempt) -> decltype(attempt());

  const WriterOptions options_;
  Hope hope_;
  Mutex mutex_;
  std::vector<std::unique_ptr<Session>> idle_ GUARDED_BY(mutex_);
};

Result<std::unique_ptr<Session>> Writer::Borrow(const std::stop_token& stop) {
  {
    const MutexLock lock(mutex_);
    while (!idle_.empty()) {
      auto session = std::move(idle_.back());
      idle_.pop_back();
      if (session->is_usable()) return session;
    }
  }
  auto session = Session::Open(options_.connect, options_.target, stop);
  if (!session.ok()) return AsPassing(std::move(session).error());
  return session;
}

void Writer::Return(std::unique_ptr<Session> session) {
  if (!session || !session->is_usable()) return;
  const MutexLock lock(mutex_);
  idle_.push_back(std::move(session));
}

Result<Outcomes> Writer::Write(const pipeline::Batch& batch, std::stop_token stop) {
  ASSIGN_OR_RETURN(auto filled, pipeline::FillUuids(batch.records));
  const Records given(std::move(filled));
  Job job{.records = given, .outcomes = {}, .session = nullptr, .stop = stop};
  // A connection that lay idle may be dead without knowing: once more with a new one. Repeating is safe.
  for (int attempt = 0;; ++attempt) {
    ASSIGN_OR_RETURN(job.session, Borrow(stop));
    job.records = given;
    if (job.session->target().columns.front().form == ColumnForm::kUuid) {
      ASSIGN_OR_RETURN(job.records, given.WithSmallUuids());
    }
    job.outcomes.assign(static_cast<size_t>(job.records.rows()), Outcome());
    Status stored = Store(job);
    const bool is_dead = !job.session->is_usable();
    // What the statements were made for is not the table any more: look at it anew.
    const bool has_drifted =
        !stored.ok() && (job.session->state().starts_with("42") || job.session->state().starts_with("0A"));
    if (!has_drifted) Return(std::move(job.session));
    if (stored.ok()) return std::move(job.outcomes);
    const bool is_worth_it = has_drifted || (is_dead && stored.error().code() == ErrorCode::kUnavailable);
    if (attempt > 0 || !is_worth_it) return AsPassing(std::move(stored).error());
  }
}

void Writer::Reject(Job& job, int64_t row, std::string reason) {
  job.outcomes[static_cast<size_t>(row)] = {.kind = OutcomeKind::kRejected, .reason = std::move(reason)};
}

Status Writer::Store(Job& job) {
  std::vector<int64_t> rows;
  for (int64_t row = 0; row < job.records.rows(); ++row) {
    if (auto reason = Refusal(job.session->target(), job.records, row)) {
      job.outcomes[static_cast<size_t>(row)] = {.kind = OutcomeKind::kRejected, .reason = std::move(*reason)};
    } else {
      rows.push_back(row);
    }
  }
  if (rows.empty()) return {};
  if (rows.size() > kManyRows && hope_.IsGood()) {
    std::vector<int64_t> sorted = rows;
    SortByKey(job.records, &sorted);
    auto kept_out = Insist(job, [&] { return job.session->StoreUnseen(job.records, sorted, job.stop); });
    if (kept_out.ok()) {
      hope_.Fulfilled();
      for (const int64_t row : *kept_out) Reject(job, row, kKeptOut);
      return {};  // all others accepted
    }
    if (kept_out.error().code() != ErrorCode::kAlreadyExists &&
        kept_out.error().code() != ErrorCode::kInvalidRecords) {
      return std::move(kept_out).error();
    }
    hope_.Disappointed();
  }
  if (options_.target.updates) return StoreLatest(job, std::move(rows));
  std::vector<int64_t> repeats = TakeRepeats(job.records, &rows);
  SortByKey(job.records, &rows);
  RETURN_IF_ERROR(StoreNew(job, rows));
  if (repeats.empty()) return {};
  // Behind the first ones: they are known then, unless those were rejected.
  SortByKey(job.records, &repeats);
  return StoreNew(job, repeats);
}

template <class Attempt>
auto Writer::Insist(Job& job, Attempt attempt) -> decltype(attempt()) {
  for (int tries = 1;; ++tries) {
    auto outcome = attempt();
    const std::string& state = job.session->state();
    if (outcome.ok() || (state != "40P01" && state != "40001") || tries == kTries) return outcome;
    std::this_thread::sleep_for(std::chrono::milliseconds(5 * tries));
    if (Status cancelled = CheckCancelled(job.stop); !cancelled.ok()) return std::move(cancelled).error();
  }
}

// Halves the rows until the ones that the server refuses stand alone.
Status Writer::StoreNew(Job& job, std::span<const int64_t> rows) {
  auto fates = Insist(job, [&] { return job.session->StoreNew(job.records, rows, job.stop); });
  if (fates.ok()) {
    for (size_t i = 0; i < rows.size(); ++i) {
      if ((*fates)[i] == Fate::kKnown)
        job.outcomes[static_cast<size_t>(rows[i])].kind = OutcomeKind::kDuplicate;
      if ((*fates)[i] == Fate::kKeptOut) Reject(job, rows[i], kKeptOut);
    }
    return {};
  }
  if (fates.error().code() != ErrorCode::kInvalidRecords) return std::move(fates).error();
  if (rows.size() == 1) {
    Reject(job, rows.front(), fates.error().message());
    return {};
  }
  const size_t half = rows.size() / 2;
  RETURN_IF_ERROR(StoreNew(job, rows.first(half)));
  return StoreNew(job, rows.subspan(half));
}

// As StoreNew, for `round.rows` from `from` to before `to`.
Status Writer::StoreRound(Job& job, const Round& round, size_t from, size_t to, std::vector<Fate>* fates) {
  const std::span rows = std::span(round.rows).subspan(from, to - from);
  const std::span first_rows = std::span(round.first_rows).subspan(from, to - from);
  auto part = Insist(job, [&] { return job.session->StoreLatest(job.records, rows, first_rows, job.stop); });
  for (int races = 1; races < kMaxRaces && IsRace(part); ++races)
    part = Insist(job, [&] { return job.session->StoreLatest(job.records, rows, first_rows, job.stop); });
  if (part.ok()) {
    std::copy(part->begin(), part->end(), fates->begin() + static_cast<ptrdiff_t>(from));
    return {};
  }
  if (part.error().code() != ErrorCode::kInvalidRecords && !IsRace(part)) return std::move(part).error();
  if (to - from == 1) {
    (*fates)[from] = Fate::kClash;
    Reject(job, rows.front(), part.error().message());
    return {};
  }
  const size_t middle = from + (to - from) / 2;
  RETURN_IF_ERROR(StoreRound(job, round, from, middle, fates));
  return StoreRound(job, round, middle, to, fates);
}

// Rows that raced too often: the table's triggers kept them out, or left the stored record as it is.
Status Writer::JudgeRaces(Job& job, const Round& round, Races* races, std::vector<Fate>* fates) {
  std::vector<int64_t> doubtful;
  for (size_t i = 0; i < fates->size(); ++i) {
    if ((*fates)[i] == Fate::kRaced && ++(*races)[round.rows[i]] >= kMaxRaces)
      doubtful.push_back(round.rows[i]);
  }
  if (doubtful.empty()) return {};
  ASSIGN_OR_RETURN(const auto kept_out, job.session->FindKeptOut(job.records, doubtful, job.stop));
  for (size_t i = 0; i < fates->size(); ++i) {
    const auto is_row = [&](int64_t row) { return row == round.rows[i]; };
    if (std::none_of(doubtful.begin(), doubtful.end(), is_row)) continue;
    const bool is_out = std::any_of(kept_out.begin(), kept_out.end(), is_row);
    (*fates)[i] = is_out ? Fate::kClash : Fate::kKnown;
    if (is_out) Reject(job, round.rows[i], kKeptOut);
  }
  return {};
}

Status Writer::StoreLatest(Job& job, std::vector<int64_t> rows) {
  Races races;
  for (int rounds = 0; rounds < kMaxRounds && !rows.empty(); ++rounds) {
    RETURN_IF_ERROR(CheckCancelled(job.stop));
    // Anew in each round: what the one before has stored is stored.
    ASSIGN_OR_RETURN(const auto stored, job.session->FindStored(job.records, rows, job.stop));
    const Round round = PlanRound(job.records, rows, stored);
    std::vector<Fate> fates(round.rows.size(), Fate::kRaced);
    RETURN_IF_ERROR(StoreRound(job, round, 0, round.rows.size(), &fates));
    RETURN_IF_ERROR(JudgeRaces(job, round, &races, &fates));
    std::vector<int64_t> again = round.later;
    std::vector<int64_t> rejected(fates.size(), -1);  // the row of each place that is
    for (size_t i = 0; i < fates.size(); ++i) {
      Outcome& outcome = job.outcomes[static_cast<size_t>(round.rows[i])];
      if (fates[i] == Fate::kKnown) outcome.kind = OutcomeKind::kDuplicate;
      if (fates[i] == Fate::kRaced) again.push_back(round.rows[i]);
      if (fates[i] != Fate::kClash) continue;
      if (outcome.kind == OutcomeKind::kRejected) {  // by the server, for what it holds
        rejected[i] = round.rows[i];
        continue;
      }
      rejected[i] = round.first_rows[i];
      job.outcomes[static_cast<size_t>(rejected[i])] = {
          .kind = OutcomeKind::kRejected,
          .reason =
              "its uuid is that of one stored record, and its tenant_id, source_type, "
              "source_id and data_id are those of another"};
      if (rejected[i] != round.rows[i]) again.push_back(round.rows[i]);
    }
    for (const auto& [row, place] : round.replaced) {
      // What was to replace it is not stored, so that it counts itself.
      if (fates[place] == Fate::kStored || fates[place] == Fate::kKnown) {
        job.outcomes[static_cast<size_t>(row)].kind = OutcomeKind::kDuplicate;
      } else if (row != rejected[place]) {
        again.push_back(row);
      }
    }
    std::sort(again.begin(), again.end());
    rows = std::move(again);
  }
  for (const int64_t row : rows) {
    job.outcomes[static_cast<size_t>(row)] = {
        .kind = OutcomeKind::kFailed,
        .reason = "too many records with the same uuid in one batch, or too many writers of it"};
  }
  return {};
}

}  // namespace

std::unique_ptr<pipeline::IngestionWriter> MakeWriter(WriterOptions options) {
  return std::make_unique<Writer>(std::move(options));
}

}  // namespace sluice::connectors::postgres
