#include "connectors/postgres/session.h"

#include <libpq-fe.h>

#include <algorithm>
#include <cctype>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace sluice::connectors::postgres {
namespace {

using pipeline::Column;
using pipeline::ColumnName;

// Up to here the arrays of a prepared statement are the faster way, and the only one with a single round
// trip.
constexpr size_t kFewRows = 512;
constexpr size_t kFewBytes = 4 << 20;
constexpr size_t kPieceBytes = 256 << 10;

constexpr std::string_view kStaging = "pg_temp.sluice_staging";
// What a batch locks. A table of its own: the server would run a subquery anew for each row that another
// writer has changed.
constexpr std::string_view kLocked = "pg_temp.sluice_locked";
constexpr std::string_view kCopyStaging = "COPY pg_temp.sluice_staging FROM STDIN (FORMAT binary); ";
constexpr std::string_view kSameKey =
    "t.tenant_id = s.tenant_id AND t.source_type = s.source_type AND t.source_id = s.source_id AND t.data_id = "
    "s.data_id AND s.data_id <> '' AND t.data_id <> ''";

std::string InsertPrepared(const Target& target) {
  std::string arrays;
  for (size_t i = 1; i <= target.columns.size(); ++i) arrays += fmt::format("{}${}", i == 1 ? "" : ", ", i);
  return fmt::format("INSERT INTO {} ({}) SELECT * FROM unnest({}) ON CONFLICT DO NOTHING RETURNING uuid",
                     target.name, target.ColumnList(), arrays);
}

std::string InsertStaged(const Target& target) {
  return fmt::format(
      "INSERT INTO {} ({}) SELECT {} FROM {} s ORDER BY sluice_n ON CONFLICT DO NOTHING RETURNING uuid",
      target.name, target.ColumnList(), target.ColumnList("s."), kStaging);
}

// By uuid, then by the key. A record whose uuid is one stored record and whose key is another's is taken out
// first. Rows are locked in the order of uuids, so that two writers wait for each other and do not block.
std::string UpdateStaged(const Target& target) {
  std::string set;
  for (const TargetColumn& column : target.columns) {
    if (column.column == Column::kUuid || column.column == Column::kCreatedAt) continue;
    const std::string name = Quoted(ColumnName(column.column));
    set += fmt::format("{}{} = s.{}", set.empty() ? "" : ", ", name, name);
  }
  const std::string& t = target.name;
  std::string sql(kCopyStaging);
  sql += fmt::format(
      "DELETE FROM {} s USING {} u, {} t WHERE u.uuid = s.uuid AND t.uuid <> u.uuid AND {} RETURNING s.sluice_n; ",
      kStaging, t, t, kSameKey);
  sql += fmt::format(
      "INSERT INTO {3} SELECT s.uuid FROM {1} s UNION SELECT t.uuid FROM {1} s JOIN {0} t ON {2}; "
      "SELECT count(*) FROM (SELECT 1 FROM {3} k JOIN {0} t ON t.uuid = k.uuid ORDER BY t.uuid FOR UPDATE OF t) "
      "locked; ",
      t, kStaging, kSameKey, kLocked);
  sql += fmt::format("UPDATE {} t SET {} FROM {} s WHERE t.uuid = s.uuid RETURNING s.sluice_n; ", t, set,
                     kStaging);
  sql += fmt::format("UPDATE {} t SET {} FROM {} s WHERE t.uuid <> s.uuid AND {} RETURNING s.sluice_n; ", t,
                     set, kStaging, kSameKey);
  sql += fmt::format(
      "INSERT INTO {} ({}) SELECT {} FROM {} s ORDER BY sluice_n ON CONFLICT DO NOTHING RETURNING uuid", t,
      target.ColumnList(), target.ColumnList("s."), kStaging);
  return sql;
}

// Of arrays of uuids and keys.
std::string FindKeptOutStatement(const Target& target) {
  return fmt::format(
      "SELECT s.n FROM unnest($1, $2, $3, $4, $5) WITH ORDINALITY s(uuid, tenant_id, source_type, source_id, "
      "data_id, n) WHERE NOT EXISTS (SELECT 1 FROM {0} t WHERE t.uuid = s.uuid) AND NOT EXISTS (SELECT 1 FROM "
      "{0} t WHERE {1})",
      target.name, kSameKey);
}

// Whether rows may be left out for other reasons than our two keys. Asked each time: whoever owns the table
// may have changed it.
std::string MayKeepOutStatement(const Target& target) {
  return fmt::format(
      "SELECT c.relrowsecurity OR c.relhassubclass OR EXISTS (SELECT 1 FROM pg_trigger g WHERE g.tgrelid = c.oid "
      "AND NOT g.tgisinternal AND (g.tgtype & 6) = 6) OR (SELECT count(*) FROM pg_index i WHERE i.indrelid = "
      "c.oid AND (i.indisunique OR i.indisexclusion)) > 2 FROM pg_class c WHERE c.oid = {}::regclass",
      Literal(target.name));
}

size_t BytesOf(const Records& records, std::span<const int64_t> rows) {
  size_t bytes = 0;
  for (const int64_t row : rows)
    bytes += records.text(Column::kData, row).size() + records.text(Column::kMetadata, row).size() +
             records.text(Column::kExtra, row).size();
  return bytes;
}

// As the server prints a value of type uuid.
std::string Canonical(std::string_view uuid) {
  std::string text(uuid);
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

void MarkByNumber(const Reply& reply, Fate fate, std::vector<Fate>* fates) {
  for (int i = 0; i < PQntuples(reply.get()); ++i) {
    const auto n = static_cast<size_t>(std::stoul(PQgetvalue(reply.get(), i, 0)));
    if (n < fates->size()) (*fates)[n] = fate;
  }
}

}  // namespace

Session::Session(std::unique_ptr<Connection> connection, Target target)
    : connection_(std::move(connection)),
      target_(std::move(target)),
      insert_prepared_(InsertPrepared(target_)),
      insert_staged_(std::string(kCopyStaging) + InsertStaged(target_)),
      update_staged_(UpdateStaged(target_)),
      find_kept_out_(FindKeptOutStatement(target_)) {}

Result<std::unique_ptr<Session>> Session::Open(const ConnectOptions& connect, const TargetOptions& options,
                                               std::stop_token stop) {
  auto opened = Connection::Open(connect, stop);
  if (!opened.ok()) return std::move(opened).error().With(connect.origin);
  auto connection = std::move(opened).value();
  auto found = OpenTarget(*connection, options, stop);
  if (!found.ok()) {
    if (IsRetryable(found.error().code())) return std::move(found).error();
    return std::move(found).error().With(options.origin);
  }
  Target target = std::move(found).value();
  // A batch asks the table's indexes, however large the table is and whatever its statistics say.
  auto staging = connection->Run(
      fmt::format(
          "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off; "
          "SET enable_material = off; SET jit = off; "
          "CREATE TEMP TABLE sluice_staging ON COMMIT DELETE ROWS AS SELECT 0::int4 AS sluice_n, {0} FROM {1} "
          "WITH NO DATA; CREATE TEMP TABLE sluice_locked ON COMMIT DELETE ROWS AS SELECT uuid FROM {1} WITH NO DATA",
          target.ColumnList(), target.name),
      stop);
  if (!staging.ok()) return std::move(staging).error().With("making the staging table");
  return std::unique_ptr<Session>(new Session(std::move(connection), std::move(target)));
}

Result<std::vector<Reply>> Session::RunWithCopy(const std::string& statements, const Records& records,
                                                std::span<const int64_t> rows,
                                                std::span<const int64_t> first_rows, bool numbered,
                                                const std::stop_token& stop) {
  size_t next = 0;
  bool ended = false;
  return connection_->Run(statements, stop, [&](std::string* out) -> Status {
    if (next == 0 && !ended) *out += CopyBeginning();
    for (; next < rows.size() && out->size() < kPieceBytes; ++next) {
      std::optional<int32_t> number;
      if (numbered) number = static_cast<int32_t>(next);
      AppendCopyRow(target_, records, rows[next], number, first_rows[next], out);
    }
    if (next == rows.size() && !ended) {
      *out += CopyEnd();
      ended = true;
    }
    return {};
  });
}

Result<std::vector<int64_t>> Session::StoreUnseen(const Records& records, std::span<const int64_t> rows,
                                                  std::stop_token stop) {
  const std::string sql =
      fmt::format("COPY {} ({}) FROM STDIN (FORMAT binary)", target_.name, target_.ColumnList());
  auto copied = RunWithCopy(sql, records, rows, rows, /*numbered=*/false, stop);
  if (!copied.ok()) {
    // The latter: COPY does not know the table's policies, and INSERT does.
    if (state() == "23505" || state() == "0A000")
      return Error(ErrorCode::kAlreadyExists, copied.error().message());
    return std::move(copied).error();
  }
  // A trigger left some out.
  if (copied->empty() || PQcmdTuples(copied->back().get()) != std::to_string(rows.size()))
    return FindKeptOut(records, rows, stop);
  return std::vector<int64_t>();
}

Result<std::vector<int64_t>> Session::FindKeptOut(const Records& records, std::span<const int64_t> rows,
                                                  const std::stop_token& stop) {
  std::vector<Parameter> arrays;
  for (const Column column :
       {Column::kUuid, Column::kTenantId, Column::kSourceType, Column::kSourceId, Column::kDataId}) {
    const auto written = std::find_if(target_.columns.begin(), target_.columns.end(),
                                      [&](const TargetColumn& one) { return one.column == column; });
    arrays.push_back(ArrayOf(*written, records, rows));
  }
  ASSIGN_OR_RETURN(const Reply reply,
                   connection_->RunPrepared("sluice_kept_out", find_kept_out_, arrays, stop));
  std::vector<int64_t> kept_out;
  for (int i = 0; i < PQntuples(reply.get()); ++i)
    kept_out.push_back(rows[std::stoul(PQgetvalue(reply.get(), i, 0)) - 1]);
  return kept_out;
}

// The server says the same of a row that is known and of one that it left out for a reason of its own.
Result<std::vector<Fate>> Session::TellKeptOut(std::vector<Fate> fates, const Records& records,
                                               std::span<const int64_t> rows, const std::stop_token& stop) {
  std::vector<int64_t> left_out;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (fates[i] == Fate::kKnown) left_out.push_back(rows[i]);
  }
  if (left_out.empty()) return fates;
  // Nearly always the catalogue spares us asking for each of them.
  ASSIGN_OR_RETURN(const auto may, connection_->Run(MayKeepOutStatement(target_), stop));
  const bool is_no = !may.empty() && PQntuples(may.back().get()) == 1 &&
                     std::string_view(PQgetvalue(may.back().get(), 0, 0)) == "f";
  if (is_no) return fates;
  ASSIGN_OR_RETURN(const auto found, FindKeptOut(records, left_out, stop));
  const std::unordered_set<int64_t> kept_out(found.begin(), found.end());
  for (size_t i = 0; i < rows.size(); ++i) {
    if (fates[i] == Fate::kKnown && kept_out.contains(rows[i])) fates[i] = Fate::kKeptOut;
  }
  return fates;
}

