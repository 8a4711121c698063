#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace arrow {
class DataType;
}  // namespace arrow

// The attribute table beside a shapefile: dBASE III/IV/5 and Visual FoxPro, fixed records of text
// (odf-ingest.md 1.9).
namespace sluice::read {

class RandomFile;
class TextArena;
class TextDecoder;

struct DbfField {
  std::string name;
  char type = 'C';
  uint16_t offset = 0;  // in the record
  uint16_t length = 0;
};

// What the head of a table says.
struct DbfLayout {
  std::vector<DbfField> fields;
  uint64_t records = 0;
  uint64_t header_bytes = 0;
  uint32_t record_bytes = 0;
  std::string encoding;  // as iconv names it; empty = not told: UTF-8, and Windows-1252 where it is not that
};

// `cpg` is the text of the file that names the character set, empty when there is none; it overrules the
// table's own mark. Errors: kInvalidArgument naming file and what is wrong: a head that is cut off, a size
// that does not fit the number of records, two fields of one name; kUnsupported for dBASE 7 and for character
// sets that are not known.
Result<DbfLayout> ReadDbfLayout(const RandomFile& file, std::string_view cpg);

// iconv's name for the content of a .cpg file: `1252`, `ANSI 1252`, `UTF-8`, `ISO 88591`. Errors:
// kUnsupported.
Result<std::string> EncodingOfCpg(std::string_view text);

// The column that a field is without a schema: numbers Float64, whole binary numbers Int64, logicals Bool,
// all else String.
std::shared_ptr<arrow::DataType> TypeOfDbfField(const DbfField& field);

// How the target column wants values that have several texts.
enum class DbfTarget : uint8_t { kText, kWhole, kOther };
DbfTarget DbfTargetOf(const arrow::DataType& type);

// Cells of one table as text that a TextCaster takes. Confined to one thread.
class DbfCells {
 public:
  static Result<std::unique_ptr<DbfCells>> Make(const DbfLayout& layout);
  ~DbfCells();

  // The value of `field` in `record`; no data = null. Texts that had to be made lie in `arena`. Where the
  // bytes are no value of the field's type, `reason` is set and the raw bytes come back.
  std::string_view Cell(const DbfField& field, const char* record, DbfTarget target, TextArena* arena,
                        std::string* reason);

 private:
  DbfCells() = default;
  std::string_view Text(std::string_view raw, TextArena* arena, std::string* reason);

  std::string encoding_;
  std::unique_ptr<TextDecoder> decoder_;  // null = UTF-8 for sure
  bool told_ = true;
};

}  // namespace sluice::read
