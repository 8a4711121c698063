#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "pipeline/field_path.h"

// Values of a JSON text as the pieces of it that they are: what is passed on stays as it was given.
namespace sluice::connectors::rest {

// A place in an answer or in an item: `topic_list.topics`, `tags[0]`, `"a.b".c`; `$.` may stand in front.
// Empty, `.` and `$` mean the whole.
struct JsonPath {
  std::vector<pipeline::FieldPath::Step> steps;
  std::string text;  // as written

  // Errors: kInvalidArgument quoting it.
  static Result<JsonPath> Parse(std::string_view text);
};

// What stands there; `json` is well-formed JSON. Nothing when the place is not there, or null.
std::optional<std::string_view> FindValue(std::string_view json, const JsonPath& path);
// The elements of a list; nothing when it is none.
std::optional<std::vector<std::string_view>> Elements(std::string_view json);
// The names of an object's members, at most ten: for error messages.
std::vector<std::string> MemberNames(std::string_view json);
// A text without quotes and escapes; numbers, lists and objects as they stand there. Nothing for a text that
// no UTF-8 can be made of.
std::optional<std::string> TextOf(std::string_view value);

}  // namespace sluice::connectors::rest
