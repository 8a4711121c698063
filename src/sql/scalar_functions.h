#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sql/duckdb_api.h"

// Functions of our own inside the engine. They are known there under names that start like our macros, so
// that no statement can mean them by accident; the tables of the dialects say who may call them.
namespace sluice::sql {

enum class CellType : uint8_t { kText, kBinary, kDouble };

struct Cell {
  bool is_null = false;
  std::string_view text;  // kText, kBinary
  double number = 0;      // kDouble
};

// What a function gives: nothing is NULL.
struct CellValue {
  std::string text;
  double number = 0;
};

struct ScalarFunction {
  std::string name;  // with kMacroPrefix
  std::vector<CellType> parameters;
  CellType result = CellType::kText;
  bool takes_nulls = false;  // else NULL in any argument gives NULL
  // One row. Called from several threads. Errors become errors of the query.
  std::function<Result<std::optional<CellValue>>(std::span<const Cell>)> run;
};

// Several functions of one name differ in their parameters.
Status RegisterScalar(duckdb_connection connection, ScalarFunction function);

// Geometry (`sql/geometry.h`): st_*.
Status RegisterGeometryFunctions(duckdb_connection connection);
// Logs of Ethereum (`sql/eth_abi.h`): eth_*.
Status RegisterEthFunctions(duckdb_connection connection);

}  // namespace sluice::sql
