#include "read/csv_reader.h"

#include <arrow/array/array_base.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "base/names.h"
#include "columnar/cast.h"
#include "read/block_reader.h"
#include "read/csv_infer.h"
#include "read/encoding.h"
#include "read/rejects.h"
#include "read/text_options.h"

namespace sluice::read {
namespace {

// Cells of one round of casting stay in a core's cache.
constexpr size_t kCellsPerRound = 16384;

size_t RowsPerRound(size_t columns) {
  return std::clamp<size_t>(kCellsPerRound / std::max<size_t>(columns, 1), 16, 2048);
}

// Casts blocks; used from several threads at once, so it has no state that changes.
class CsvCaster {
 public:
  CsvCaster(CsvOptions options, std::shared_ptr<arrow::Schema> schema)
      : options_(std::move(options)), schema_(std::move(schema)) {}

  Result<BlockRows> Cast(const TextBlock& block) const;

 private:
  using Casters = std::vector<std::unique_ptr<columnar::TextCaster>>;
  struct Round {
    const TextBlock& block;
    CsvRows rows;
    int64_t row_base = 0;  // rows of earlier rounds
    std::vector<columnar::BadCell> bad;
    RejectList rejects;
  };

  void RejectRow(size_t row, size_t column, std::string_view value, std::string reason, Round* round) const;
  void RejectRecords(Round* round) const;
  void RejectInvalidText(Round* round) const;

