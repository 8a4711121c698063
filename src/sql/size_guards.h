#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

// The engine holds neither text nor lists that a function makes to its memory limit, and does not interrupt
// one call. So in fenced statements of its own dialect the arguments that say how large they become are
// checked. Not stopped: text that a query joins to itself again and again.
namespace sluice::sql {

// Statements that make the macros which guarded calls need.
std::vector<std::string> SizeGuardMacros();

// Puts a check around an argument of a call of `name` (lower case), where that function needs one.
void GuardSize(nlohmann::json& call, const std::string& name);

}  // namespace sluice::sql
