#include "connectors/postgres/connection.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "base/cancel.h"

namespace sluice::connectors::postgres {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How long a stop request may go unseen.
constexpr milliseconds kGlance{50};
// The server ends its statements by itself; ours is the limit for a server that is gone.
constexpr milliseconds kGrace{5'000};
constexpr size_t kPieceBytes = 256 << 10;

// The first line: the server adds where in its source it stood.
std::string FirstLine(std::string_view text) {
  while (text.starts_with('\n')) text.remove_prefix(1);
  std::string line(text.substr(0, text.find('\n')));
  while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back()))) line.pop_back();
  return line;
}

bool IsState(std::string_view text) {
  return text.size() == 5 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
         });
}

// `...: FATAL:  28P01: password ...` -> `28P01`; the last one when several hosts were tried.
std::string StateIn(std::string_view text) {
  std::string state;
  for (size_t at = text.find(':'); at != std::string_view::npos; at = text.find(':', at + 1)) {
    size_t start = at + 1;
    while (start < text.size() && text[start] == ' ') ++start;
    if (start + 5 < text.size() && text[start + 5] == ':' && IsState(text.substr(start, 5)))
      state = text.substr(start, 5);
  }
  return state;
}

// What a trigger or another function of the table's owner says of a row: RAISE gives P0001, or a code of its
// own choice, for which the classes from I on are free.
bool IsOfRoutine(std::string_view group) {
  constexpr std::array<std::string_view, 7> kRoutines = {"09", "21", "27", "2F", "38", "39", "44"};
  return std::find(kRoutines.begin(), kRoutines.end(), group) != kRoutines.end() ||
         (!group.empty() && group.front() >= 'I' && group != "XX");
}

ErrorCode CodeOfState(std::string_view state) {
  const std::string_view group = state.substr(0, 2);
  if (group == "28") return ErrorCode::kUnauthenticated;
  if (group == "3D" || group == "3F" || state == "42P01") return ErrorCode::kNotFound;
  if (state == "42501") return ErrorCode::kPermissionDenied;
  if (state == "57014" || state == "55P03") return ErrorCode::kTimeout;
  if (group == "53") return ErrorCode::kResourceExhausted;
  if (group == "08" || group == "57" || group == "58" || group == "40" || state == "25006")
    return ErrorCode::kUnavailable;
  if (group == "22" || group == "23" || group == "54" || IsOfRoutine(group))
    return ErrorCode::kInvalidRecords;
  if (group == "42") return ErrorCode::kPrecondition;
  return ErrorCode::kUnavailable;
}

std::string Text(const char* text) { return text == nullptr ? std::string() : std::string(text); }

std::string ServerOf(const PGconn* conn) {
  return fmt::format("{}:{}, database '{}'", Text(PQhost(conn)), Text(PQport(conn)), Text(PQdb(conn)));
}

}  // namespace

void FreeResult::operator()(pg_result* result) const { PQclear(result); }

std::string Quoted(std::string_view identifier) {
  std::string quoted = "\"";
  for (const char c : identifier) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + '"';
}

std::string Literal(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "''" : std::string(1, c);
  return quoted + '\'';
}

Connection::Connection(const ConnectOptions& options, pg_conn* conn) : options_(options), conn_(conn) {}

Connection::~Connection() { PQfinish(conn_); }

bool Connection::is_usable() const { return !given_up_ && PQstatus(conn_) == CONNECTION_OK; }

Error Connection::Broken(std::string_view what) {
  const std::string message = FirstLine(Text(PQerrorMessage(conn_)));
  given_up_ = true;
  return MakeError(ErrorCode::kUnavailable, "{}: {}: {}", server_, what,
                   message.empty() ? "the connection is gone" : message);
}

Error Connection::ServerError(const pg_result* result) {
  state_ = Text(PQresultErrorField(result, PG_DIAG_SQLSTATE));
  std::string message = Text(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
  if (message.empty()) message = FirstLine(Text(PQresultErrorMessage(result)));
  if (message.empty()) message = FirstLine(Text(PQerrorMessage(conn_)));
  const std::string detail = Text(PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL));
  if (!detail.empty()) message += " (" + detail + ")";
  if (state_.empty()) given_up_ = true;  // libpq's own: the connection is gone
  ErrorCode code = state_.empty() ? ErrorCode::kUnavailable : CodeOfState(state_);
  // A policy that refuses one row has the code of a right that is missing, and its text may be in any
  // language.
  if (code == ErrorCode::kPermissionDenied &&
      Text(PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION)) == "ExecWithCheckOptions")
    code = ErrorCode::kInvalidRecords;
  return Error(code, server_ + ": " + message);
}

