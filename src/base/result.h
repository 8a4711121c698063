#pragma once

#include <fmt/core.h>

#include <tl/expected.hpp>
#include <utility>

#include "base/error.h"

namespace sluice {

// A value or an Error. Derived, not an alias, so that a dropped result is a compiler warning.
template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using Base = tl::expected<T, Error>;
  using Base::Base;
  Result(Error error) : Base(tl::unexpected<Error>(std::move(error))) {}  // NOLINT: implicit by design
  Result(Base base) : Base(std::move(base)) {}                            // NOLINT: implicit by design

  bool ok() const { return this->has_value(); }
};

template <>
class [[nodiscard]] Result<void> : public tl::expected<void, Error> {
 public:
  using Base = tl::expected<void, Error>;
  using Base::Base;
  Result(Error error) : Base(tl::unexpected<Error>(std::move(error))) {}  // NOLINT: implicit by design

  bool ok() const { return this->has_value(); }
};

using Status = Result<void>;

inline Status OkStatus() { return {}; }

template <class... Args>
Error MakeError(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return Error(code, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
Error InvalidArgument(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ErrorCode::kInvalidArgument, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
Error NotFound(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ErrorCode::kNotFound, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
Error Corruption(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ErrorCode::kCorruption, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
Error Unsupported(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ErrorCode::kUnsupported, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
Error Internal(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ErrorCode::kInternal, fmt::format(format, std::forward<Args>(args)...));
}

// `errno` text with a code that fits: ENOSPC/EDQUOT/EFBIG -> kResourceExhausted, ENOENT -> kNotFound,
// EACCES/EPERM -> kPermissionDenied, else kUnavailable. `what` names the call and the file.
Error FromErrno(int errno_value, std::string what);

}  // namespace sluice

#define SLUICE_CONCAT_INNER(a, b) a##b
#define SLUICE_CONCAT(a, b) SLUICE_CONCAT_INNER(a, b)

#define RETURN_IF_ERROR(expr)                               \
  do {                                                      \
    if (auto sluice_status = (expr); !sluice_status.ok()) { \
      return std::move(sluice_status).error();              \
    }                                                       \
  } while (false)

#define ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr)   \
  auto tmp = (expr);                            \
  if (!tmp.ok()) return std::move(tmp).error(); \
  lhs = std::move(tmp).value()

#define ASSIGN_OR_RETURN(lhs, expr) ASSIGN_OR_RETURN_IMPL(SLUICE_CONCAT(sluice_result_, __LINE__), lhs, expr)
