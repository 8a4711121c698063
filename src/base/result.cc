#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace sluice {
namespace {

ErrorCode CodeOfErrno(int errno_value) {
  switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
      return ErrorCode::kResourceExhausted;
    case ENOENT:
      return ErrorCode::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorCode::kPermissionDenied;
    case EEXIST:
      return ErrorCode::kAlreadyExists;
    case EISDIR:
    case ENOTDIR:
      return ErrorCode::kInvalidArgument;
    default:
      return ErrorCode::kUnavailable;
  }
}

}  // namespace

Error FromErrno(int errno_value, std::string what) {
  return Error(CodeOfErrno(errno_value), std::move(what) + ": " + std::strerror(errno_value));
}

}  // namespace sluice