Result<std::unique_ptr<Connection>> Connection::Open(const ConnectOptions& options, std::stop_token stop) {
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parsed(
      PQconninfoParse(options.uri.c_str(), nullptr), &PQconninfoFree);
  // What libpq says about it may quote the password.
  if (!parsed)
    return InvalidArgument(
        "not a connection text of PostgreSQL: write postgres://USER:PASSWORD@HOST:PORT/DATABASE with "
        "percent-encoded parts, or key=value pairs");
  // What stands before the text is a default, what stands behind it holds always.
  const char* const names[] = {
      "fallback_application_name", "tcp_user_timeout", "keepalives_idle", "keepalives_interval",
      "keepalives_count",          "dbname",           "client_encoding", nullptr};
  const char* const values[] = {"sluice", "30000", "10", "5", "3", options.uri.c_str(), "UTF8", nullptr};
  PGconn* conn = PQconnectStartParams(names, values, 1);
  if (conn == nullptr) return Error(ErrorCode::kResourceExhausted, "out of memory");
  auto connection = std::unique_ptr<Connection>(new Connection(options, conn));
  // libpq would print what the server remarks to the standard error output.
  PQsetNoticeReceiver(conn, [](void*, const PGresult*) {}, nullptr);
  PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
  RETURN_IF_ERROR(connection->AwaitConnected(stop));
  PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
  connection->server_ = ServerOf(conn);
  if (PQsetnonblocking(conn, 1) != 0) return connection->Broken("cannot connect");
  const std::string statements =
      !options.set_up.empty()
          ? options.set_up
          : fmt::format(
                "SET TIME ZONE 'UTC'; SET client_min_messages = error; "
                "SET default_transaction_isolation = 'read committed'; SET statement_timeout = {}; "
                "SELECT set_config('synchronous_commit', 'on', false) "
                "WHERE current_setting('synchronous_commit') = 'off'",
                options.timeout.count());
  auto set_up = connection->Run(statements, stop);
  if (!set_up.ok()) return std::move(set_up).error();
  return connection;
}

Status Connection::AwaitConnected(std::stop_token stop) {
  const auto deadline = steady_clock::now() + options_.connect_timeout;
  PostgresPollingStatusType next = PGRES_POLLING_WRITING;
  while (PQstatus(conn_) != CONNECTION_BAD && next != PGRES_POLLING_OK && next != PGRES_POLLING_FAILED) {
    RETURN_IF_ERROR(CheckCancelled(stop));
    if (steady_clock::now() > deadline)
      return MakeError(ErrorCode::kTimeout, "{}: no connection within {} ms", ServerOf(conn_),
                       options_.connect_timeout.count());
    pollfd socket{.fd = PQsocket(conn_),
                  .events = static_cast<short>(next == PGRES_POLLING_READING ? POLLIN : POLLOUT),
                  .revents = 0};
    if (::poll(&socket, 1, static_cast<int>(kGlance.count())) == 0) continue;
    next = PQconnectPoll(conn_);
  }
  if (PQstatus(conn_) == CONNECTION_OK) return {};
  const std::string message = Text(PQerrorMessage(conn_));
  state_ = StateIn(message);
  ErrorCode code = state_.empty() ? ErrorCode::kUnavailable : CodeOfState(state_);
  if (PQconnectionNeedsPassword(conn_) != 0) code = ErrorCode::kUnauthenticated;
  if (state_.empty() && (message.find("certificate") != std::string::npos ||
                         message.find("does not support SSL") != std::string::npos)) {
    code = ErrorCode::kPermissionDenied;
  }
  if (code == ErrorCode::kPrecondition || code == ErrorCode::kInvalidRecords) code = ErrorCode::kUnavailable;
  return Error(code, ServerOf(conn_) + ": " + FirstLine(message));
}

Status Connection::AwaitReadable(steady_clock::time_point deadline, const std::stop_token& stop,
                                 bool or_writable) {
  while (true) {
    if (stop.stop_requested()) {
      given_up_ = true;
      return CheckCancelled(stop);
    }
    if (steady_clock::now() > deadline) {
      given_up_ = true;
      return MakeError(ErrorCode::kTimeout, "{}: no answer within {} ms", server_, options_.timeout.count());
    }
    pollfd socket{.fd = PQsocket(conn_),
                  .events = static_cast<short>(or_writable ? POLLIN | POLLOUT : POLLIN),
                  .revents = 0};
    if (::poll(&socket, 1, static_cast<int>(kGlance.count())) == 0) continue;
    if ((socket.revents & ~POLLOUT) != 0 && PQconsumeInput(conn_) == 0) return Broken("reading");
    return {};
  }
}