  CsvOptions options_;
  std::shared_ptr<arrow::Schema> schema_;
};

std::string_view RawOf(const TextBlock& block, const CsvRow& row) {
  return block.text().substr(row.begin, row.end - row.begin);
}

void CsvCaster::RejectRow(size_t row, size_t column, std::string_view value, std::string reason,
                          Round* round) const {
  if (!round->rejects.MarkRow(round->row_base + static_cast<int64_t>(row))) return;
  const CsvRow& where = round->rows.rows[row];
  round->rejects.Add(where.record, where.line, schema_->field(static_cast<int>(column))->name(), value,
                     std::move(reason), RawOf(round->block, where));
}

void CsvCaster::RejectRecords(Round* round) const {
  for (const CsvBadRecord& bad : round->rows.bad) {
    const std::string_view raw = RawOf(round->block, bad.where);
    round->rejects.Add(bad.where.record, bad.where.line, "", raw,
                       bad.unterminated
                           ? "a quoted field is not closed before the end of the input"
                           : fmt::format("expected {} fields, found {}{}", schema_->num_fields(), bad.cells,
                                         bad.where.record == 0 ? AdviceAbout(raw) : ""),
                       raw);
  }
}

void CsvCaster::RejectInvalidText(Round* round) const {
  const auto columns = static_cast<size_t>(schema_->num_fields());
  for (size_t row = 0; row < round->rows.rows.size(); ++row) {
    for (size_t column = 0; column < columns; ++column) {
      const std::string_view cell = round->rows.cells[row * columns + column];
      if (!IsUtf8(cell))
        RejectRow(row, column, cell, "not valid UTF-8" + (row + column == 0 ? AdviceAbout(cell) : ""), round);
    }
  }
}

Result<BlockRows> CsvCaster::Cast(const TextBlock& block) const {
  const auto columns = static_cast<size_t>(schema_->num_fields());
  Casters casters;
  for (const auto& field : schema_->fields()) {
    ASSIGN_OR_RETURN(auto caster,
                     columnar::TextCaster::Make(field->type(), field->nullable(), options_.cast));
    casters.push_back(std::move(caster));
  }
  const bool valid_text = IsUtf8(block.text());
  CsvScanner scanner(options_.dialect, block.text(), columns);
  Round round{block, {}, 0, {}, {}};
  while (scanner.Fill(RowsPerRound(columns), &round.rows)) {
    RejectRecords(&round);
    if (!valid_text) RejectInvalidText(&round);
    const size_t rows = round.rows.rows.size();
    for (size_t column = 0; column < columns; ++column) {
      round.bad.clear();
      const std::string_view* cells = round.rows.cells.data() + column;
      RETURN_IF_ERROR(casters[column]->Append(cells, columns, rows, &round.bad));
      for (columnar::BadCell& bad : round.bad) {
        RejectRow(bad.row, column, cells[bad.row * columns], std::move(bad.reason), &round);
      }
    }
    round.row_base += static_cast<int64_t>(rows);
  }
  arrow::ArrayVector arrays;
  for (auto& caster : casters) {
    ASSIGN_OR_RETURN(auto array, caster->Finish());
    arrays.push_back(std::move(array));
  }
  BlockRows result;
  result.records = scanner.records();
  result.lines = scanner.lines();
  ASSIGN_OR_RETURN(result.rows, DropRows(arrow::RecordBatch::Make(schema_, round.row_base, std::move(arrays)),
                                         round.rejects.rows()));
  result.rejects = round.rejects.Take();
  return result;
}

// The first record of a block: its cells as they are, and where the next one starts.
struct FirstRecord {
  std::vector<std::string> cells;
  size_t next = 0;
  int64_t lines = 0;
};

Result<FirstRecord> ReadFirst(const CsvDialect& dialect, const TextBlock& block, const std::string& input) {
  CsvDialect plain = dialect;
  plain.null_text.clear();
  CsvRows rows;
  // Against no columns at all, every record says how many cells it has.
  CsvScanner counter(plain, block.text(), 0);
  FirstRecord first;
  if (!counter.Fill(1, &rows)) {
    first.next = block.size;
    first.lines = counter.lines();
    return first;
  }
  if (rows.bad[0].unterminated)
    return InvalidArgument("line 1 of '{}': a quoted field is never closed", input);
  CsvScanner scanner(plain, block.text(), rows.bad[0].cells);
  scanner.Fill(1, &rows);
  for (const std::string_view cell : rows.cells) first.cells.emplace_back(cell);
  first.next = scanner.position();
  first.lines = scanner.lines();
  return first;
}

// Lines that end with CR alone would all be one header.
bool HasBareReturn(std::string_view text) {
  for (size_t at = text.find('\r'); at != std::string_view::npos; at = text.find('\r', at + 1)) {
    if (at + 1 == text.size() || text[at + 1] != '\n') return true;
  }
  return false;
}

// Text in two bytes a letter is UTF-8 too, with NUL bytes.
Status CheckHeaderIsText(const FirstRecord& first, const std::string& input) {
  for (const auto& cell : first.cells) {
    if (cell.find('\0') != std::string::npos)
      return InvalidArgument("line 1 of '{}': the header has a NUL byte{}", input,
                             AdviceAbout(first.cells.front()));
  }
  return {};
}

Result<std::vector<std::string>> ColumnNames(const FirstRecord& first, bool header,
                                             const std::string& input) {
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (size_t i = 0; i < first.cells.size(); ++i) {
    std::string name = header && !first.cells[i].empty() ? first.cells[i] : fmt::format("column_{}", i + 1);
    if (!IsUtf8(name))
      return InvalidArgument("line 1 of '{}': header field {} is not valid UTF-8{}", input, i + 1,
                             AdviceAbout(first.cells.front()));
    if (header && HasBareReturn(name)) {
      return InvalidArgument(
          "line 1 of '{}': the header has a carriage return in field {}: lines end with LF or CR LF", input,
          i + 1);
    }
    if (!seen.insert(name).second)
      return InvalidArgument("line 1 of '{}': the header has column '{}' twice", input, name);
    names.push_back(std::move(name));
  }
  return names;
}

// Values are taken by position; a header that says otherwise is an error where columns are strict.
Status CheckHeader(const FirstRecord& first, const arrow::Schema& schema, const std::string& input) {
  if (first.cells == schema.field_names()) return {};
  return InvalidArgument("line 1 of '{}': the header has columns {}, the schema {}", input,
                         JoinNames(first.cells), JoinNames(schema.field_names()));
}

// Opens step by step: header, names, types.
class CsvOpening {
 public:
  CsvOpening(CsvOptions options, std::unique_ptr<ByteSource> source, const ReadOptions& read)
      : options_(std::move(options)), read_(read) {
    plan_.splitter = std::make_unique<BlockSplitter>(
        std::move(source), kBlockBytes,
        [dialect = options_.dialect](std::string_view text) { return FindLastRecordEnd(dialect, text); },
        read.stop);
  }

  Result<std::unique_ptr<Reader>> Open(std::shared_ptr<arrow::Schema> declared) {
    plan_.schema = std::move(declared);
    if (options_.header || !plan_.schema) {
      ASSIGN_OR_RETURN(const bool any, ReadHeader());
      if (any && !plan_.schema) RETURN_IF_ERROR(MakeSchema());
    }
    if (plan_.schema) {
      auto caster = std::make_shared<const CsvCaster>(options_, plan_.schema);
      plan_.work = [caster](const TextBlock& block) { return caster->Cast(block); };
    } else {
      plan_.work = [](const TextBlock&) -> Result<BlockRows> {
        return Internal("records in an input that had none");
      };
    }
    return std::make_unique<BlockReader>(std::move(plan_), read_);
  }

