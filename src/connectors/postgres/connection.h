#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

struct pg_conn;
struct pg_result;

namespace sluice::connectors::postgres {

struct FreeResult {
  void operator()(pg_result* result) const;
};
using Reply = std::unique_ptr<pg_result, FreeResult>;

struct ConnectOptions {
  std::string uri;  // a URI or `key=value` text of libpq; may hold a password
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds timeout{30'000};  // of one statement
  std::string set_up;                         // statements for a new session, instead of PostgreSQL's
  std::string origin = "option 'uri'";        // where `uri` was given, for messages
};

// A parameter of a prepared statement, in binary form.
struct Parameter {
  uint32_t type = 0;  // its oid
  std::string bytes;
};

// One session of a server that speaks PostgreSQL's protocol; unless `set_up` says otherwise UTC, read
// committed, with commits that wait for the disk. Every call blocks until the server answered, the time limit
// passed or `stop` was requested. After the latter two, and
// whenever the server went away, `is_usable()` is false and only a new connection helps; what the server was
// doing may still happen, within its own limit for statements. (Asking it to end would wait for a server that
// hangs.) No message holds the password. Confined.
class Connection {
 public:
  // Bytes for COPY; called until it appends nothing.
  using Feed = std::function<Status(std::string* out)>;

  // Errors: kUnauthenticated and kPermissionDenied for what the server will not let in, kNotFound for a
  // database that does not exist, kInvalidArgument for text that is no URI, else kUnavailable or kTimeout;
  // all name the server.
  static Result<std::unique_ptr<Connection>> Open(const ConnectOptions& options, std::stop_token stop);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Statements in one transaction of their own; COPY ... FROM STDIN among them takes `feed`. One reply for
  // each statement, COPY included. After an error nothing of it has happened, unless the connection broke:
  // then it is kUnavailable, and the outcome is not known.
  Result<std::vector<Reply>> Run(const std::string& statements, std::stop_token stop,
                                 const Feed& feed = nullptr);
  // Prepares `statement` on first use under `name`; one round trip afterwards.
  Result<Reply> RunPrepared(const std::string& name, const std::string& statement,
                            const std::vector<Parameter>& parameters, std::stop_token stop);

  // SQLSTATE of the last error; empty when the server did not say.
  const std::string& state() const { return state_; }
  bool is_usable() const;
  // `host:port, database 'x'`
  const std::string& server() const { return server_; }

 private:
  Connection(const ConnectOptions& options, pg_conn* conn);
  Status AwaitConnected(std::stop_token stop);
  Status AwaitReadable(std::chrono::steady_clock::time_point deadline, const std::stop_token& stop,
                       bool or_writable = false);
  Status Flush(std::chrono::steady_clock::time_point deadline, const std::stop_token& stop);
  Status SendCopy(const Feed& feed, std::chrono::steady_clock::time_point deadline,
                  const std::stop_token& stop);
  Result<std::vector<Reply>> Collect(const Feed& feed, const std::stop_token& stop);
  Error Broken(std::string_view what);
  Error ServerError(const pg_result* result);

  const ConnectOptions options_;
  pg_conn* conn_;
  std::string server_;
  std::string state_;
  std::vector<std::string> prepared_;
  bool given_up_ = false;
};

// `"na""me"`.
std::string Quoted(std::string_view identifier);
// `'te''xt'`, for servers with standard_conforming_strings, as all of today's.
std::string Literal(std::string_view text);

}  // namespace sluice::connectors::postgres