Result<StoredKeys> Session::FindStored(const Records& records, std::span<const int64_t> rows,
                                       std::stop_token stop) {
  StoredKeys stored;
  if (rows.size() < 2) return stored;
  const TargetColumn& column = target_.columns.front();
  ASSIGN_OR_RETURN(
      const Reply reply,
      connection_->RunPrepared(
          "sluice_find",
          fmt::format("SELECT uuid, tenant_id, source_type, source_id, data_id FROM {} WHERE uuid "
                      "= ANY($1)",
                      target_.name),
          {ArrayOf(column, records, rows)}, stop));
  std::unordered_map<std::string_view, int> found;  // its place in the answer
  for (int i = 0; i < PQntuples(reply.get()); ++i) found.emplace(PQgetvalue(reply.get(), i, 0), i);
  const auto cell = [&](int row, int field) { return std::string_view(PQgetvalue(reply.get(), row, field)); };
  for (const int64_t row : rows) {
    const std::string_view uuid = records.text(Column::kUuid, row);
    const auto at = found.find(column.form == ColumnForm::kUuid ? Canonical(uuid) : std::string(uuid));
    if (at == found.end()) continue;
    const int i = at->second;
    stored.emplace(row, KeyText({cell(i, 1), cell(i, 2), cell(i, 3), cell(i, 4)}));
  }
  return stored;
}

