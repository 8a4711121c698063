#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sql/dialect.h"

namespace sluice::sql {

// What can be said of a table without running anything.
struct TableFacts {
  struct Column {
    std::string name;
    bool required = false;
  };
  std::optional<std::vector<Column>> columns;  // absent when they could not be told
  bool row_wise = false;  // each row comes from one row of the input, whatever the others are
  bool expands = false;   // several may come from the same
};

// Facts of a parsed, not yet rewritten statement over `tables`. A column is required when it is a bare
// reference to a required column or a literal other than NULL (odf-ingest.md 2.3).
TableFacts Analyse(const nlohmann::json& tree, const std::map<std::string, TableFacts>& tables,
                   const Dialect& dialect);

}  // namespace sluice::sql