 private:
  const std::string& input() const { return plan_.splitter->source().name(); }

  Result<bool> Pull() {
    ASSIGN_OR_RETURN(std::optional<TextBlock> block, plan_.splitter->Next());
    if (block) plan_.pending.push_back(std::move(*block));
    return block.has_value();
  }

  // The first record and the names. False when the input has no record.
  Result<bool> ReadHeader() {
    FirstRecord first;
    for (;;) {
      ASSIGN_OR_RETURN(const bool more, Pull());
      if (!more) return false;
      ASSIGN_OR_RETURN(first, ReadFirst(options_.dialect, plan_.pending.front(), input()));
      if (!first.cells.empty()) break;
      plan_.lines_before += first.lines;  // nothing but empty lines
      plan_.pending.clear();
    }
    if (options_.header) RETURN_IF_ERROR(CheckHeaderIsText(first, input()));
    if (!plan_.schema) {
      ASSIGN_OR_RETURN(names_, ColumnNames(first, options_.header, input()));
    }
    if (!options_.header) return true;
    if (plan_.schema && read_.strict_columns) RETURN_IF_ERROR(CheckHeader(first, *plan_.schema, input()));
    plan_.lines_before += first.lines;
    TextBlock& block = plan_.pending.front();
    const size_t next = std::min(first.next, block.size);
    block.size -= next;
    std::memmove(block.data.get(), block.data.get() + next, block.size + kBlockPadding);
    if (plan_.schema) RETURN_IF_ERROR(CheckAlone(first));
    return true;
  }

  // Values are taken by position, whatever the header calls them. But one line of another shape and nothing
  // after it may be anything, such as a message about a failure, and no proof that there are no records.
  Status CheckAlone(const FirstRecord& first) {
    const auto columns = static_cast<size_t>(plan_.schema->num_fields());
    if (first.cells.size() == columns) return {};
    while (plan_.pending.back().text().find_first_not_of("\r\n") == std::string_view::npos) {
      ASSIGN_OR_RETURN(const bool more, Pull());
      if (more) continue;
      return InvalidArgument(
          "line 1 of '{}' is all there is, and has {} field(s) where the schema has {}: '{}' is no header of such "
          "records",
          input(), first.cells.size(), columns, Shortened(first.cells.front()));
    }
    return {};
  }

  Status MakeSchema() {
    std::vector<CsvTypeGuess> guesses(names_.size());
    if (options_.infer) RETURN_IF_ERROR(Guess(&guesses));
    arrow::FieldVector fields;
    for (size_t i = 0; i < names_.size(); ++i) fields.push_back(arrow::field(names_[i], guesses[i].type()));
    plan_.schema = arrow::schema(std::move(fields));
    return {};
  }

  Status Guess(std::vector<CsvTypeGuess>* guesses) {
    const size_t columns = guesses->size();
    size_t seen = 0;
    CsvRows rows;
    for (size_t index = 0; seen < kInferenceRecords; ++index) {
      if (index == plan_.pending.size()) {
        ASSIGN_OR_RETURN(const bool more, Pull());
        if (!more) break;
      }
      CsvScanner scanner(options_.dialect, plan_.pending[index].text(), columns);
      while (seen < kInferenceRecords && scanner.Fill(kInferenceRecords - seen, &rows)) {
        for (size_t i = 0; i < rows.rows.size() * columns; ++i)
          (*guesses)[i % columns].Add(rows.cells[i], options_.cast);
        seen += rows.rows.size() + rows.bad.size();
      }
    }
    return {};
  }

  CsvOptions options_;
  const ReadOptions& read_;
  BlockReader::Plan plan_;
  std::vector<std::string> names_;
};

}  // namespace

Status CheckCsvSchema(const arrow::Schema& schema) {
  for (const auto& field : schema.fields()) {
    auto caster = columnar::TextCaster::Make(field->type(), field->nullable());
    if (!caster.ok()) return std::move(caster).error().With(fmt::format("column '{}'", field->name()));
  }
  return {};
}

Result<std::unique_ptr<Reader>> OpenCsv(const odf::ReadStep& step, std::shared_ptr<arrow::Schema> declared,
                                        std::unique_ptr<ByteSource> source, const ReadOptions& options) {
  ASSIGN_OR_RETURN(CsvOptions csv, CsvOptionsOf(step));
  if (declared) RETURN_IF_ERROR(CheckCsvSchema(*declared));
  ASSIGN_OR_RETURN(source, Transcode(std::move(source), step.encoding.value_or("")));
  return CsvOpening(std::move(csv), std::move(source), options).Open(std::move(declared));
}

}  // namespace sluice::read