// Two records of one uuid: one of them is the stored one, and which does not matter to anybody.
std::vector<Fate> Session::FatesOf(const Reply& inserted, const Records& records,
                                   std::span<const int64_t> rows) const {
  if (static_cast<size_t>(PQntuples(inserted.get())) == rows.size())
    return std::vector<Fate>(rows.size(), Fate::kStored);
  const bool is_typed = target_.columns.front().form == ColumnForm::kUuid;
  std::unordered_set<std::string> uuids;
  for (int i = 0; i < PQntuples(inserted.get()); ++i) uuids.emplace(PQgetvalue(inserted.get(), i, 0));
  std::vector<Fate> fates;
  for (const int64_t row : rows) {
    const std::string_view uuid = records.text(Column::kUuid, row);
    fates.push_back(uuids.erase(is_typed ? Canonical(uuid) : std::string(uuid)) != 0 ? Fate::kStored
                                                                                     : Fate::kKnown);
  }
  return fates;
}

Result<std::vector<Fate>> Session::StoreNew(const Records& records, std::span<const int64_t> rows,
                                            std::stop_token stop) {
  if (rows.size() <= kFewRows && BytesOf(records, rows) <= kFewBytes) {
    std::vector<Parameter> arrays;
    for (const TargetColumn& column : target_.columns) arrays.push_back(ArrayOf(column, records, rows));
    ASSIGN_OR_RETURN(const Reply reply,
                     connection_->RunPrepared("sluice_insert", insert_prepared_, arrays, stop));
    return TellKeptOut(FatesOf(reply, records, rows), records, rows, stop);
  }
  ASSIGN_OR_RETURN(const auto replies,
                   RunWithCopy(insert_staged_, records, rows, rows, /*numbered=*/true, stop));
  if (replies.empty()) return Internal("no answer to INSERT");
  return TellKeptOut(FatesOf(replies.back(), records, rows), records, rows, stop);
}

Result<std::vector<Fate>> Session::StoreLatest(const Records& records, std::span<const int64_t> rows,
                                               std::span<const int64_t> first_rows, std::stop_token stop) {
  auto run = RunWithCopy(update_staged_, records, rows, first_rows, /*numbered=*/true, stop);
  if (!run.ok()) {
    if (state() == "23505") return Error(ErrorCode::kAlreadyExists, run.error().message());
    return std::move(run).error();
  }
  // COPY, DELETE, INSERT, SELECT, UPDATE, UPDATE, INSERT
  constexpr size_t kReplies = 7;
  if (run->size() != kReplies) return Internal("{} answers to {} statements", run->size(), kReplies);
  const std::vector<Fate> inserted = FatesOf((*run)[6], records, first_rows);
  std::vector<Fate> fates(rows.size(), Fate::kRaced);
  for (size_t i = 0; i < fates.size(); ++i) {
    if (inserted[i] == Fate::kStored) fates[i] = Fate::kStored;
  }
  MarkByNumber((*run)[1], Fate::kClash, &fates);
  MarkByNumber((*run)[4], Fate::kKnown, &fates);
  MarkByNumber((*run)[5], Fate::kKnown, &fates);
  return fates;
}

}  // namespace sluice::connectors::postgres
