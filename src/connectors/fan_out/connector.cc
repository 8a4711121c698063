#include "connectors/fan_out/connector.h"

#include <arrow/api.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <numeric>
#include <thread>
#include <unordered_map>

#include "pipeline/backoff.h"
#include "pipeline/columns.h"
#include "pipeline/dead_letters.h"
#include "pipeline/environment.h"
#include "pipeline/least_places.h"
#include "pipeline/metrics.h"
#include "pipeline/record.h"
#include "pipeline/registry.h"
#include "pipeline/rows.h"
#include "pipeline/settings.h"

namespace sluice::connectors {
namespace {

using pipeline::Batch;
using pipeline::Outcome;
using pipeline::OutcomeKind;
using pipeline::Outcomes;

// Records that some branches have and others do not, at most: beyond that a repeat goes to all branches.
constexpr size_t kMaxRemembered = 200'000;
constexpr size_t kMaxBranches = 32;
constexpr std::chrono::milliseconds kPause{5000};
// A writer that is away for long is not told of for each batch.
constexpr std::chrono::milliseconds kNoteEvery{10'000};

int64_t Now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

struct Branch {
  std::string name;
  std::unique_ptr<pipeline::IngestionWriter> writer;
  bool is_required = true;
  bool keeps_places = false;
  bool is_meant = true;                  // false: the records that come are not for it
  int64_t attempts = 3;                  // of one that is not required
  std::atomic<int64_t> pauses_until{0};  // then it is asked again, milliseconds of the steady clock
  std::atomic<int64_t> next_note{0};     // the same; then records that are gone are told of again
  std::atomic<uint64_t> untold{0};       // records that are gone since then
  pipeline::StageCounters* counters = nullptr;
  std::unique_ptr<pipeline::DeadLetters> dead_letters;
  std::mutex open_mutex;
  bool is_open = false;
};

// Writes to all branches at the same time. What failed at one is offered again by the runner, and then goes
// to that one alone: which branches have a record is remembered by its uuid and its content, as another
// record may have that uuid.
class FanOut final : public pipeline::IngestionWriter {
 public:
  FanOut(std::vector<std::unique_ptr<Branch>> branches, pipeline::Environment& environment)
      : branches_(std::move(branches)), environment_(environment) {}

  Status Open(std::stop_token stop) override {
    for (auto& branch : branches_) {
      if (!branch->is_meant) continue;
      Status status = OpenBranch(*branch, stop);
      if (status.ok()) continue;
      if (branch->is_required || !IsRetryable(status.error().code()))
        return std::move(status).error().With(fmt::format("fan_out: writer '{}'", branch->name));
      environment_.Note(
          fmt::format("fan_out: writer '{}' is not there yet: {}", branch->name, status.error().ToString()));
    }
    return {};
  }

  Result<Outcomes> Write(const Batch& batch, std::stop_token stop) override {
    std::vector<uint64_t> done = Recall(batch);
    std::vector<Outcomes> answers(branches_.size());
    {
      std::vector<std::jthread> threads;
      for (size_t i = 1; i < branches_.size(); ++i)
        threads.emplace_back([&, i] { answers[i] = WriteBranch(i, batch, done, stop); });
      answers[0] = WriteBranch(0, batch, done, stop);
    }
    Outcomes outcomes(static_cast<size_t>(batch.rows()), Outcome{OutcomeKind::kDuplicate, {}});
    std::map<size_t, std::vector<std::string>> refused_by;
    for (size_t i = 0; i < branches_.size(); ++i) {
      for (size_t row = 0; row < outcomes.size(); ++row) {
        Outcome& one = answers[i][row];
        if (one.kind == OutcomeKind::kRejected)
          NoteRefusal(*branches_[i], std::move(one.parts), &refused_by[row]);
        // What is rejected goes to the dead letters; if others fail now, it is asked again and rejected
        // again.
        if (Badness(one.kind) <= Badness(OutcomeKind::kAccepted)) done[row] |= uint64_t{1} << i;
        if (Badness(one.kind) <= Badness(outcomes[row].kind)) continue;
        outcomes[row] = std::move(one);
        if (!outcomes[row].reason.empty())
          outcomes[row].reason = fmt::format("writer '{}': {}", branches_[i]->name, outcomes[row].reason);
      }
    }
    for (auto& [row, parts] : refused_by) outcomes[row].parts = std::move(parts);
    Remember(batch, outcomes, done);
    return outcomes;
  }

  // A branch that is not required may end; its dead letters may not.
  Status fatal() const override {
    for (const auto& branch : branches_) {
      if (!branch->is_meant) continue;
      Status status;
      if (branch->is_required) {
        status = branch->writer->fatal();
      } else if (branch->dead_letters) {
        status = branch->dead_letters->fatal();
      }
      if (!status.ok())
        return std::move(status).error().With(fmt::format("fan_out: writer '{}'", branch->name));
    }
    return {};
  }

  std::vector<std::string> KeepOnly(const std::vector<std::string>& parts) override {
    std::vector<std::string> known;
    for (auto& branch : branches_) {
      if (std::find(parts.begin(), parts.end(), branch->name) != parts.end()) {
        known.push_back(branch->name);
        branch->is_required = true;  // nobody else gets them: they wait for it
        continue;
      }
      const auto within = branch->writer->KeepOnly(parts);
      branch->is_meant = !within.empty();
      branch->is_required = branch->is_required || branch->is_meant;
      known.insert(known.end(), within.begin(), within.end());
    }
    return known;
  }

  // A branch that is not required may lack what its position has passed: its positions tell nothing.
  Result<std::optional<pipeline::Places>> StoredPlaces() override {
    std::vector<pipeline::Places> all;
    for (auto& branch : branches_) {
      if (!branch->is_required || !branch->is_meant) continue;
      ASSIGN_OR_RETURN(auto places, branch->writer->StoredPlaces());
      if (!places) continue;
      branch->keeps_places = true;
      all.push_back(*std::move(places));
    }
    return all.empty() ? std::nullopt : std::optional<pipeline::Places>(pipeline::LeastOf(all));
  }
  bool keeps_all_positions() const override {
    return std::all_of(branches_.begin(), branches_.end(), [](const auto& branch) {
      return branch->keeps_places && branch->writer->keeps_all_positions();
    });
  }

  int concurrency() const override {
    int least = branches_[0]->writer->concurrency();
    for (const auto& branch : branches_) least = std::min(least, branch->writer->concurrency());
    return std::max(least, 1);
  }
  int64_t preferred_rows() const override {
    int64_t least = branches_[0]->writer->preferred_rows();
    for (const auto& branch : branches_) least = std::min(least, branch->writer->preferred_rows());
    return least;
  }

  Status Close() override {
    Status first;
    for (auto& branch : branches_) {
      Status status = branch->writer->Close();
      TellOfLost(*branch, "it failed until the end");
      if (branch->dead_letters) static_cast<void>(branch->dead_letters->Close());
      if (first.ok() && !status.ok()) first = std::move(status);
    }
    return first;
  }

 private:
  // A writer of several parts says itself which of them.
  static void NoteRefusal(const Branch& branch, std::vector<std::string> within,
                          std::vector<std::string>* refused_by) {
    if (within.empty()) within.push_back(branch.name);
    refused_by->insert(refused_by->end(), within.begin(), within.end());
  }

  static Status OpenBranch(Branch& branch, const std::stop_token& stop) {
    std::lock_guard lock(branch.open_mutex);
    if (branch.is_open) return {};
    RETURN_IF_ERROR(branch.writer->Open(stop));
    if (branch.dead_letters && !branch.is_required) RETURN_IF_ERROR(branch.dead_letters->Open(stop));
    branch.is_open = true;
    return {};
  }

  // Nothing for a record without a uuid, which gets another one each time.
  static std::string KeyOf(const Batch& batch, int64_t row) {
    const auto& uuids = pipeline::Texts(*batch.records, pipeline::Column::kUuid);
    if (uuids.value_length(row) == 0) return {};
    std::string record;
    pipeline::AppendRecord(*batch.records, row, {}, &record);
    return fmt::format("{}/{:x}", uuids.GetView(row), std::hash<std::string>()(record));
  }

  // The branches that have each row, as bits.
  std::vector<uint64_t> Recall(const Batch& batch) {
    std::vector<uint64_t> done(static_cast<size_t>(batch.rows()), 0);
    std::lock_guard lock(mutex_);
    if (remembered_.empty()) return done;
    for (int64_t row = 0; row < batch.rows(); ++row) {
      const auto found = remembered_.find(KeyOf(batch, row));
      if (found != remembered_.end()) done[static_cast<size_t>(row)] = found->second;
    }
    return done;
  }

  void Remember(const Batch& batch, const Outcomes& outcomes, const std::vector<uint64_t>& done) {
    std::lock_guard lock(mutex_);
    for (size_t row = 0; row < outcomes.size(); ++row) {
      const bool is_partial = outcomes[row].kind == OutcomeKind::kFailed && done[row] != 0;
      if (!is_partial && remembered_.empty()) continue;
      std::string key = KeyOf(batch, static_cast<int64_t>(row));
      if (is_partial && !key.empty()) {
        if (remembered_.size() >= kMaxRemembered) remembered_.clear();
        remembered_[std::move(key)] = done[row];
      } else {
        remembered_.erase(key);
      }
    }
  }

  // Of rows that the branch has already: accepted.
  Outcomes WriteBranch(size_t index, const Batch& batch, const std::vector<uint64_t>& done,
                       const std::stop_token& stop) {
    Branch& branch = *branches_[index];
    std::vector<int32_t> rows;
    for (size_t row = 0; row < done.size(); ++row) {
      if ((done[row] >> index & 1U) == 0) rows.push_back(static_cast<int32_t>(row));
    }
    if (!branch.is_meant) return Outcomes(done.size(), Outcome{OutcomeKind::kDuplicate, {}});
    Outcomes all(done.size());
    // A batch of a position alone is for those who keep it.
    if (rows.empty() && (batch.rows() > 0 || !branch.keeps_places)) return all;
    if (branch.is_required) {
      WriteOnce(branch, batch, rows, stop, &all);
      Count(branch, rows, all);
    } else {
      WriteBestEffort(branch, batch, std::move(rows), stop, &all);
    }
    return all;
  }

  static void WriteOnce(Branch& branch, const Batch& batch, const std::vector<int32_t>& rows,
                        const std::stop_token& stop, Outcomes* all) {
    const auto write = [&]() -> Result<Outcomes> {
      RETURN_IF_ERROR(OpenBranch(branch, stop));
      const bool is_all = rows.size() == all->size();
      Batch part = batch;
      if (!is_all) {
        ASSIGN_OR_RETURN(part, TakeRows(batch, rows));
      }
      if (!branch.keeps_places) {
        part.partition.clear();
        part.next.clear();
        part.places.clear();
      }
      ASSIGN_OR_RETURN(auto outcomes, branch.writer->Write(part, stop));
      if (outcomes.size() != rows.size())
        return Internal("{} outcomes for {} records", outcomes.size(), rows.size());
      return outcomes;
    };
    auto outcomes = write();
    for (size_t i = 0; i < rows.size(); ++i) {
      Outcome& outcome = (*all)[static_cast<size_t>(rows[i])];
      if (outcomes.ok()) {
        outcome = std::move((*outcomes)[i]);
      } else {
        // A final error of one branch must not be retried for ever, nor reject what others may still take.
        const ErrorCode code = outcomes.error().code();
        const bool is_final = code == ErrorCode::kInvalidRecords || code == ErrorCode::kInvalidArgument ||
                              code == ErrorCode::kTooLarge || code == ErrorCode::kUnsupported;
        outcome = {is_final ? OutcomeKind::kRejected : OutcomeKind::kFailed, outcomes.error().ToString()};
      }
    }
  }

  // What became of rows of a required branch; what failed is tried again.
  static void Count(Branch& branch, const std::vector<int32_t>& rows, const Outcomes& all) {
    uint64_t rejected = 0;
    uint64_t failed = 0;
    for (const int32_t row : rows) {
      rejected += all[static_cast<size_t>(row)].kind == OutcomeKind::kRejected ? 1U : 0U;
      failed += all[static_cast<size_t>(row)].kind == OutcomeKind::kFailed ? 1U : 0U;
    }
    branch.counters->records += rows.size() - rejected - failed;
    branch.counters->rejected += rejected;
    branch.counters->retries += failed;
  }

  void TellOfLost(Branch& branch, const std::string& why) {
    if (const uint64_t lost = branch.untold.exchange(0); lost > 0)
      environment_.Note(
          fmt::format("fan_out: {} record(s) did not reach writer '{}', which is best_effort: {}", lost,
                      branch.name, why));
  }

  // Only this branch lacks the record, as the processors left it.
  static pipeline::DeadLetter LetterOf(const Branch& branch, const Batch& batch, int32_t row,
                                       std::string reason) {
    return {.record = batch.records->Slice(row, 1),
            .reason = std::move(reason),
            .writers = {branch.name},
            .is_processed = true};
  }

  // What does not succeed goes to the branch's dead letters, or is noted and gone. After a batch of which
  // nothing came through, what follows goes there at once for a while: the others are not to wait for it each
  // time.
  void WriteBestEffort(Branch& branch, const Batch& batch, std::vector<int32_t> rows,
                       const std::stop_token& stop, Outcomes* all) {
    const pipeline::RetryOptions retry;
    std::vector<pipeline::DeadLetter> dead;
    if (Now() < branch.pauses_until) {
      for (const int32_t row : rows)
        dead.push_back(LetterOf(branch, batch, row, "the writer failed and pauses"));
      rows.clear();
    }
    const size_t asked = rows.size();
    for (int64_t attempt = 1; !rows.empty(); ++attempt) {
      WriteOnce(branch, batch, rows, stop, all);
      const bool is_last = attempt >= branch.attempts || stop.stop_requested();
      std::vector<int32_t> again;
      for (const int32_t row : rows) {
        Outcome& outcome = (*all)[static_cast<size_t>(row)];
        if (outcome.kind == OutcomeKind::kFailed && !is_last) {
          again.push_back(row);
        } else if (outcome.kind == OutcomeKind::kFailed || outcome.kind == OutcomeKind::kRejected) {
          dead.push_back(LetterOf(branch, batch, row, outcome.reason));
          outcome = Outcome();
        }
      }
      rows = std::move(again);
      branch.counters->retries += rows.size();
      if (!rows.empty() && !pipeline::SleepFor(PauseBefore(retry, attempt), stop)) continue;
    }
    branch.counters->records += asked > 0 ? asked - dead.size() : 0;
    if (asked > 0 && dead.size() == asked) branch.pauses_until = Now() + kPause.count();
    if (dead.empty()) return;
    if (!branch.dead_letters) {
      branch.counters->lost += dead.size();
      branch.untold += dead.size();
      int64_t next = branch.next_note;
      const int64_t now = Now();
      if (now >= next && branch.next_note.compare_exchange_strong(next, now + kNoteEvery.count()))
        TellOfLost(branch, dead[0].reason);
      return;
    }
    branch.counters->rejected += dead.size();
    if (!branch.dead_letters->Write(dead, stop).ok()) branch.counters->lost += dead.size();
  }

  const std::vector<std::unique_ptr<Branch>> branches_;
  pipeline::Environment& environment_;
  std::mutex mutex_;
  std::unordered_map<std::string, uint64_t> remembered_;  // by KeyOf
};

Result<std::unique_ptr<pipeline::IngestionWriter>> Make(const pipeline::Settings& settings,
                                                        pipeline::Environment& environment) {
  const auto& writers = settings.writers("writers");
  if (writers.empty()) return settings.Complain("writers", "at least one writer is needed");
  if (writers.size() > kMaxBranches)
    return settings.Complain("writers", fmt::format("at most {} writers", kMaxBranches));
  std::vector<std::unique_ptr<Branch>> branches;
  for (const auto& one : writers) {
    auto branch = std::make_unique<Branch>();
    branch->name = fmt::format("{}_{}", branches.size(), one.type());
    branch->counters = &environment.Counters("branch", branch->name);
    ASSIGN_OR_RETURN(branch->writer, environment.registry().MakeWriter(one, environment));
    branch->is_required = one.text("branch.policy") != "best_effort";
    branch->attempts = one.integer("branch.attempts");
    if (one.has("branch.dead_letter")) {
      if (branch->is_required)
        return one.Complain("branch.dead_letter",
                            "is for `policy: best_effort`; a required writer's records "
                            "go to the pipeline's dead_letter");
      ASSIGN_OR_RETURN(auto dead,
                       environment.registry().MakeWriter(one.writer("branch.dead_letter"), environment));
      branch->dead_letters = std::make_unique<pipeline::DeadLetters>(
          std::move(dead), environment, environment.Counters("dead_letter", branch->name));
    }
    branches.push_back(std::move(branch));
  }
  return std::unique_ptr<pipeline::IngestionWriter>(
      std::make_unique<FanOut>(std::move(branches), environment));
}

}  // namespace

void RegisterFanOut(pipeline::Registry& registry) {
  pipeline::Declaration declaration;
  declaration.type = "fan_out";
  declaration.summary = "Writes each record to several writers";
  declaration.tier = pipeline::Tier::kStable;
  declaration.guarantee = pipeline::Guarantee::kAtLeastOnce;
  declaration.guarantee_text =
      "A record is accepted when every required writer has it; what failed at one is written again to that one "
      "alone, but after a crash, a restart or a reload to all. A required writer that keeps positions with its data (`odf`) still gets each record of an upstream with positions exactly once: it skips what it has. A writer with `policy: best_effort` holds up the others for its `attempts` "
      "at the most: then its records go to its own `dead_letter`, or are noted and gone, and for 5 s what follows "
      "does so at once.";
  declaration.options = {
      {.name = "writers",
       .type = pipeline::OptionType::kWriters,
       .description =
           "The writers, each with its options and with `policy` (required, best_effort), `attempts` "
           "and `dead_letter` of its own",
       .is_required = true}};
  declaration.example =
      "type: fan_out\nwriters:\n  - {type: file, path: var/all.ndjson}\n  - type: stdio\n    policy: best_effort\n";
  registry.Add(std::move(declaration), Make);
}

}  // namespace sluice::connectors
