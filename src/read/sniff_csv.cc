#include <algorithm>
#include <map>
#include <set>

#include "columnar/time_pattern.h"
#include "odf/schema.h"
#include "read/csv_infer.h"
#include "read/csv_scan.h"
#include "read/sniff_internal.h"

#include <arrow/type.h>

// Tables of text: separator, quotes, header, types.
namespace sluice::read {
namespace {

constexpr size_t kSniffRows = 2000;

// How well a dialect cuts the text into records of one width.
struct Shape {
  size_t columns = 0;
  size_t fitting = 0;
  size_t records = 0;
  bool unterminated = false;

  double share() const {
    return records == 0 ? 0 : static_cast<double>(fitting) / static_cast<double>(records);
  }
};

Shape Measure(const CsvDialect& dialect, std::string_view text) {
  // Against no columns at all, every record says how many cells it has.
  CsvScanner scanner(dialect, text, 0);
  CsvRows rows;
  std::map<size_t, size_t> widths;
  Shape shape;
  while (shape.records < kSniffRows && scanner.Fill(256, &rows)) {
    for (const CsvBadRecord& record : rows.bad) {
      ++widths[record.cells];
      ++shape.records;
      shape.unterminated = shape.unterminated || record.unterminated;
    }
  }
  for (const auto& [width, count] : widths) {
    if (count < shape.fitting) continue;
    shape.columns = width;
    shape.fitting = count;
  }
  return shape;
}

struct Choice {
  CsvDialect dialect;
  Shape shape;
};

Choice ChooseDialect(std::string_view text) {
  Choice best;
  for (const int quote : {int{'"'}, -1}) {
    for (const char separator : {',', ';', '\t', '|'}) {
      CsvDialect dialect;
      dialect.separator = separator;
      dialect.quote = quote;
      const Shape shape = Measure(dialect, text);
      const bool usable = shape.columns > 1 && shape.share() >= 0.9 && !shape.unterminated;
      if (!usable) continue;
      const bool better = best.shape.columns == 0 || shape.share() > best.shape.share() + 0.001 ||
                          (shape.share() >= best.shape.share() && shape.columns > best.shape.columns &&
                           quote == best.dialect.quote);
      if (better) best = {dialect, shape};
    }
  }
  if (best.shape.columns == 0) best.shape = Measure(best.dialect, text);  // one column
  return best;
}

// Backslashes in quoted text that stand for themselves.
bool HasPlainBackslash(std::string_view text) {
  for (size_t at = text.find('\\'); at != std::string_view::npos; at = text.find('\\', at + 2)) {
    if (at + 1 < text.size() && text[at + 1] != '"' && text[at + 1] != '\\') return true;
  }
  return false;
}

bool IsPlainText(std::string_view cell) {
  CsvTypeGuess guess;
  guess.Add(cell, {});
  return guess.type()->id() == arrow::Type::STRING;
}

bool HasLeadingZero(std::string_view cell) {
  if (cell.starts_with('-')) cell.remove_prefix(1);
  return cell.size() > 1 && cell[0] == '0' && cell.find_first_not_of("0123456789") == std::string_view::npos;
}

struct Pattern {
  const char* text;
  bool has_time;
};
constexpr Pattern kPatterns[] = {
    {"%m/%d/%Y %I:%M:%S %p", true},
    {"%d/%m/%Y %H:%M:%S", true},
    {"%m/%d/%Y %H:%M:%S", true},
    {"%d.%m.%Y %H:%M:%S", true},
    {"%d.%m.%Y %H:%M", true},
    {"%d/%m/%Y %H:%M", true},
    {"%m/%d/%Y %H:%M", true},
    {"%Y/%m/%d %H:%M:%S", true},
    {"%d.%m.%Y", false},
    {"%d/%m/%Y", false},
    {"%m/%d/%Y", false},
    {"%d-%m-%Y", false},
    {"%Y/%m/%d", false},
    {"%d-%b-%Y", false},
    {"%b %d %Y", false},
    {"%B %d %Y", false},
    {"%d %B %Y", false},
    {"%Y%m%d", false},
};

// One column's cells, without the header.
using Cells = std::vector<std::string_view>;

// The patterns that read all of them.
std::vector<const Pattern*> PatternsOf(const Cells& cells) {
  std::vector<const Pattern*> fitting;
  for (const Pattern& pattern : kPatterns) {
    const auto parsed = columnar::TimePattern::Parse(pattern.text);
    if (!parsed.ok()) continue;
    bool any = false;
    const bool all = std::all_of(cells.begin(), cells.end(), [&](std::string_view cell) {
      Instant instant;
      if (cell.data() == nullptr) return true;
      any = true;
      return (*parsed)->Read(cell, &instant);
    });
    if (all && any) fitting.push_back(&pattern);
  }
  return fitting;
}

struct Table {
  std::vector<std::string> names;
  std::vector<Cells> columns;
  CsvRows rows;  // the cells point into it
};

bool LooksLikeHeader(const CsvRows& rows, size_t columns) {
  std::set<std::string_view> seen;
  for (size_t c = 0; c < columns; ++c) {
    const std::string_view cell = rows.cells[c];
    if (cell.data() == nullptr) continue;
    if (cell.size() > 200 || !IsPlainText(cell) || !seen.insert(cell).second) return false;
  }
  if (seen.size() * 2 < columns + 1) return false;
  if (rows.rows.size() == 1) return true;
  bool typed = false, repeated = false;
  for (size_t c = 0; c < columns; ++c) {
    CsvTypeGuess guess;
    for (size_t row = 1; row < rows.rows.size(); ++row) {
      const std::string_view cell = rows.cells[row * columns + c];
      guess.Add(cell, {});
      repeated = repeated || (cell.data() != nullptr && cell == rows.cells[c]);
    }
    typed = typed || guess.type()->id() != arrow::Type::STRING;
  }
  return typed || !repeated;
}

odf::DataType OdfTypeOf(const arrow::DataType& type) {
  using odf::TypeKind;
  switch (type.id()) {
    case arrow::Type::BOOL:
      return odf::DataType::Of(TypeKind::kBool);
    case arrow::Type::INT64:
      return odf::DataType::Of(TypeKind::kInt64);
    case arrow::Type::DOUBLE:
      return odf::DataType::Of(TypeKind::kFloat64);
    case arrow::Type::DATE32:
      return odf::DataType::Of(TypeKind::kDate);
    case arrow::Type::TIMESTAMP:
      return odf::DataType::Of(TypeKind::kTimestamp);
    default:
      return odf::DataType::Of(TypeKind::kString);
  }
}

// One pattern for all dates and one for all times, or none: a step has one of each.
class DatePatterns {
 public:
  // True when the column's type was told.
  bool Take(const std::string& name, const Cells& cells, odf::DataType* type,
            std::vector<std::string>* notes) {
    const auto fitting = PatternsOf(cells);
    if (fitting.empty()) return false;
    if (fitting.size() > 1) {
      notes->push_back(fmt::format(
          "column '{}' could be dates of '{}' or '{}': name one in `{}` and the type in the schema", name,
          fitting[0]->text, fitting[1]->text, fitting[0]->has_time ? "timestampFormat" : "dateFormat"));
      return false;
    }
    std::string& chosen = fitting[0]->has_time ? timestamp_ : date_;
    if (!chosen.empty() && chosen != fitting[0]->text) return false;
    chosen = fitting[0]->text;
    *type = odf::DataType::Of(fitting[0]->has_time ? odf::TypeKind::kTimestamp : odf::TypeKind::kDate);
    return true;
  }
  const std::string& date() const { return date_; }
  const std::string& timestamp() const { return timestamp_; }