Status Connection::Flush(steady_clock::time_point deadline, const std::stop_token& stop) {
  while (true) {
    const int left = PQflush(conn_);
    if (left < 0) return Broken("writing");
    if (left == 0) return {};
    RETURN_IF_ERROR(AwaitReadable(deadline, stop, /*or_writable=*/true));
  }
}

Status Connection::SendCopy(const Feed& feed, steady_clock::time_point deadline,
                            const std::stop_token& stop) {
  std::string piece;
  while (true) {
    piece.clear();
    if (feed) RETURN_IF_ERROR(feed(&piece));
    if (piece.empty()) break;
    for (size_t at = 0; at < piece.size();) {
      const size_t n = std::min(kPieceBytes, piece.size() - at);
      const int sent = PQputCopyData(conn_, piece.data() + at, static_cast<int>(n));
      if (sent < 0) return Broken("writing");
      if (sent == 0) {
        RETURN_IF_ERROR(AwaitReadable(deadline, stop, /*or_writable=*/true));
        continue;
      }
      at += n;
    }
    // Keeps libpq's own buffer small.
    RETURN_IF_ERROR(Flush(deadline, stop));
  }
  while (true) {
    const int sent = PQputCopyEnd(conn_, nullptr);
    if (sent < 0) return Broken("writing");
    if (sent > 0) break;
    RETURN_IF_ERROR(AwaitReadable(deadline, stop, /*or_writable=*/true));
  }
  return Flush(deadline, stop);
}

// Everything the server says until it is ready again; the first error is the call's.
Result<std::vector<Reply>> Connection::Collect(const Feed& feed, const std::stop_token& stop) {
  const auto deadline = steady_clock::now() + options_.timeout + kGrace;
  state_.clear();
  RETURN_IF_ERROR(Flush(deadline, stop));
  std::vector<Reply> replies;
  std::optional<Error> first;
  while (true) {
    while (PQisBusy(conn_) != 0) RETURN_IF_ERROR(AwaitReadable(deadline, stop));
    Reply reply(PQgetResult(conn_));
    if (!reply) break;
    switch (PQresultStatus(reply.get())) {
      case PGRES_COPY_IN: {
        if (Status sent = SendCopy(feed, deadline, stop); !sent.ok()) {
          // Half a COPY cannot be taken back in this session.
          given_up_ = true;
          return std::move(sent).error();
        }
        continue;
      }
      case PGRES_COMMAND_OK:
      case PGRES_TUPLES_OK:
        replies.push_back(std::move(reply));
        continue;
      default: {
        Error error = ServerError(reply.get());
        if (!first) first = std::move(error);
      }
    }
    if (given_up_) break;
  }
  if (first) {
    if (PQstatus(conn_) != CONNECTION_OK) given_up_ = true;
    // An administrator ended the session: whatever it says, it is gone.
    if (state_.starts_with("57P")) given_up_ = true;
    return std::move(*first);
  }
  return replies;
}

Result<std::vector<Reply>> Connection::Run(const std::string& statements, std::stop_token stop,
                                           const Feed& feed) {
  if (!is_usable()) return Broken("not connected");
  if (PQsendQuery(conn_, statements.c_str()) == 0) return Broken("writing");
  return Collect(feed, stop);
}

Result<Reply> Connection::RunPrepared(const std::string& name, const std::string& statement,
                                      const std::vector<Parameter>& parameters, std::stop_token stop) {
  if (!is_usable()) return Broken("not connected");
  if (std::find(prepared_.begin(), prepared_.end(), name) == prepared_.end()) {
    std::vector<Oid> types;
    for (const Parameter& parameter : parameters) types.push_back(parameter.type);
    if (PQsendPrepare(conn_, name.c_str(), statement.c_str(), static_cast<int>(types.size()), types.data()) ==
        0) {
      return Broken("writing");
    }
    auto prepared = Collect(nullptr, stop);
    if (!prepared.ok()) return std::move(prepared).error();
    prepared_.push_back(name);
  }
  std::vector<const char*> values;
  std::vector<int> lengths;
  for (const Parameter& parameter : parameters) {
    values.push_back(parameter.bytes.data());
    lengths.push_back(static_cast<int>(parameter.bytes.size()));
  }
  const std::vector<int> formats(parameters.size(), 1);
  if (PQsendQueryPrepared(conn_, name.c_str(), static_cast<int>(values.size()), values.data(), lengths.data(),
                          formats.data(), 0) == 0) {
    return Broken("writing");
  }
  ASSIGN_OR_RETURN(auto replies, Collect(nullptr, stop));
  if (replies.size() != 1) return Broken("no answer to a statement");
  return std::move(replies.front());
}

}  // namespace sluice::connectors::postgres
