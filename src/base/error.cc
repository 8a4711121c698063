#include "base/error.h"

#include <array>

namespace sluice {
namespace {

// code, name, HTTP, gRPC, exit, retryable. Exit codes: 1 failure, 2 usage, 3 busy (lock or server), 4 changed
// underneath, 5 corruption, 6 out of space or memory, 7 outcome unknown, 8 invalid records, 130 interrupted.
constexpr std::array<ErrorCodeInfo, kErrorCodeCount> kTable = {{
    {ErrorCode::kInvalidArgument, "invalid-argument", 400, 3, 1, false},
    {ErrorCode::kNotFound, "not-found", 404, 5, 1, false},
    {ErrorCode::kAlreadyExists, "already-exists", 409, 6, 1, false},
    {ErrorCode::kConflict, "conflict", 409, 10, 4, false},
    {ErrorCode::kCommitUnknown, "commit-unknown", 503, 14, 7, true},
    {ErrorCode::kCorruption, "corruption", 500, 15, 5, false},
    {ErrorCode::kUnsupported, "unsupported", 400, 12, 1, false},
    {ErrorCode::kUnauthenticated, "unauthenticated", 401, 16, 1, false},
    {ErrorCode::kPermissionDenied, "permission-denied", 403, 7, 1, false},
    {ErrorCode::kUnavailable, "unavailable", 503, 14, 3, true},
    {ErrorCode::kTimeout, "timeout", 503, 4, 3, true},
    {ErrorCode::kCancelled, "cancelled", 503, 1, 130, false},
    {ErrorCode::kResourceExhausted, "resource-exhausted", 503, 8, 6, true},
    {ErrorCode::kPrecondition, "precondition", 412, 9, 4, false},
    {ErrorCode::kInvalidRecords, "invalid-records", 422, 3, 8, false},
    {ErrorCode::kTooLarge, "too-large", 413, 8, 1, false},
    {ErrorCode::kUnsupportedMedia, "unsupported-media", 415, 3, 1, false},
    {ErrorCode::kInternal, "internal", 500, 13, 1, false},
}};

}  // namespace

const ErrorCodeInfo& InfoOf(ErrorCode code) { return kTable[static_cast<size_t>(code)]; }

std::string Error::ToString() const {
  std::string text;
  for (auto it = context_.rbegin(); it != context_.rend(); ++it) {
    text += *it;
    text += ": ";
  }
  return text + message_;
}

}  // namespace sluice
