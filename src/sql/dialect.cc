#include "sql/dialect.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <map>

#include "base/names.h"
#include "sql/names.h"

namespace sluice::sql {
namespace {

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

const std::array<Dialect, 3>& Table() {
  static const std::array<Dialect, 3> table = {
      Dialect{
          "datafusion", "df_", {false, false, "decimal(38, 10)"}, true, true, false, DatafusionFunctions()},
      Dialect{"spark", "sp_", {true, true, "decimal(10, 0)"}, false, false, true, SparkFunctions()},
      Dialect{"flink", "fl_", {true, false, "decimal(10, 0)"}, true, false, false, FlinkFunctions()},
  };
  return table;
}

constexpr std::string_view kWholeTypes =
    "('TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'UTINYINT', 'USMALLINT', 'UINTEGER', 'UBIGINT', 'HUGEINT')";

// What becomes of text that is cast to a whole number, `{0}`.
constexpr std::string_view kTextCut =
    "CASE WHEN NOT contains(lower(CAST(a AS VARCHAR)), 'e') THEN "
    "TRY_CAST(split_part(trim(CAST(a AS VARCHAR)), '.', 1) AS {0}) END";
constexpr std::string_view kTextRefused =
    "CASE WHEN contains(CAST(a AS VARCHAR), '.') OR contains(lower(CAST(a AS VARCHAR)), 'e') THEN "
    "error('could not convert text ''' || CAST(a AS VARCHAR) || ''' to {0}') ELSE CAST(a AS {0}) END";
constexpr std::string_view kTextNull =
    "CASE WHEN NOT contains(CAST(a AS VARCHAR), '.') AND NOT contains(lower(CAST(a AS VARCHAR)), 'e') THEN "
    "TRY_CAST(a AS {0}) END";

// Casts to whole numbers, which truncate where the engine rounds.
void AddWholeCasts(std::string_view text, std::string_view prefix, std::string_view cast,
                   std::vector<std::pair<std::string, std::string>>& out) {
  for (std::string_view type :
       {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}) {
    out.emplace_back(
        fmt::format("{}{}", prefix, Lower(type)),
        fmt::format(
            "(a) AS CASE WHEN typeof(a) IN ('DOUBLE', 'FLOAT') THEN {1}(trunc(TRY_CAST(a AS DOUBLE)) AS {0}) "
            "WHEN starts_with(typeof(a), 'DECIMAL') THEN {1}(split_part(CAST(a AS VARCHAR), '.', 1) AS {0}) "
            "WHEN starts_with(typeof(a), 'TIMESTAMP') THEN {1}(epoch_us(TRY_CAST(a AS TIMESTAMP)) // 1000000 "
            "AS {0}) "
            "WHEN typeof(a) = 'VARCHAR' THEN {2} ELSE {1}(a AS {0}) END",
            type, cast, fmt::format(fmt::runtime(text), type)));
  }
}

// The engine divides whole numbers by zero to NULL, and floats to infinities.
constexpr std::string_view kUnlessByZero =
    "(a, b) AS CASE WHEN typeof(a) NOT IN ('DOUBLE', 'FLOAT') AND typeof(b) NOT IN ('DOUBLE', 'FLOAT') "
    "AND b = 0 AND a IS NOT NULL THEN error('division by zero') ELSE a {} b END";

// Of a date that is cut short, such as `2020` or `2020-05`, the first day; other text as it is, without
// blanks around it.
constexpr std::string_view kFirstDay =
    "(a) AS CASE WHEN regexp_full_match(trim(a), '[0-9]{4,6}') THEN trim(a) || '-01-01' "
    "WHEN regexp_full_match(trim(a), '[0-9]{4,6}-[0-9]{1,2}') THEN trim(a) || '-01' ELSE trim(a) END";
// The day of a text, whatever time follows it; NULL where it begins with none.
constexpr std::string_view kTextToDate =
    "(a) AS CASE WHEN typeof(a) = 'VARCHAR' THEN TRY_CAST(regexp_extract(@first_day(CAST(a AS VARCHAR)), "
    "'^([0-9]{4,6}-[0-9]{1,2}-[0-9]{1,2})($|[ T])', 1) AS DATE) ELSE TRY_CAST(a AS DATE) END";

// Steps that several functions share. `typeof` is known when a statement is planned, so that one branch of
// each CASE remains; the others need only be well-formed, which TRY_CAST is for every type.
std::vector<std::pair<std::string, std::string>> SharedMacros(const Dialect& dialect) {
  std::vector<std::pair<std::string, std::string>> out;
  std::string cast = dialect.try_casts ? "TRY_CAST" : "CAST";
  AddWholeCasts(dialect.try_casts ? kTextCut : kTextRefused, "cast_", cast, out);
  if (!dialect.try_casts) AddWholeCasts(kTextNull, "try_cast_", "TRY_CAST", out);
  out.emplace_back("cast_varchar",
                   "(a) AS CASE WHEN typeof(a) = 'TIMESTAMP' THEN replace(CAST(a AS VARCHAR), ' ', 'T') "
                   "WHEN typeof(a) = 'TIMESTAMP WITH TIME ZONE' THEN replace(CAST(TRY_CAST(a AS TIMESTAMP) "
                   "AS VARCHAR), ' ', 'T') || "
                   "'Z' ELSE CAST(a AS VARCHAR) END");
  const std::string_view text =
      dialect.try_casts ? "WHEN typeof(a) = 'VARCHAR' THEN TRY_CAST(@first_day(CAST(a AS VARCHAR)) AS "
                          "TIMESTAMP WITH TIME ZONE) "
                        : "";
  out.emplace_back("instant", fmt::format("(a, m) AS CASE WHEN typeof(a) IN {} THEN "
                                          "make_timestamptz(TRY_CAST(a AS BIGINT) * m) WHEN typeof(a) IN "
                                          "('DOUBLE', 'FLOAT') OR starts_with(typeof(a), 'DECIMAL') THEN "
                                          "make_timestamptz(CAST(TRY_CAST(a AS DOUBLE) * m AS BIGINT)) "
                                          "{}ELSE {}(a AS TIMESTAMP WITH TIME ZONE) END",
                                          kWholeTypes, text, cast));
  if (dialect.try_casts) {
    out.emplace_back("first_day", kFirstDay);
    out.emplace_back("cast_date", kTextToDate);
    out.emplace_back("divide", "(a, b) AS a / nullif(b, 0)");
    out.emplace_back("remainder", "(a, b) AS a % nullif(b, 0)");
  } else {
    out.emplace_back("divide", fmt::format(fmt::runtime(kUnlessByZero), "//"));
    out.emplace_back("remainder", fmt::format(fmt::runtime(kUnlessByZero), "%"));
  }
  out.emplace_back("epoch", "(a) AS date_part('epoch', a)");
  // An instant cut to so many microseconds.
  out.emplace_back("cut", "(a, m) AS make_timestamptz(epoch_us(a) // m * m)");
  out.emplace_back("seconds", "(a) AS @instant(a, 1000000)");
  out.emplace_back(
      "path",
      fmt::format("(k) AS CASE WHEN typeof(k) IN {} THEN '$[' || CAST(k AS VARCHAR) || ']' ELSE '$.\"' || "
                  "replace(CAST(k AS VARCHAR), '\"', '\\\"') || '\"' END",
                  kWholeTypes));
  // A value inside JSON text, one step down; NULL where the text is not JSON or the value of another kind.
  out.emplace_back("get",
                   "(j, k) AS CASE WHEN json_valid(j) THEN CAST(json_extract(j, @path(k)) AS VARCHAR) END");
  out.emplace_back("text", "(j, k) AS CASE WHEN json_valid(j) THEN json_extract_string(j, @path(k)) END");
  struct JsonKind {
    std::string_view name, types, target;
  };
  for (const JsonKind& kind :
       {JsonKind{"str", "'VARCHAR'", "VARCHAR"}, JsonKind{"int", "'BIGINT', 'UBIGINT'", "BIGINT"},
        JsonKind{"float", "'DOUBLE', 'BIGINT', 'UBIGINT'", "DOUBLE"},
        JsonKind{"bool", "'BOOLEAN'", "BOOLEAN"}}) {
    out.emplace_back(
        kind.name,
        fmt::format("(j, k) AS CASE WHEN json_valid(j) THEN CASE WHEN json_type(j, @path(k)) IN ({}) THEN "
                    "CAST(json_extract_string(j, @path(k)) AS {}) END END",
                    kind.types, kind.target));
  }
  out.emplace_back(
      "width", "(n) AS CASE WHEN n > 100000 THEN error('a width above 100000') ELSE CAST(n AS INTEGER) END");
  out.emplace_back(
      "from_base64",
      "(a) AS from_base64(CAST(a AS VARCHAR) || repeat('=', (4 - strlen(CAST(a AS VARCHAR)) % 4) % 4))");
  return out;
}

// `@name` -> `__sl_df_name`.
std::string Expand(const Dialect& dialect, std::string_view body) {
  std::string out;
  for (char c : body) {
    if (c == '@') {
      out += MacroName(dialect, "");
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::span<const Dialect> AllDialects() { return Table(); }

const DialectFunction* Dialect::Find(std::string_view lower_name) const {
  auto found = std::find_if(functions.begin(), functions.end(), [&](const DialectFunction& function) {
    return Lower(function.name) == lower_name;
  });
  return found == functions.end() ? nullptr : &*found;
}

Result<const Dialect*> FindDialect(std::string_view engine) {
  std::string lower = Lower(engine);
  std::vector<std::string> names;
  for (const Dialect& dialect : Table()) {
    if (dialect.name == lower) return &dialect;
    names.emplace_back(dialect.name);
  }
  return InvalidArgument("no engine '{}'; engines are {}", engine, JoinNames(names));
}

std::string MacroName(const Dialect& dialect, std::string_view name) {
  return fmt::format("{}{}{}", kMacroPrefix, dialect.prefix, name);
}

std::vector<std::string> MacrosFor(const Dialect& dialect, const std::set<std::string>& used) {
  std::map<std::string, std::string> bodies;
  for (const auto& [name, body] : SharedMacros(dialect))
    bodies[MacroName(dialect, name)] = Expand(dialect, body);
  for (const DialectFunction& function : dialect.functions) {
    if (!function.macro.empty()) bodies[MacroName(dialect, function.name)] = Expand(dialect, function.macro);
  }
  std::vector<std::string> out;
  std::set<std::string> done;
  // What a macro calls is created before it.
  std::function<void(const std::string&)> add = [&](const std::string& name) {
    auto found = bodies.find(name);
    if (found == bodies.end() || !done.insert(name).second) return;
    const std::string& body = found->second;
    std::string lead = MacroName(dialect, "");
    for (size_t at = body.find(lead); at != std::string::npos; at = body.find(lead, at + 1)) {
      add(body.substr(at, body.find('(', at) - at));
    }
    out.push_back(fmt::format("CREATE OR REPLACE MACRO {}{}", name, body));
  };
  for (const std::string& name : used) add(name);
  return out;
}

Error UnknownFunction(const Dialect& dialect, std::string_view name) {
  std::vector<std::string> names;
  for (const DialectFunction& function : dialect.functions) names.emplace_back(function.name);
  std::vector<std::string> near = NearNames(name, names);
  std::string hint = near.empty() ? std::string() : fmt::format("; near names: {}", JoinNames(near));
  return Unsupported("engine '{}' has no function '{}' here{}", dialect.name, name, hint);
}

Result<std::string> FromJavaFormat(std::string_view pattern) {
  struct Letter {
    char letter;
    size_t least;
    std::string_view format;
  };
  // The longest run that fits wins; reading takes one digit or two whichever is written.
  static constexpr auto kLetters = std::to_array<Letter>({
      {'y', 3, "%Y"},  {'y', 2, "%y"},  {'y', 1, "%Y"},  {'u', 1, "%Y"},  {'M', 4, "%B"},  {'M', 3, "%b"},
      {'M', 2, "%m"},  {'M', 1, "%-m"}, {'L', 4, "%B"},  {'L', 3, "%b"},  {'L', 2, "%m"},  {'d', 2, "%d"},
      {'d', 1, "%-d"}, {'H', 2, "%H"},  {'H', 1, "%-H"}, {'h', 2, "%I"},  {'h', 1, "%-I"}, {'m', 2, "%M"},
      {'m', 1, "%-M"}, {'s', 2, "%S"},  {'s', 1, "%-S"}, {'S', 7, "%n"},  {'S', 4, "%f"},  {'S', 1, "%g"},
      {'a', 1, "%p"},  {'E', 4, "%A"},  {'E', 1, "%a"},  {'D', 1, "%-j"}, {'X', 1, "%z"},  {'x', 1, "%z"},
      {'Z', 1, "%z"},  {'z', 1, "%Z"},
  });
  std::string out;
  for (size_t i = 0; i < pattern.size();) {
    char c = pattern[i];
    if (c == '\'') {
      size_t close = pattern.find('\'', i + 1);
      if (close == std::string_view::npos)
        return InvalidArgument("date pattern '{}' has an open quote", pattern);
      out += close == i + 1 ? "'" : std::string(pattern.substr(i + 1, close - i - 1));
      i = close + 1;
      continue;
    }
    size_t run = i;
    while (run < pattern.size() && pattern[run] == c) ++run;
    if (std::isalpha(static_cast<unsigned char>(c)) == 0) {
      for (; i < run; ++i) out += c == '%' ? "%%" : std::string(1, c);
      continue;
    }
    auto found = std::find_if(kLetters.begin(), kLetters.end(), [&](const Letter& letter) {
      return letter.letter == c && run - i >= letter.least;
    });
    if (found == kLetters.end())
      return Unsupported("letter '{}' of date pattern '{}' is not known", c, pattern);
    out += found->format;
    i = run;
  }
  return out;
}

std::string FromChronoFormat(std::string_view pattern) {
  std::string out;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%' || i + 1 >= pattern.size()) {
      out += pattern[i];
      continue;
    }
    char c = pattern[++i];
    switch (c) {
      case 'F':
        out += "%Y-%m-%d";
        break;
      case 'T':
        out += "%H:%M:%S";
        break;
      case 'D':
        out += "%m/%d/%y";
        break;
      case 'R':
        out += "%H:%M";
        break;
      case 'e':
        out += "%-d";
        break;
      case 'k':
        out += "%-H";
        break;
      case 'l':
        out += "%-I";
        break;
      case 'h':
        out += "%b";
        break;
      case 'P':
        out += "%p";
        break;
      case ':':
        out += '%';
        break;
      case '.':
        // `%.f`, `%.3f`: a point and the fraction.
        while (i + 1 < pattern.size() && std::isdigit(static_cast<unsigned char>(pattern[i + 1])) != 0) ++i;
        out += ".%";
        break;
      default:
        out += '%';
        out += c;
    }
  }
  return out;
}

}  // namespace sluice::sql
