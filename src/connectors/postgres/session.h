#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "connectors/postgres/connection.h"
#include "connectors/postgres/rounds.h"
#include "connectors/postgres/rows.h"
#include "connectors/postgres/target.h"

namespace sluice::connectors::postgres {

// What an attempt did with each of its rows. `kRaced`: another writer was in between; to be tried again.
// `kKeptOut`: neither its uuid nor its key is there; a trigger, or a unique index of the table's owner, did
// that.
enum class Fate : uint8_t { kStored, kKnown, kClash, kRaced, kKeptOut };

// A connection with the target and a staging table of its own; each call is one transaction. The rows given
// are numbers within `records`. Errors: kInvalidRecords when the server refuses a value, kAlreadyExists for a
// row that meets another, else those of Connection; nothing is stored then. Confined.
class Session {
 public:
  static Result<std::unique_ptr<Session>> Open(const ConnectOptions& connect, const TargetOptions& options,
                                               std::stop_token stop);

  const Target& target() const { return target_; }
  bool is_usable() const { return connection_->is_usable(); }
  const std::string& state() const { return connection_->state(); }

  // For records that are hopefully new: COPY straight into the table. kAlreadyExists when one was
  // not, or the table takes no COPY. Returns the rows that were kept out.
  Result<std::vector<int64_t>> StoreUnseen(const Records& records, std::span<const int64_t> rows,
                                           std::stop_token stop);
  // One prepared statement with arrays, for few rows; COPY to staging and one INSERT for many.
  Result<std::vector<Fate>> StoreNew(const Records& records, std::span<const int64_t> rows,
                                     std::stop_token stop);
  // For PlanRound; a single row meets no other, and nothing is told of it.
  Result<StoredKeys> FindStored(const Records& records, std::span<const int64_t> rows, std::stop_token stop);
  // Inserts or replaces. No two rows may have a uuid or a key in common. `first_rows`: for each row, where
  // its uuid and `created_at` come from. kAlreadyExists: another writer took a key between two of the
  // statements; again and again, it is a unique index of the table's owner.
  Result<std::vector<Fate>> StoreLatest(const Records& records, std::span<const int64_t> rows,
                                        std::span<const int64_t> first_rows, std::stop_token stop);

  // The rows of which the table has neither uuid nor key.
  Result<std::vector<int64_t>> FindKeptOut(const Records& records, std::span<const int64_t> rows,
                                           const std::stop_token& stop);

 private:
  Session(std::unique_ptr<Connection> connection, Target target);
  Result<std::vector<Reply>> RunWithCopy(const std::string& statements, const Records& records,
                                         std::span<const int64_t> rows, std::span<const int64_t> first_rows,
                                         bool numbered, const std::stop_token& stop);
  Result<std::vector<Fate>> TellKeptOut(std::vector<Fate> fates, const Records& records,
                                        std::span<const int64_t> rows, const std::stop_token& stop);
  std::vector<Fate> FatesOf(const Reply& inserted, const Records& records,
                            std::span<const int64_t> rows) const;

  std::unique_ptr<Connection> connection_;
  Target target_;
  std::string insert_prepared_;
  std::string insert_staged_;
  std::string update_staged_;
  std::string find_kept_out_;
};

}  // namespace sluice::connectors::postgres
