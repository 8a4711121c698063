#include "cli/error_table.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "base/error.h"

namespace sluice::cli {
namespace {

std::string_view MeaningOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "The request itself is wrong: a manifest, an option, a query";
    case ErrorCode::kNotFound:
      return "No such dataset, source, block or file";
    case ErrorCode::kAlreadyExists:
      return "The name is taken";
    case ErrorCode::kConflict:
      return "Someone else committed in between, or the data do not fit the dataset's schema";
    case ErrorCode::kCommitUnknown:
      return "The outcome of a commit is not known; look at the head, then repeat";
    case ErrorCode::kCorruption:
      return "Stored bytes are not what they should be";
    case ErrorCode::kUnsupported:
      return "Understood, and refused";
    case ErrorCode::kUnauthenticated:
      return "No credentials, or bad ones";
    case ErrorCode::kPermissionDenied:
      return "Credentials without the right";
    case ErrorCode::kUnavailable:
      return "May work later: another writer holds the lock, a server is down";
    case ErrorCode::kTimeout:
      return "A deadline passed";
    case ErrorCode::kCancelled:
      return "Stopped by the user or by a shutdown; nothing was changed";
    case ErrorCode::kResourceExhausted:
      return "The disk is full, or a memory limit or quota is reached";
    case ErrorCode::kPrecondition:
      return "Compare-and-set: the source is not at the state that was named";
    case ErrorCode::kInvalidRecords:
      return "Records that do not fit the source";
    case ErrorCode::kTooLarge:
      return "Over a size limit";
    case ErrorCode::kUnsupportedMedia:
      return "A format that is not known here";
    case ErrorCode::kInternal:
      return "A defect of the program: please report it";
  }
  return "";
}

std::string_view GrpcName(int status) {
  constexpr std::array<std::string_view, 17> kNames = {
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  return kNames[static_cast<size_t>(status)];
}

}  // namespace

std::string ErrorTable() {
  std::string table = "| code | meaning | exit | HTTP | gRPC | repeat? |\n|---|---|---|---|---|---|\n";
  for (int i = 0; i < kErrorCodeCount; ++i) {
    const ErrorCodeInfo& info = InfoOf(static_cast<ErrorCode>(i));
    table += fmt::format("| `{}` | {} | {} | {} | {} {} | {} |\n", info.name, MeaningOf(info.code),
                         info.exit_code, info.http_status, info.grpc_status, GrpcName(info.grpc_status),
                         info.retryable ? "yes" : "no");
  }
  return table;
}

}  // namespace sluice::cli
