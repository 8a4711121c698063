#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.h"
#include "base/result.h"

namespace sluice::columnar {

// A format for dates and times as manifests write them: with `%` as strftime does (`%m/%d/%Y %I:%M:%S %p`),
// else with letters as Java does (`dd/MM/yyyy HH:mm:ss`, text in quotes). English names; a year of two digits
// is 1970 to 2069. Immutable.
class TimePattern {
 public:
  // Errors: kInvalidArgument naming the part that is not understood, or a pattern without year, month and
  // day.
  static Result<std::shared_ptr<const TimePattern>> Parse(const std::string& pattern);

  // The whole of `text`. Without a zone in the pattern UTC is meant; parts of the time that are not in it are
  // zero.
  bool Read(std::string_view text, Instant* instant) const;

 private:
  enum class Part : uint8_t {
    kLiteral,
    kYear,
    kShortYear,
    kMonth,
    kMonthName,
    kDay,
    kDayOfYear,
    kWeekdayName,
    kHour,
    kHour12,
    kMinute,
    kSecond,
    kFraction,
    kHalf,
    kZone,
    kEpoch,
  };
  struct Step {
    Part part;
    int min_digits = 1;
    int max_digits = 2;
    std::string literal;
  };
  struct Fields;
  static Result<std::vector<Step>> ParseStrftime(const std::string& pattern);
  static Result<std::vector<Step>> ParseJava(const std::string& pattern);
  static void AddLiteral(std::vector<Step>* steps, char c);
  static bool ReadStep(const Step& step, std::string_view* rest, Fields* fields);

  std::vector<Step> steps_;
};

}  // namespace sluice::columnar
