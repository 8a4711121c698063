#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sql/normalise.h"

// The dialects of manifests as tables (decisions.md 9). One row per function: what it is here, an example,
// and the type and value the example gives. The rewriter, the checks of a manifest, docs/dialect.md and the
// test that pins every row read the same rows.
namespace sluice::sql {

enum class FunctionKind { kScalar, kAggregate, kWindow, kTable };

// Calls whose arguments are rewritten before the engine sees them.
enum class CallRewrite {
  kNone,
  kChronoFormat,  // formats of strftime from the second argument on, extended specifiers spelled out
  kJavaFormat,    // the last of two arguments is a Java date pattern
  kNullConcat,    // NULL when any argument is
  kNamedStruct,   // 'name', value, ... pairs
  kArrowCast,     // the second argument names an Arrow type
  kDatePart,      // the first argument may be 'epoch', of which the fraction stays
};

struct DialectFunction {
  std::string_view name;
  FunctionKind kind;
  std::string_view native;  // the engine's function, when it is the same thing
  std::string_view macro;   // else one overload, or several, as in CREATE MACRO: `(a) AS ..., (a, b) AS ...`
  std::string_view example;
  std::string_view type;   // of the example's column, as Arrow prints it
  std::string_view value;  // "*" when it differs from run to run
  CallRewrite rewrite = CallRewrite::kNone;
};

struct Dialect {
  std::string_view name;
  std::string_view prefix;  // of its macros: `__sl_` + prefix
  LexRules lex;
  bool truncate_integer_division;
  bool wide_literals;  // 1 is Int64, 1.5 a double; else as in the engine: Int32 and decimal
  bool try_casts;      // a cast that fails gives NULL, and so does a division by zero
  std::span<const DialectFunction> functions;

  const DialectFunction* Find(std::string_view lower_name) const;
};

// Errors: kInvalidArgument for a name that no engine has, listing those there are.
Result<const Dialect*> FindDialect(std::string_view engine);

std::span<const Dialect> AllDialects();
std::span<const DialectFunction> DatafusionFunctions();
std::span<const DialectFunction> SparkFunctions();
std::span<const DialectFunction> FlinkFunctions();

// `__sl_df_name`.
std::string MacroName(const Dialect& dialect, std::string_view name);
// CREATE MACRO statements for these macros of a dialect and for all that they call, in an order that works.
std::vector<std::string> MacrosFor(const Dialect& dialect, const std::set<std::string>& used);

// The refusal of a function that the dialect does not have, with near names.
Error UnknownFunction(const Dialect& dialect, std::string_view name);

// strftime's pattern for a Java one: `dd/MM/yyyy` -> `%d/%m/%Y`. Errors: kUnsupported, naming the letter.
Result<std::string> FromJavaFormat(std::string_view pattern);
// The engine's strftime pattern for chrono's: `%F` -> `%Y-%m-%d`.
std::string FromChronoFormat(std::string_view pattern);

}  // namespace sluice::sql
