#pragma once

#include <string_view>

namespace sluice::pipeline {

// Reasons of outcomes that others than people look at.

// Of kFailed: there is no room; it is for the sender to wait, as with a full queue.
inline constexpr std::string_view kSpoolIsFull = "the spool is full";

}  // namespace sluice::pipeline
