#pragma once

#include <bitset>
#include <optional>
#include <string>
#include <string_view>

#include "base/instant.h"
#include "base/result.h"

namespace sluice::poll {

// A cron expression: minute, hour, day of month, month, day of week, each `*`, values, ranges, steps, lists;
// names of months and days; `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. Times are UTC. As in cron,
// when both kinds of day are given either will do. A value.
class Cron {
 public:
  // Errors: kInvalidArgument naming the field; also for times that never come, such as 30 February.
  static Result<Cron> Parse(std::string_view text);
  // The first time after `time`.
  Instant NextAfter(Instant time) const;

 private:
  std::optional<Instant> Find(Instant time) const;

  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;  // 1..31
  std::bitset<13> months_;
  std::bitset<7> weekdays_;  // 0 = Sunday
  bool any_day_ = false, any_weekday_ = false;
};

}  // namespace sluice::poll
