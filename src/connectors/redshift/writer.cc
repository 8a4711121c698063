#include <arrow/api.h>
#include <libpq-fe.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/cancel.h"
#include "base/mutex.h"
#include "connectors/postgres/rounds.h"
#include "connectors/redshift/redshift_internal.h"
#include "pipeline/record.h"

namespace sluice::connectors::redshift {
namespace {

using pipeline::Column;
using pipeline::Outcome;
using pipeline::OutcomeKind;
using pipeline::Outcomes;
using postgres::Connection;
using postgres::Quoted;
using postgres::Records;
using postgres::Reply;

constexpr size_t kStatementBytes = 1 << 20;  // of an INSERT; the server takes 16 MB
constexpr int kMaxRounds = 8;

std::string Cell(const Reply& reply, int row, int column) { return PQgetvalue(reply.get(), row, column); }

std::set<size_t> Numbers(const Reply& reply) {
  std::set<size_t> numbers;
  for (int i = 0; i < PQntuples(reply.get()); ++i) numbers.insert(std::stoul(Cell(reply, i, 0)));
  return numbers;
}

// Of a stored record whose columns from the second on are those of the key.
std::string KeyOf(const Reply& reply, int row) {
  const auto cell = [&](int column) { return std::string_view(PQgetvalue(reply.get(), row, column)); };
  return postgres::KeyText({cell(1), cell(2), cell(3), cell(4)});
}

Error AsPassing(Error error) {
  if (IsRetryable(error.code()) || error.code() == ErrorCode::kCancelled) return error;
  return Error(ErrorCode::kUnavailable, error.ToString());
}

// Uniqueness is nothing that Redshift enforces: whoever writes holds the table's lock from looking for
// duplicates to the commit. So there is one connection.
class RedshiftWriter final : public pipeline::IngestionWriter {
 public:
  explicit RedshiftWriter(WriterOptions options) : options_(std::move(options)) {}

  Status Open(std::stop_token stop) override {
    const MutexLock lock(mutex_);
    if (options_.staging) {
      ASSIGN_OR_RETURN(files_, StagedFiles::Make(*options_.staging));
      RETURN_IF_ERROR(files_->Check(stop));
    }
    return Connect(stop);
  }

  Result<Outcomes> Write(const pipeline::Batch& batch, std::stop_token stop) override {
    const MutexLock lock(mutex_);
    ASSIGN_OR_RETURN(auto filled, pipeline::FillUuids(batch.records));
    const Records records(std::move(filled));
    // An idle connection may be dead without knowing. Repeating is safe.
    for (int attempt = 0;; ++attempt) {
      if (!connection_ || !connection_->is_usable()) {
        if (Status connected = Connect(stop); !connected.ok()) return AsPassing(std::move(connected).error());
      }
      Outcomes outcomes(static_cast<size_t>(records.rows()));
      Status stored = Store(records, &outcomes, stop);
      if (stored.ok()) return outcomes;
      const bool is_dead = !connection_->is_usable();
      const ErrorCode code = stored.error().code();
      const bool has_drifted = code == ErrorCode::kPrecondition || code == ErrorCode::kNotFound;
      if (has_drifted) connection_.reset();  // not the table that it was
      if (attempt > 0 || (!is_dead && !has_drifted)) return AsPassing(std::move(stored).error());
    }
  }

