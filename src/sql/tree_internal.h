#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

// Nodes of a statement as the engine's parser writes them into JSON (`json_serialize_sql`).
namespace sluice::sql {

std::string Lower(std::string text);

// Empty where there is none.
std::string TextOf(const nlohmann::json& node, const char* key);

nlohmann::json MakeCall(const std::string& name, nlohmann::json arguments);
nlohmann::json MakeType(std::string_view id);
nlohmann::json MakeCast(nlohmann::json child, nlohmann::json type, bool try_cast);
nlohmann::json MakeWholeNumber(int64_t value);

bool IsTextConstant(const nlohmann::json& node);
// A literal that is not zero, whatever casts are around it.
bool IsNonzeroNumber(const nlohmann::json& node);
// The digits of a decimal literal; a 128-bit one has two halves.
std::optional<std::string> DecimalText(const nlohmann::json& value);

// Moves the alias of `from` to the node that replaces it.
void TakeAlias(nlohmann::json& replacement, nlohmann::json& from);

}  // namespace sluice::sql
