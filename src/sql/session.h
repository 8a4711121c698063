#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "sql/arrow_result.h"
#include "sql/arrow_scan.h"
#include "sql/engine.h"
#include "sql/handles.h"
#include "sql/watchdog.h"

namespace sluice::sql {

struct SessionOptions {
  Limits limits;
  bool fenced = true;
  bool truncate_integer_division = true;
  std::vector<std::string> allowed_paths;  // the only files a fenced session may read
  std::vector<std::string> setup;          // our own statements, run before the configuration is locked
};

// A statement that has been checked and planned.
struct Prepared {
  PreparedHandle handle;
  ResultShape shape;
  std::string source;                              // what the person wrote, for positions in messages
  std::vector<std::shared_ptr<ScanTable>> tables;  // what its results may point into
};

// A database in memory, its connections, and the tables over batches in it. Confined to one thread.
// The engine underneath knows encoded names only (`sql/names.h`).
class Session {
 public:
  static Result<std::unique_ptr<Session>> Open(const SessionOptions& options);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  // Runs a statement of our own.
  Status Execute(const std::string& statement);
  // Runs `SELECT function(text)` for one of the engine's text functions.
  Result<std::string> CallText(const char* function, const std::string& text);

  // Makes the table readable under `name`, replacing an earlier one.
  Status AddTable(const std::string& name, std::shared_ptr<ScanTable> table);
  Status AddView(const std::string& name, const std::string& select);
  // A table without a name; returns what to write after FROM.
  Result<std::string> AddHidden(std::shared_ptr<ScanTable> table);
  // The columns of a statement of our own, as the engine calls them.
  Result<std::vector<std::string>> ColumnNames(const std::string& select);

  // Plans a SELECT in the engine's own syntax. `source` is what the person wrote.
  Result<Prepared> Prepare(const std::string& select, std::string source, ErrorCode data_code);
  // Starts it. Errors in values carry `data_code`. Ends the result of an earlier call.
  Result<std::unique_ptr<QueryResult>> Start(const Prepared& prepared, const std::stop_token& stop,
                                             ErrorCode data_code);

 private:
  Session() = default;
  Status Configure(const SessionOptions& options);

  ScanRegistry registry_;
  Limits limits_;
  std::vector<std::shared_ptr<ScanTable>> tables_;
  Database database_;
  Connection
      converter_;  // settings for conversions, asked by the engine's threads while `connection_` is busy
  Connection connection_;
  PreparedHandle call_text_;
  std::string call_text_function_;
  std::unique_ptr<Watchdog> watchdog_;
};

}  // namespace sluice::sql
