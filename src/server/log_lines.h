#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace sluice::server {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

struct LogOptions {
  std::string file;  // empty = standard error
  LogLevel level = LogLevel::kInfo;
  bool is_json = false;  // else for people: `TIME level event name=value ...`
};

// What a node tells its operator, one event a line: time, level, name and the event's own members. Lines are
// written by a thread of its own, so that a slow disk or reader holds up nobody; what is too much is left
// out, and a line says how much. A file that was moved away is made anew within a second. Thread-safe.
class LogLines {
 public:
  virtual ~LogLines() = default;  // writes what waits
  // Errors: those of opening the file. `clock` must outlive it.
  static Result<std::unique_ptr<LogLines>> Open(const LogOptions& options, const Clock& clock);
  virtual bool is_on(LogLevel level) const = 0;
  // `members` is an object; its strings may hold anything.
  virtual void Write(LogLevel level, std::string_view event, const nlohmann::json& members) = 0;
};

// The line of an event, without its end. Exposed for tests.
std::string LogLine(const LogOptions& options, Instant time, LogLevel level, std::string_view event,
                    const nlohmann::json& members);

// A request target without what may be used by who reads it: upload tokens.
std::string WithoutSecrets(const std::string& target);

}  // namespace sluice::server
