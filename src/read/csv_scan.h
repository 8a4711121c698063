#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// Cells of CSV text: where they begin and end, 64 bytes at a time. Knows nothing of types.
//
// A record ends at LF or CRLF. A quote opens only at the start of a field; inside, a doubled quote and, where
// there is an escape character, that character before any other stand for the second one; after the closing
// quote the rest of the field is literal. Records without any character are no records.
namespace sluice::read {

struct CsvDialect {
  char separator = ',';
  int quote = '"';        // -1 = no quoting
  int escape = '\\';      // -1 = only doubled quotes
  std::string null_text;  // the cell with this text is NULL, quoted or not
};

// Bytes of whole records at the front of `text`, which starts with a record; 0 when there is none.
size_t FindLastRecordEnd(const CsvDialect& dialect, std::string_view text);

struct CsvRow {
  uint32_t begin = 0;   // of the record in the block
  uint32_t end = 0;     // without the line end
  uint32_t record = 0;  // 0-based within the block
  uint32_t line = 0;    // 0-based within the block, of the record's first character
};

// A record that gives no row.
struct CsvBadRecord {
  CsvRow where;
  size_t cells = 0;           // how many it has
  bool unterminated = false;  // a quote is never closed
};

// Some rows of a block. A cell without data is NULL. The cells point into the block or the scanner.
struct CsvRows {
  std::vector<std::string_view> cells;  // rows x columns
  std::vector<CsvRow> rows;
  std::vector<CsvBadRecord> bad;
};

// Goes through one block of whole records (the last may lack its line end), which must be followed by
// kBlockPadding zeros and outlive the scanner. Confined to one thread.
class CsvScanner {
 public:
  CsvScanner(const CsvDialect& dialect, std::string_view block, size_t columns);

  // Up to `max_rows` rows with exactly `columns` cells; records with another number go to `bad`. False at the
  // end of the block, when nothing was added. Clears `out` first.
  bool Fill(size_t max_rows, CsvRows* out);

  // Records and lines passed so far.
  uint32_t records() const { return records_; }
  uint32_t lines() const { return lines_; }
  // Where the next record starts.
  size_t position() const { return position_; }

 private:
  struct Cursor;
  uint64_t Specials(size_t word) const;
  std::string_view Decode(const char* begin, const char* end);
  std::string_view CellOf(const Cursor& cursor, size_t end);
  void EndField(Cursor* cursor, size_t end, CsvRows* out);
  void EndRecord(Cursor* cursor, size_t end, CsvRows* out);

  const CsvDialect& dialect_;
  const std::string_view block_;
  const size_t columns_;
  size_t position_ = 0;
  uint32_t records_ = 0;
  uint32_t lines_ = 0;
  // Cells with doubled or escaped characters, decoded; never longer than the block.
  std::unique_ptr<char[]> decoded_;
  size_t decoded_size_ = 0;
};

}  // namespace sluice::read
