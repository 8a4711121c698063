#include "columnar/arrow_status.h"

namespace sluice::columnar {

Error FromArrowStatus(const arrow::Status& status) {
  const std::string& message = status.message();
  switch (status.code()) {
    case arrow::StatusCode::Invalid:
    case arrow::StatusCode::TypeError:
    case arrow::StatusCode::KeyError:
    case arrow::StatusCode::IndexError:
      return Error(ErrorCode::kInvalidArgument, message);
    case arrow::StatusCode::NotImplemented:
      return Error(ErrorCode::kUnsupported, message);
    case arrow::StatusCode::IOError:
      return Error(message.find("No space left") != std::string::npos ? ErrorCode::kResourceExhausted
                                                                      : ErrorCode::kUnavailable,
                   message);
    case arrow::StatusCode::OutOfMemory:
      return Error(ErrorCode::kResourceExhausted, "out of memory: " + message);
    case arrow::StatusCode::CapacityError:
      return Error(ErrorCode::kResourceExhausted, message);
    case arrow::StatusCode::Cancelled:
      return Error(ErrorCode::kCancelled, message);
    default:
      return Error(ErrorCode::kInternal, message);
  }
}

}  // namespace sluice::columnar