  int64_t preferred_rows() const override { return 20'000; }

  Status Close() override {
    const MutexLock lock(mutex_);
    connection_.reset();
    files_.reset();
    return {};
  }

 private:
  std::string FullName() const {
    return options_.schema.empty() ? Quoted(options_.table)
                                   : Quoted(options_.schema) + "." + Quoted(options_.table);
  }

  Status Connect(const std::stop_token& stop) REQUIRES(mutex_);
  Status ReadColumns(const std::stop_token& stop) REQUIRES(mutex_);
  Status Store(const Records& records, Outcomes* outcomes, const std::stop_token& stop) REQUIRES(mutex_);
  // Rows that no round had room for, or whose like was not stored after all.
  Result<std::vector<int64_t>> StoreRound(const Records& records, const std::vector<int64_t>& pending,
                                          Outcomes* outcomes, const std::stop_token& stop) REQUIRES(mutex_);
  // What a round has to know of the table before; adds what the transaction before has found.
  Result<postgres::StoredKeys> FindStored(const Records& records, const std::vector<int64_t>& pending,
                                          const std::stop_token& stop) REQUIRES(mutex_);
  // A row, and the one that came first of those that are one with it: that gives uuid and created_at.
  struct Staged {
    int64_t row;
    int64_t first;
  };
  // As one transaction; halves the rows until those that the server refuses stand alone.
  Status StoreRows(const Records& records, std::span<const Staged> rows, Outcomes* outcomes,
                   const std::stop_token& stop) REQUIRES(mutex_);
  Status TryRows(const Records& records, std::span<const Staged> rows, Outcomes* outcomes,
                 const std::stop_token& stop) REQUIRES(mutex_);
  // Rows of records that were there, and of those that are two stored ones.
  struct Found {
    std::set<size_t> known;
    std::set<size_t> clashing;
    bool is_entangled = false;  // rows meet in a stored record: nothing was done
  };
  Result<Found> Transact(const Records& records, std::span<const Staged> rows, const std::string& key,
                         const std::stop_token& stop) REQUIRES(mutex_);
  // Whether one row gives a stored record another key, and another row comes with the one that it has. Keeps
  // for the next round who does the former.
  Result<bool> AreEntangled(const Records& records, std::span<const Staged> rows, const std::stop_token& stop)
      REQUIRES(mutex_);
  Status Stage(const Records& records, std::span<const Staged> rows, const std::string& key,
               const std::stop_token& stop) REQUIRES(mutex_);

  const WriterOptions options_;
  Mutex mutex_;
  std::unique_ptr<Connection> connection_ GUARDED_BY(mutex_);
  std::unique_ptr<StagedFiles> files_ GUARDED_BY(mutex_);
  Dialect dialect_ GUARDED_BY(mutex_);
  std::vector<TableColumn> columns_ GUARDED_BY(mutex_);
  bool has_extra_ GUARDED_BY(mutex_) = false;
  postgres::StoredKeys leaving_ GUARDED_BY(mutex_);  // of the batch that is being written
};

Status RedshiftWriter::Connect(const std::stop_token& stop) {
  connection_.reset();
  auto connection = Connection::Open(options_.connect, stop);
  if (!connection.ok()) return std::move(connection).error().With(options_.connect.origin);
  connection_ = std::move(connection).value();
  ASSIGN_OR_RETURN(const auto version, connection_->Run("SELECT version()", stop));
  dialect_.is_redshift = Cell(version.back(), 0, 0).find("Redshift") != std::string::npos;
  if (options_.create_table) {
    auto made = connection_->Run(CreateTable(dialect_, FullName()), stop);
    // Two at the same time: the other one made it. The server tells that of the row of its catalogue, of the
    // table, or of the type that every table has.
    const std::string& state = connection_->state();
    if (!made.ok() && state != "23505" && state != "42P07" && state != "42710")
      return std::move(made).error().With("creating table " + FullName()).With(options_.table_origin);
  }
  if (Status read = ReadColumns(stop); !read.ok()) {
    if (IsRetryable(read.error().code())) return read;
    return std::move(read).error().With(options_.table_origin);
  }
  auto staging = connection_->Run(CreateStaging(dialect_), stop);
  if (!staging.ok()) return std::move(staging).error().With("making the staging table");
  return {};
}

Status RedshiftWriter::ReadColumns(const std::stop_token& stop) {
  const std::string schema =
      options_.schema.empty() ? "current_schema()" : postgres::Literal(options_.schema);
  ASSIGN_OR_RETURN(const auto replies,
                   connection_->Run(
                       // Redshift makes no column itself but numbers, and its catalogue knows no such thing.
                       std::string("SELECT column_name, data_type, character_maximum_length, ") +
                           (dialect_.is_redshift ? "''" : "is_generated") +
                           " FROM information_schema.columns WHERE table_name = " +
                           postgres::Literal(options_.table) + " AND table_schema = " + schema,
                       stop));
  columns_.clear();
  has_extra_ = false;
  const Reply& reply = replies.back();
  for (int row = 0; row < PQntuples(reply.get()); ++row) {
    const std::string length = Cell(reply, row, 2);
    columns_.push_back({.name = Cell(reply, row, 0),
                        .type = Cell(reply, row, 1),
                        .max_bytes = length.empty() ? -1 : std::stol(length)});
  }
  if (columns_.empty())
    return NotFound("{}: table {} does not exist: create it, or set create_table: true",
                    connection_->server(), FullName());
  for (int i = 0; i < pipeline::kColumns; ++i) {
    const std::string name(pipeline::ColumnName(static_cast<Column>(i)));
    const bool is_there =
        std::any_of(columns_.begin(), columns_.end(), [&](const TableColumn& c) { return c.name == name; });
    if (static_cast<Column>(i) == Column::kExtra) {
      has_extra_ = is_there;
    } else if (!is_there) {
      return MakeError(ErrorCode::kPrecondition, "{}: table {} has no column '{}': add it, or drop the table",
                       connection_->server(), FullName(), name);
    }
  }
  for (int row = 0; row < PQntuples(reply.get()); ++row) {
    const std::string name = Cell(reply, row, 0);
    if (Cell(reply, row, 3) == "ALWAYS" && pipeline::RecordSchema()->GetFieldIndex(name) >= 0)
      return MakeError(
          ErrorCode::kPrecondition,
          "{}: table {} has the column '{}', which the server makes itself and records are to fill: make it "
          "a plain column",
          connection_->server(), FullName(), name);
  }
  return {};
}

Status RedshiftWriter::Store(const Records& records, Outcomes* outcomes, const std::stop_token& stop) {
  std::vector<int64_t> pending;
  for (int64_t row = 0; row < records.rows(); ++row) {
    if (auto reason = Refusal(columns_, records, row)) {
      (*outcomes)[static_cast<size_t>(row)] = {.kind = OutcomeKind::kRejected, .reason = std::move(*reason)};
    } else {
      pending.push_back(row);
    }
  }
  leaving_.clear();
  for (int round = 0; round < kMaxRounds && !pending.empty(); ++round) {
    RETURN_IF_ERROR(CheckCancelled(stop));
    ASSIGN_OR_RETURN(pending, StoreRound(records, pending, outcomes, stop));
  }
  for (const int64_t row : pending) {
    (*outcomes)[static_cast<size_t>(row)] = {.kind = OutcomeKind::kFailed,
                                             .reason = "too many records with the same uuid in one batch"};
  }
  return {};
}

Result<postgres::StoredKeys> RedshiftWriter::FindStored(const Records& records,
                                                        const std::vector<int64_t>& pending,
                                                        const std::stop_token& stop) {
  postgres::StoredKeys stored = std::exchange(leaving_, {});
  const auto others = postgres::FindOtherUuids(records, pending);
  if (others.empty() || !options_.updates) return stored;
  ASSIGN_OR_RETURN(const auto replies, connection_->Run(SelectByUuid(FullName(), records, others), stop));
  const Reply& reply = replies.back();
  std::map<std::string, std::string> keys;  // by uuid
  for (int i = 0; i < PQntuples(reply.get()); ++i) keys.emplace(Cell(reply, i, 0), KeyOf(reply, i));
  for (const int64_t row : others) {
    const auto found = keys.find(std::string(records.text(Column::kUuid, row)));
    if (found != keys.end()) stored.emplace(row, found->second);
  }
  return stored;
}

Result<std::vector<int64_t>> RedshiftWriter::StoreRound(const Records& records,
                                                        const std::vector<int64_t>& pending,
                                                        Outcomes* outcomes, const std::stop_token& stop) {
  ASSIGN_OR_RETURN(const auto known, FindStored(records, pending, stop));
  postgres::Round round = postgres::PlanRound(records, pending, known);
  // Of records that are one, the first counts when nothing is updated.
  if (!options_.updates) {
    for (auto& [row, place] : round.replaced) {
      if (row == round.first_rows[place]) std::swap(row, round.rows[place]);
    }
  }
  std::vector<Staged> staged;
  for (size_t i = 0; i < round.rows.size(); ++i) staged.push_back({round.rows[i], round.first_rows[i]});
  RETURN_IF_ERROR(StoreRows(records, staged, outcomes, stop));
  const auto kind_of = [&](int64_t row) { return (*outcomes)[static_cast<size_t>(row)].kind; };
  std::vector<int64_t> again = std::move(round.later);
  for (const int64_t row : round.rows) {
    if (kind_of(row) == OutcomeKind::kFailed) again.push_back(row);
  }
  for (const auto& [row, place] : round.replaced) {
    const OutcomeKind kind = kind_of(round.rows[place]);
    const bool is_there =
        kind == OutcomeKind::kAccepted || (options_.updates && kind == OutcomeKind::kDuplicate);
    if (is_there) {
      (*outcomes)[static_cast<size_t>(row)].kind = OutcomeKind::kDuplicate;
    } else if (kind_of(row) != OutcomeKind::kRejected) {
      again.push_back(row);
    }
  }
  std::sort(again.begin(), again.end());
  return again;
}

Status RedshiftWriter::StoreRows(const Records& records, std::span<const Staged> rows, Outcomes* outcomes,
                                 const std::stop_token& stop) {
  if (rows.empty()) return {};
  Status stored = TryRows(records, rows, outcomes, stop);
  if (stored.ok() || stored.error().code() != ErrorCode::kInvalidRecords) return stored;
  if (rows.size() == 1) {
    (*outcomes)[static_cast<size_t>(rows.front().row)] = {.kind = OutcomeKind::kRejected,
                                                          .reason = stored.error().message()};
    return {};
  }
  const size_t half = rows.size() / 2;
  RETURN_IF_ERROR(StoreRows(records, rows.first(half), outcomes, stop));
  return StoreRows(records, rows.subspan(half), outcomes, stop);
}

// Staging is filled before the lock is taken, and in pieces; COPY from S3 is a statement like any other.
Status RedshiftWriter::Stage(const Records& records, std::span<const Staged> rows, const std::string& key,
                             const std::stop_token& stop) {
  if (files_) {
    std::string body;
    for (const Staged& one : rows)
      AppendCsv(records, one.row, one.first, static_cast<int32_t>(one.row), &body);
    RETURN_IF_ERROR(files_->Put(key, std::move(body), stop));
    auto copied = connection_->Run(CopyStatement(*options_.staging, key), stop);
    if (!copied.ok()) return std::move(copied).error();
    return {};
  }
  std::string sql;
  for (size_t i = 0; i < rows.size(); ++i) {
    sql += sql.empty() ? "INSERT INTO sluice_staging VALUES " : ", ";
    AppendValues(records, rows[i].row, rows[i].first, static_cast<int32_t>(rows[i].row), &sql);
    if (sql.size() < kStatementBytes && i + 1 < rows.size()) continue;
    auto inserted = connection_->Run(sql, stop);
    if (!inserted.ok()) return std::move(inserted).error();
    sql.clear();
  }
  return {};
}

Result<RedshiftWriter::Found> RedshiftWriter::Transact(const Records& records, std::span<const Staged> rows,
                                                       const std::string& key, const std::stop_token& stop) {
  auto begun = connection_->Run("BEGIN; DELETE FROM sluice_staging", stop);
  if (!begun.ok()) return std::move(begun).error();
  RETURN_IF_ERROR(Stage(records, rows, key, stop));
  Found found;
  ASSIGN_OR_RETURN(const auto known,
                   connection_->Run("LOCK TABLE " + FullName() + "; " + SelectKnown(FullName()), stop));
  found.known = Numbers(known.back());
  if (options_.updates) {
    ASSIGN_OR_RETURN(const auto clashing, connection_->Run(SelectClashing(FullName()), stop));
    found.clashing = Numbers(clashing.back());
    ASSIGN_OR_RETURN(found.is_entangled, AreEntangled(records, rows, stop));
    if (found.is_entangled) {
      auto undone = connection_->Run("ROLLBACK", stop);
      if (!undone.ok()) return std::move(undone).error();
      return found;
    }
  }
  const auto statements = options_.updates ? MergeAll(dialect_, options_.schema, options_.table, has_extra_)
                                           : InsertNew(dialect_, options_.schema, options_.table, has_extra_);
  auto stored = connection_->Run(statements + "; COMMIT", stop);
  if (!stored.ok()) return std::move(stored).error();
  return found;
}

Result<bool> RedshiftWriter::AreEntangled(const Records& records, std::span<const Staged> rows,
                                          const std::stop_token& stop) {
  if (rows.size() < 2) return false;
  ASSIGN_OR_RETURN(const auto replies, connection_->Run(SelectLeaving(FullName()), stop));
  const Reply& reply = replies.back();
  if (PQntuples(reply.get()) == 0) return false;
  std::map<int64_t, int64_t> first_of;
  std::set<std::string> keys;
  for (const auto& [row, first] : rows) {
    first_of.emplace(row, first);
    keys.insert(postgres::KeyText(records, row));
  }
  bool are_entangled = false;
  for (int i = 0; i < PQntuples(reply.get()); ++i) {
    const auto first = first_of.find(std::stol(Cell(reply, i, 0)));
    if (first == first_of.end()) continue;
    std::string key = KeyOf(reply, i);
    are_entangled = are_entangled || keys.contains(key);
    leaving_.emplace(first->second, std::move(key));
  }
  if (!are_entangled) leaving_.clear();
  return are_entangled;
}

Status RedshiftWriter::TryRows(const Records& records, std::span<const Staged> rows, Outcomes* outcomes,
                               const std::stop_token& stop) {
  const std::string key = files_ ? files_->NewKey() : "";
  auto found = Transact(records, rows, key, stop);
  if (files_) (void)files_->Remove(key, {});  // whatever became of it; a leftover is harmless
  if (!found.ok()) {
    Error error = std::move(found).error();
    if (connection_->is_usable()) (void)connection_->Run("ROLLBACK", {});
    return error;
  }
  for (const auto& [row, first] : rows) {
    const auto number = static_cast<size_t>(row);
    Outcome& outcome = (*outcomes)[number];
    if (found->is_entangled) {
      outcome.kind = OutcomeKind::kFailed;  // the next round knows better
    } else if (found->clashing.contains(number)) {
      // It is the first of them that clashes; the last one stands for itself then.
      outcome.kind = OutcomeKind::kFailed;
      (*outcomes)[static_cast<size_t>(first)] = {
          .kind = OutcomeKind::kRejected,
          .reason =
              "its uuid is that of one stored record, and its tenant_id, source_type, source_id and "
              "data_id are those of another"};
    } else {
      outcome.kind = found->known.contains(number) ? OutcomeKind::kDuplicate : OutcomeKind::kAccepted;
    }
  }
  return {};
}

}  // namespace

std::unique_ptr<pipeline::IngestionWriter> MakeWriter(WriterOptions options) {
  return std::make_unique<RedshiftWriter>(std::move(options));
}

}  // namespace sluice::connectors::redshift
