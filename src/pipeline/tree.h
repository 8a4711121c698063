#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "pipeline/settings.h"

namespace sluice::pipeline {

// What stands for `${{ ... }}`; is given the whole template. Errors: kInvalidArgument for a variable without
// a value.
using Expander = std::function<Result<std::string>(std::string_view)>;

// A YAML text as a tree, templates expanded but for those of record fields (`${{ record.tenant_id }}`), which
// stay as they are. A template may stand anywhere, in flow style too, and on one line. Errors:
// kInvalidArgument `origin:line: ...` for syntax, a key given twice, an alias or a tag, several documents, a
// template that does not end or cannot be expanded.
Result<Tree> ReadTree(std::string_view yaml, std::string_view origin, const Expander& expand);

}  // namespace sluice::pipeline
