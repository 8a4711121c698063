#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/result.h"

// Matchers for Result and Status: EXPECT_THAT(r, IsOk()), EXPECT_THAT(r, IsError(ErrorCode::kNotFound,
// HasSubstr("x"))), ASSERT_OK_AND_ASSIGN(auto v, F()).
namespace sluice {

MATCHER(IsOk, negation ? "is an error" : "is OK") {
  if (!arg.ok()) *result_listener << "error: " << arg.error().ToString();
  return arg.ok();
}

MATCHER_P(IsErrorCode, code, "is an error with that code") {
  if (arg.ok()) {
    *result_listener << "is OK";
    return false;
  }
  *result_listener << InfoOf(arg.error().code()).name << ": " << arg.error().ToString();
  return arg.error().code() == code;
}

MATCHER_P2(IsError, code, message_matcher, "is an error with that code and message") {
  if (arg.ok()) {
    *result_listener << "is OK";
    return false;
  }
  *result_listener << InfoOf(arg.error().code()).name << ": " << arg.error().ToString();
  return arg.error().code() == code &&
         testing::Matches(testing::SafeMatcherCast<std::string>(message_matcher))(arg.error().ToString());
}

#define ASSERT_OK(expr) ASSERT_THAT((expr), ::sluice::IsOk())
#define EXPECT_OK(expr) EXPECT_THAT((expr), ::sluice::IsOk())
#define ASSERT_OK_AND_ASSIGN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                              \
  ASSERT_THAT(tmp, ::sluice::IsOk());             \
  lhs = std::move(tmp).value()
#define ASSERT_OK_AND_ASSIGN(lhs, expr) \
  ASSERT_OK_AND_ASSIGN_IMPL(SLUICE_CONCAT(sluice_test_, __LINE__), lhs, expr)

}  // namespace sluice