 private:
  std::string date_, timestamp_;
};

void GuessTypes(const Table& table, odf::ReadStep* step, std::vector<std::string>* notes) {
  DatePatterns patterns;
  bool standard_dates = false, standard_times = false;
  step->schema.emplace();
  std::vector<size_t> texts;
  for (size_t c = 0; c < table.columns.size(); ++c) {
    CsvTypeGuess guess;
    bool zeros = false;
    for (const std::string_view cell : table.columns[c]) {
      guess.Add(cell, {});
      zeros = zeros || HasLeadingZero(cell);
    }
    odf::DataType type = OdfTypeOf(*guess.type());
    if (zeros && type.kind == odf::TypeKind::kInt64) {
      notes->push_back(fmt::format("column '{}' is text because of its leading zeros", table.names[c]));
      type = odf::DataType::Of(odf::TypeKind::kString);
    } else if (type.kind == odf::TypeKind::kString) {
      texts.push_back(c);
    }
    standard_dates = standard_dates || type.kind == odf::TypeKind::kDate;
    standard_times = standard_times || type.kind == odf::TypeKind::kTimestamp;
    step->schema->fields.push_back({table.names[c], type, std::nullopt});
  }
  for (const size_t c : texts) {
    odf::DataType& type = step->schema->fields[c].type;
    odf::DataType told = type;
    if (!patterns.Take(table.names[c], table.columns[c], &told, notes)) continue;
    const bool clash = told.kind == odf::TypeKind::kDate ? standard_dates : standard_times;
    if (!clash) type = told;
  }
  if (!patterns.date().empty() && !standard_dates) step->date_format = patterns.date();
  if (!patterns.timestamp().empty() && !standard_times) step->timestamp_format = patterns.timestamp();
  for (odf::DataField& field : step->schema->fields)
    field.type = odf::DataType::Option(std::move(field.type));
}

}  // namespace

void SniffCsv(const TextBlock& text, odf::ReadStep* step, std::vector<std::string>* notes) {
  Choice choice = ChooseDialect(text.text());
  step->format = odf::ReadFormat::kCsv;
  if (choice.dialect.separator != ',') step->separator = std::string(1, choice.dialect.separator);
  if (choice.dialect.quote < 0) {
    step->quote = "";
    notes->push_back("quotes in the text stand for themselves");
  } else if (text.text().find('"') != std::string_view::npos && HasPlainBackslash(text.text())) {
    choice.dialect.escape = -1;
    step->escape = "";
    notes->push_back("backslashes in the text stand for themselves");
  }
  if (choice.shape.share() < 1) {
    notes->push_back(fmt::format("{} of the first {} records do not have {} fields",
                                 choice.shape.records - choice.shape.fitting, choice.shape.records,
                                 choice.shape.columns));
  }
  const size_t columns = std::max<size_t>(choice.shape.columns, 1);
  Table table;
  CsvScanner scanner(choice.dialect, text.text(), columns);
  scanner.Fill(kSniffRows, &table.rows);
  if (table.rows.rows.empty()) return;
  const bool header = LooksLikeHeader(table.rows, columns);
  if (header) step->header = true;
  table.columns.resize(columns);
  std::set<std::string> seen;
  for (size_t c = 0; c < columns; ++c) {
    std::string name = header ? std::string(table.rows.cells[c]) : std::string();
    if (name.empty() || !seen.insert(name).second) name = fmt::format("column_{}", c + 1);
    table.names.push_back(std::move(name));
    for (size_t row = header ? 1 : 0; row < table.rows.rows.size(); ++row)
      table.columns[c].push_back(table.rows.cells[row * columns + c]);
  }
  GuessTypes(table, step, notes);
}

}  // namespace sluice::read
