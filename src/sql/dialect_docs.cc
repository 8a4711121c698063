#include <fmt/format.h>

#include <array>

#include "sql/dialect.h"
#include "sql/preprocess.h"

namespace sluice::sql {
namespace {

std::string Cell(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string_view KindTitle(FunctionKind kind) {
  switch (kind) {
    case FunctionKind::kScalar:
      return "Functions of one row";
    case FunctionKind::kAggregate:
      return "Aggregates";
    case FunctionKind::kWindow:
      return "Windows (aggregates can be used with `OVER`, too)";
    case FunctionKind::kTable:
      return "Tables";
  }
  return "";
}

void AddTable(const Dialect& dialect, FunctionKind kind, std::string& out) {
  std::string rows;
  for (const DialectFunction& function : dialect.functions) {
    if (function.kind != kind) continue;
    std::string_view value = function.value == "*" ? "" : function.value;
    rows += fmt::format("| `{}` | `{}` | {} | {} |\n", function.name, Cell(function.example),
                        Cell(function.type), value.empty() ? std::string() : "`" + Cell(value) + "`");
  }
  if (rows.empty()) return;
  out += fmt::format("\n### {}\n\n| function | example | type | value |\n|---|---|---|---|\n{}",
                     KindTitle(kind), rows);
}

constexpr std::string_view kIntroduction = R"(# SQL in manifests

Generated from the tables in `src/sql`; a test holds this page and the tables together, and another runs every example.

A preprocess query reads the table `input` and is one `SELECT`, or several steps of which all but the last have an alias that later
steps can read. It runs fenced: no file, network, extension or setting is within reach, and memory and time are limited.
Names keep their case, quoted or not: `MIXed` and `mixED` are two columns. Reserved words can be columns where nothing else can
stand (`select to, hash`, `event.from as from`). Times are UTC. A function that is not listed for the manifest's engine is refused
when the source is added.

A preprocess query refuses columns of Float16 and of decimals with more than 38 digits. `sluice sql` reads the former as floats, and answers
what does not ask for values of the latter.

A column of the result is required when it is a bare reference to a required column or a literal; every other one is optional.
)";

std::string_view Rules(std::string_view engine) {
  if (engine == "datafusion") {
    return R"(
- Whole literals are Int64; `1.5` is a double. Sums of whole numbers are Int64, and overflow is an error.
- `/` of whole numbers truncates; a cast from a float or decimal to a whole number truncates; text with a fraction does not become a
  whole number. `try_cast` does the same, with NULL where a cast is an error.
- Whole numbers and decimals divided by zero are an error (`/` and `%`). A float divided by zero gives NULL, where DataFusion gives an
  infinity or NaN.
- `cast(x as timestamp)` takes offsets in text into account; `timestamp(3)` and `timestamp(0)` cut to milliseconds and seconds, in a
  column of microseconds. `extract(epoch from x)` is a double, every other part an Int32. `DECIMAL` alone is `DECIMAL(38, 10)`. `BIGINT UNSIGNED` and its kin work.
- `->` and `->>` read JSON in text; text that is not JSON gives NULL.
- `~` finds a pattern anywhere.
- `cast(t as varchar)` writes an instant as RFC 3339 does (`2020-01-01T00:00:00.5Z`); `t || ''` and `concat(t)` write it as the database
  does (`2020-01-01 00:00:00.5+00`), where DataFusion writes the former. Cast it first.
- `eth_decode_event(signature, topic0, ..., topic3, data)` takes a log's topics and data as bytes and gives JSON with `name` and the
  event's parameters: integers up to 64 bits as numbers, wider ones as text in decimal digits, addresses and bytes as hexadecimal
  text without a prefix. A log of another event is an error, with `eth_try_decode_event` NULL.
)";
  }
  if (engine == "spark") {
    return R"(
- Names in back-ticks; text in single or double quotes, with `\` escapes.
- `/` gives a double, and NULL when it is by zero. Literals are Int32 and decimals. A cast that fails gives NULL; a number cast to a timestamp is in seconds.
- Text cast to a date or timestamp may be cut short: `2020` is 2020-01-01, `2020-05` is 2020-05-01. A date takes no notice of what follows a blank or a `T`.
- Date patterns are Java's and must be literals.
- Geometries are GeoJSON text. `ST_Transform(geometry, from, to)` takes coordinate systems by code (`epsg:3157`); x is always east
  or longitude. Grids that a system may have installed are used where PROJ finds them; the network is not asked.
)";
  }
  return R"(
- Names in back-ticks or double quotes. `/` of whole numbers truncates, and by zero is an error (of a float: NULL); a cast to a whole
  number truncates. `CAST(x AS TIMESTAMP(3))` cuts to milliseconds.
- Date patterns are Java's and must be literals.
)";
}

}  // namespace

std::string DialectMarkdown() {
  std::string out(kIntroduction);
  for (const Dialect& dialect : AllDialects()) {
    out += fmt::format("\n## Engine `{}`\n{}", dialect.name, Rules(dialect.name));
    for (FunctionKind kind :
         {FunctionKind::kScalar, FunctionKind::kAggregate, FunctionKind::kWindow, FunctionKind::kTable}) {
      AddTable(dialect, kind, out);
    }
  }
  return out;
}

}  // namespace sluice::sql
