#include "sql/size_guards.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "sql/tree_internal.h"

namespace sluice::sql {
namespace {

using nlohmann::json;

struct SizeGuard {
  std::string_view function;
  size_t argument;  // the one that is replaced by a call of `macro`
  std::string_view macro;
  bool takes_all = false;  // the macro sees all of the arguments, else this one only
};
constexpr auto kGuards = std::to_array<SizeGuard>({
    {"repeat", 1, "__sl_fence_times", true},
    {"lpad", 1, "__sl_fence_size"},
    {"rpad", 1, "__sl_fence_size"},
    {"list_resize", 1, "__sl_fence_size"},
    {"array_resize", 1, "__sl_fence_size"},
    {"printf", 0, "__sl_fence_printf"},
    {"format", 0, "__sl_fence_format"},
    {"range", 0, "__sl_fence_series", true},
    {"generate_series", 0, "__sl_fence_series", true},
});

}  // namespace

std::vector<std::string> SizeGuardMacros() {
  // `least` because a value that is not the same each time is asked for twice.
  return {
      "CREATE MACRO __sl_fence_size(n) AS CASE WHEN n IS NULL THEN NULL WHEN n > 100000 "
      "THEN error('a query makes no text or list of more than 100000') ELSE least(n, 100000) END",
      "CREATE MACRO __sl_fence_times(a, n) AS CASE WHEN n IS NULL THEN NULL "
      "WHEN n > 100000 // greatest(strlen(CAST(a AS VARCHAR)), 1) "
      "THEN error('repeat: more than 100000 bytes') ELSE least(n, 100000) END",
      R"(CREATE MACRO __sl_fence_printf(f) AS CASE WHEN regexp_matches(f, '%[-+ #0-9.]*(\*|[0-9]{6})') )"
      "THEN error('printf: a width of more than five digits, or given as an argument') ELSE f END",
      R"(CREATE MACRO __sl_fence_format(f) AS CASE WHEN regexp_matches(f, '\{[^:}]*:[^}]*(\{|[0-9]{6})') )"
      "THEN error('format: a width of more than five digits, or given as an argument') ELSE f END",
      "CREATE MACRO __sl_fence_series_size(n, a) AS CASE WHEN n > 100000 THEN error("
      "'a query makes no list of more than 100000 values; FROM range(...) has no such limit') ELSE a END",
      // A number, a date or an interval: which of them is not known before the statement is planned.
      "CREATE MACRO __sl_fence_number(x) AS coalesce(TRY_CAST(CAST(x AS VARCHAR) AS DOUBLE), "
      "epoch(TRY_CAST(CAST(x AS VARCHAR) AS TIMESTAMP)), epoch(TRY_CAST(CAST(x AS VARCHAR) AS INTERVAL)))",
      "CREATE MACRO __sl_fence_series(a) AS __sl_fence_series_size(a, a), "
      "(a, b) AS __sl_fence_series_size(b - a, a), "
      "(a, b, c) AS __sl_fence_series_size((__sl_fence_number(b) - __sl_fence_number(a)) / "
      "nullif(__sl_fence_number(c), 0), a)",
  };
}

void GuardSize(json& call, const std::string& name) {
  const auto guard = std::find_if(kGuards.begin(), kGuards.end(),
                                  [&](const SizeGuard& one) { return one.function == name; });
  json& arguments = call["children"];
  if (guard == kGuards.end() || arguments.size() <= guard->argument) return;
  json checked = guard->takes_all ? arguments : json::array({arguments[guard->argument]});
  for (json& argument : checked) argument["alias"] = "";
  arguments[guard->argument] = MakeCall(std::string(guard->macro), std::move(checked));
}

}  // namespace sluice::sql
