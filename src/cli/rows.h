#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/instant.h"
#include "cli/session.h"

namespace sluice::cli {

// A small table of a command's own (list, sources), printed in any output format.
class RowTable {
 public:
  using Cell = std::variant<std::monostate, std::string, int64_t, Instant>;

  RowTable& Text(std::string name);
  RowTable& Integer(std::string name);
  RowTable& Time(std::string name);
  // One cell a column, of the column's type or empty.
  void Add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  Status Print(Session& session, columnar::OutputFormat format) const;

  static Cell TimeOrNull(const std::optional<Instant>& time) { return time ? Cell(*time) : Cell(); }
  static Cell TextOrNull(const std::optional<std::string>& text) { return text ? Cell(*text) : Cell(); }

 private:
  enum class Kind { kText, kInteger, kTime };
  std::vector<std::pair<std::string, Kind>> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace sluice::cli
