#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sluice {

// Closed set of failures. A caller decides by code, a person reads the message.
// One table (`error.cc`) maps each code to its HTTP status, gRPC status and CLI exit code.
enum class ErrorCode {
  kInvalidArgument,    // the request itself is wrong: usage, manifest, option
  kNotFound,           // dataset, source, block, file
  kAlreadyExists,      // name taken
  kConflict,           // someone else committed, schema not compatible
  kCommitUnknown,      // the outcome of a commit is not known: do not clean up
  kCorruption,         // stored bytes are not what they should be
  kUnsupported,        // known, and refused
  kUnauthenticated,    // no or bad credentials
  kPermissionDenied,   // credentials without the right
  kUnavailable,        // may work later: lock held, server down
  kTimeout,            // a deadline passed
  kCancelled,          // the user or a shutdown stopped it
  kResourceExhausted,  // disk full, memory limit, quota
  kPrecondition,       // compare-and-set failed (412)
  kInvalidRecords,     // records that do not fit the source (422)
  kTooLarge,           // over a size limit (413)
  kUnsupportedMedia,   // unknown format (415)
  kInternal,           // a defect of ours
};

inline constexpr int kErrorCodeCount = static_cast<int>(ErrorCode::kInternal) + 1;

struct ErrorCodeInfo {
  ErrorCode code;
  std::string_view name;  // "invalid-argument"
  int http_status;
  int grpc_status;
  int exit_code;
  bool retryable;
};

// The table's row for `code`; total over the enum.
const ErrorCodeInfo& InfoOf(ErrorCode code);
inline bool IsRetryable(ErrorCode code) { return InfoOf(code).retryable; }

// A failure on its way up: code, message, and context added by each layer that knows more (dataset, source,
// file, record). Messages: lower case, no full stop, the offending value quoted.
class Error {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::vector<std::string>& context() const { return context_; }

  // Adds a line such as `dataset 'a'`; outermost last.
  Error&& With(std::string context) && {
    context_.push_back(std::move(context));
    return std::move(*this);
  }
  Error& With(std::string context) & {
    context_.push_back(std::move(context));
    return *this;
  }

  // Context from the outside in, then the message: `dataset 'a': file 'x.csv': line 3: ...`.
  std::string ToString() const;

 private:
  ErrorCode code_;
  std::string message_;
  std::vector<std::string> context_;
};

}  // namespace sluice
