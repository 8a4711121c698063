#pragma once

#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sql/dialect.h"

namespace sluice::sql {

class Session;

// A statement as the engine's parser sees it: the tree that `json_serialize_sql` prints.
// Errors: kInvalidArgument for what is not exactly one SELECT, with the position in `source`.
Result<nlohmann::json> ParseSelect(Session& session, std::string_view source, const LexRules& rules);

struct RewriteOptions {
  const Dialect* dialect = nullptr;  // null: the engine's own functions
  bool fenced = true;                // refuse functions and tables that tell of the engine or the machine
  // Names of tables that there are, for the message when another is used; empty = not checked.
  std::vector<std::string> tables;
};

// Turns a parsed statement into one that the engine understands: names encoded, functions, casts and literals
// of the dialect replaced. `used` receives the macros that the result calls. Errors: kUnsupported for
// functions and syntax outside the dialect, kInvalidArgument for unknown tables, kPermissionDenied for what
// the fence keeps out.
Status Rewrite(nlohmann::json& tree, const RewriteOptions& options, std::set<std::string>& used);

// The engine's text of a tree.
Result<std::string> Unparse(Session& session, const nlohmann::json& tree);

}  // namespace sluice::sql
