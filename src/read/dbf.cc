#include "read/dbf.h"

#include <arrow/type.h>
#include <arrow/type_traits.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstring>
#include <set>

#include "columnar/text_parse.h"
#include "read/encoding.h"
#include "read/json_text.h"
#include "read/random_file.h"
#include "read/rejects.h"

namespace sluice::read {
namespace {

constexpr size_t kHeadBytes = 32;
constexpr size_t kDescriptorBytes = 32;
constexpr size_t kNameBytes = 11;
constexpr uint64_t kMostHeaderBytes = 65535;

struct LanguageMark {
  uint8_t mark;
  uint16_t code_page;
};

// The marks that dBASE, FoxPro and ESRI write, as code pages; what those mean is iconv's business.
constexpr LanguageMark kMarks[] = {
    {0x01, 437},   {0x02, 850},   {0x03, 1252}, {0x04, 10000}, {0x08, 865},  {0x09, 437},  {0x0a, 850},
    {0x0b, 437},   {0x0d, 437},   {0x0e, 850},  {0x0f, 437},   {0x10, 850},  {0x11, 437},  {0x12, 850},
    {0x13, 932},   {0x14, 850},   {0x15, 437},  {0x16, 850},   {0x17, 865},  {0x18, 437},  {0x19, 437},
    {0x1a, 850},   {0x1b, 437},   {0x1c, 863},  {0x1d, 850},   {0x1f, 852},  {0x22, 852},  {0x23, 852},
    {0x24, 860},   {0x25, 850},   {0x26, 866},  {0x37, 850},   {0x40, 852},  {0x4d, 936},  {0x4e, 949},
    {0x4f, 950},   {0x50, 874},   {0x57, 1252}, {0x58, 1252},  {0x59, 1252}, {0x64, 852},  {0x65, 866},
    {0x66, 865},   {0x67, 861},   {0x6a, 737},  {0x6b, 857},   {0x6c, 863},  {0x78, 950},  {0x79, 949},
    {0x7a, 936},   {0x7b, 932},   {0x7c, 874},  {0x86, 737},   {0x87, 852},  {0x88, 857},  {0x96, 10007},
    {0x97, 10029}, {0x98, 10006}, {0xc8, 1250}, {0xc9, 1251},  {0xca, 1254}, {0xcb, 1253}, {0xcc, 1257},
};

template <class T>
T At(const char* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

std::string_view Trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\0'; };
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  return text;
}

std::string CodePage(unsigned number) {
  if (number == 65001) return "UTF-8";
  if (number >= 28591 && number <= 28606) return fmt::format("ISO-8859-{}", number - 28590);
  if (number >= 88591 && number <= 88599) return fmt::format("ISO-8859-{}", number - 88590);
  if (number >= 885910 && number <= 885916) return fmt::format("ISO-8859-{}", number - 885900);
  switch (number) {
    case 10000:
      return "MACINTOSH";
    case 10006:
      return "MACGREEK";
    case 10007:
      return "MAC-CYRILLIC";
    case 10029:
      return "MAC-CENTRALEUROPE";
    default:
      return fmt::format("CP{}", number);
  }
}

bool IsDateText(std::string_view text) {
  return text.size() == 8 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
}

struct Day {
  int year, month, day;
};

// Of a Julian day number.
Day CivilOf(int64_t julian) {
  int64_t a = julian + 32044;
  const int64_t b = (4 * a + 3) / 146097;
  a -= 146097 * b / 4;
  const int64_t d = (4 * a + 3) / 1461;
  a -= 1461 * d / 4;
  const int64_t m = (5 * a + 2) / 153;
  return {static_cast<int>(100 * b + d - 4800 + m / 10), static_cast<int>(m + 3 - 12 * (m / 10)),
          static_cast<int>(a - (153 * m + 2) / 5 + 1)};
}

Result<DbfField> ReadField(const char* p, const std::string& input, TextDecoder* decoder) {
  DbfField field;
  const std::string_view raw(p, ::strnlen(p, kNameBytes));
  TextArena arena;
  const auto name = decoder == nullptr ? std::optional(raw) : decoder->Decode(raw, &arena);
  field.name = name && IsUtf8(*name) ? std::string(Trim(*name)) : Printable(raw);
  field.type = static_cast<char>(std::toupper(static_cast<unsigned char>(p[11])));
  field.length = static_cast<uint8_t>(p[16]);
  // Long texts keep the high byte where others have their decimals.
  if (field.type == 'C') field.length = At<uint16_t>(p + 16);
  if (field.name.empty()) return InvalidArgument("'{}' has a field without a name", input);
  if (field.length == 0) return InvalidArgument("field '{}' of '{}' has no length", field.name, input);
  return field;
}

struct BinaryType {
  char type;
  uint16_t length;
};
constexpr BinaryType kBinaries[] = {{'I', 4}, {'+', 4}, {'B', 8}, {'O', 8}, {'Y', 8}, {'T', 8}, {'@', 8}};

bool IsKnownType(const DbfField& field) {
  for (const BinaryType& binary : kBinaries) {
    if (binary.type == field.type) return binary.length == field.length;
  }
  return std::string_view("CNFLDM").find(field.type) != std::string_view::npos;
}

Status CheckSize(const RandomFile& file, const DbfLayout& layout) {
  const uint64_t room = (file.size() - layout.header_bytes) / layout.record_bytes;
  if (room >= layout.records) return {};
  return InvalidArgument("'{}' is cut off: it says {} records of {} bytes and holds {}", file.name(),
                         layout.records, layout.record_bytes, room);
}

}  // namespace

Result<std::string> EncodingOfCpg(std::string_view text) {
  const std::string shown = Shortened(text);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::string upper(text);
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  for (const std::string_view lead : {"ANSI ", "OEM ", "ISO ", "LDID/", "CP"}) {
    if (upper.starts_with(lead)) upper.erase(0, lead.size());
  }
  upper.erase(std::remove(upper.begin(), upper.end(), ' '), upper.end());
  const bool digits =
      !upper.empty() && upper.size() <= 6 &&
      std::all_of(upper.begin(), upper.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  std::string name = digits ? CodePage(static_cast<unsigned>(std::stoul(upper))) : upper;
  if (text.starts_with("LDID/")) {
    const auto found = std::find_if(std::begin(kMarks), std::end(kMarks), [&](const LanguageMark& mark) {
      return std::to_string(mark.mark) == upper;
    });
    if (found != std::end(kMarks)) name = CodePage(found->code_page);
  }
  if (name.starts_with("8859_")) name[4] = '-';
  if (name.starts_with("8859-")) name = "ISO-" + name;
  if (!TextDecoder::Knows(name)) {
    return Unsupported(
        "the character set '{}' that the .cpg file names is not known; correct it, or convert the table to UTF-8",
        shown);
  }
  return name;
}

Result<DbfLayout> ReadDbfLayout(const RandomFile& file, std::string_view cpg) {
  DbfLayout layout;
  const std::string& input = file.name();
  if (file.size() < kHeadBytes + 1) return InvalidArgument("'{}' is cut off within its head", input);
  std::string head(kHeadBytes, '\0');
  RETURN_IF_ERROR(file.ReadAt(0, head.data(), head.size()));
  layout.records = At<uint32_t>(head.data() + 4);
  layout.header_bytes = At<uint16_t>(head.data() + 8);
  layout.record_bytes = At<uint16_t>(head.data() + 10);
  const auto version = static_cast<uint8_t>(head[0]);
  if ((version & 7) == 4) return Unsupported("'{}' is a dBASE 7 table; save it as dBASE IV", input);
  if ((version & 7) != 3 && version != 0x30 && version != 0x31 && version != 0x32 && version != 0xf5 &&
      version != 0x02)
    return InvalidArgument("'{}' is not a dBASE table: it begins with byte {}", input, version);
  if (layout.header_bytes <= kHeadBytes || layout.header_bytes > std::min(file.size(), kMostHeaderBytes))
    return InvalidArgument("'{}' is cut off within its head", input);
  if (!cpg.empty()) {
    ASSIGN_OR_RETURN(layout.encoding, EncodingOfCpg(cpg));
  } else if (const auto mark = static_cast<uint8_t>(head[29]); mark != 0) {
    const auto found = std::find_if(std::begin(kMarks), std::end(kMarks),
                                    [&](const LanguageMark& known) { return known.mark == mark; });
    if (found != std::end(kMarks)) layout.encoding = CodePage(found->code_page);
  }
  std::unique_ptr<TextDecoder> decoder;
  if (!layout.encoding.empty()) {
    ASSIGN_OR_RETURN(decoder, TextDecoder::Make(layout.encoding));
  }
  head.resize(layout.header_bytes);
  RETURN_IF_ERROR(file.ReadAt(0, head.data(), head.size()));
  uint32_t offset = 1;  // behind the mark of deletion
  std::set<std::string> names;
  for (size_t at = kHeadBytes; at + kDescriptorBytes <= head.size() && head[at] != '\r';
       at += kDescriptorBytes) {
    ASSIGN_OR_RETURN(DbfField field, ReadField(head.data() + at, input, decoder.get()));
    field.offset = static_cast<uint16_t>(offset);
    offset += field.length;
    if (offset > layout.record_bytes) {
      return InvalidArgument("field '{}' of '{}' ends behind its record of {} bytes", field.name, input,
                             layout.record_bytes);
    }
    if (field.type == '0') continue;  // FoxPro's own bits
    if (!IsKnownType(field)) {
      return Unsupported("field '{}' of '{}' has the type '{}' of {} bytes, which is not read", field.name,
                         input, Printable(std::string_view(&field.type, 1)), field.length);
    }
    if (!names.insert(field.name).second)
      return InvalidArgument("'{}' has two fields '{}'", input, field.name);
    layout.fields.push_back(std::move(field));
  }
  if (layout.record_bytes == 0) return InvalidArgument("'{}' says its records have no bytes", input);
  RETURN_IF_ERROR(CheckSize(file, layout));
  return layout;
}

std::shared_ptr<arrow::DataType> TypeOfDbfField(const DbfField& field) {
  switch (field.type) {
    case 'N':
    case 'F':
    case 'B':
    case 'O':
    case 'Y':
      return arrow::float64();
    case 'I':
    case '+':
      return arrow::int64();
    case 'L':
      return arrow::boolean();
    default:
      return arrow::utf8();
  }
}

DbfTarget DbfTargetOf(const arrow::DataType& type) {
  if (type.id() == arrow::Type::STRING) return DbfTarget::kText;
  return arrow::is_integer(type.id()) ? DbfTarget::kWhole : DbfTarget::kOther;
}

Result<std::unique_ptr<DbfCells>> DbfCells::Make(const DbfLayout& layout) {
  std::unique_ptr<DbfCells> cells(new DbfCells());
  cells->told_ = !layout.encoding.empty();
  cells->encoding_ = cells->told_ ? layout.encoding : "Windows-1252";
  if (layout.encoding != "UTF-8") {
    ASSIGN_OR_RETURN(cells->decoder_, TextDecoder::Make(cells->told_ ? layout.encoding : "CP1252"));
  }
  return cells;
}

DbfCells::~DbfCells() = default;

namespace {

std::string_view NumberCell(std::string_view text, DbfTarget target, TextArena* arena) {
  // Asterisks stand for a number that was too wide for its field.
  if (text.find_first_not_of('*') == std::string_view::npos) return {};
  if (target != DbfTarget::kWhole || text.find_first_of(".eE") == std::string_view::npos) return text;
  double number;
  if (columnar::ParseDouble(text, &number) != columnar::ParseOutcome::kOk) return text;
  if (std::trunc(number) != number || std::abs(number) >= 9.0e15) return text;
  return arena->Copy(std::to_string(static_cast<int64_t>(number)));
}

std::string_view DateCell(std::string_view text, DbfTarget target, TextArena* arena, std::string* reason) {
  if (text.find_first_not_of('0') == std::string_view::npos) return {};
  if (!IsDateText(text)) {
    *reason = "not a date of eight digits";
    return text;
  }
  const auto number = [&](size_t at, size_t size) { return std::stoi(std::string(text.substr(at, size))); };
  if (!columnar::IsCivilDate(number(0, 4), number(4, 2), number(6, 2))) {
    *reason = "not a day of the calendar";
    return text;
  }
  if (target == DbfTarget::kText)
    return arena->Copy(fmt::format("{}-{}-{}", number(0, 4), number(4, 2), number(6, 2)));
  return arena->Copy(fmt::format("{}-{}-{}", text.substr(0, 4), text.substr(4, 2), text.substr(6, 2)));
}

std::string_view InstantCell(const char* p, DbfTarget target, TextArena* arena, std::string* reason) {
  const int64_t julian = At<int32_t>(p);
  const int64_t millis = At<int32_t>(p + 4);
  if (julian == 0 && millis == 0) return {};
  const Day day = CivilOf(julian);
  if (julian < 0 || day.year < 1 || day.year > 9999 || millis < 0 || millis >= 86'400'000) {
    *reason = "not an instant";
    return arena->Copy(fmt::format("day {}, {} ms", julian, millis));
  }
  const int64_t seconds = millis / 1000;
  if (target == DbfTarget::kText) {
    return arena->Copy(fmt::format("{}-{}-{} {}:{}:{}", day.year, day.month, day.day, seconds / 3600,
                                   seconds / 60 % 60, seconds % 60));
  }
  return arena->Copy(fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}", day.year, day.month, day.day,
                                 seconds / 3600, seconds / 60 % 60, seconds % 60, millis % 1000));
}

std::string_view LogicalCell(std::string_view text, std::string* reason) {
  if (text.empty() || text == "?") return {};
  if (text == "T" || text == "t" || text == "Y" || text == "y") return "true";
  if (text == "F" || text == "f" || text == "N" || text == "n") return "false";
  *reason = "not a logical value";
  return text;
}

}  // namespace

std::string_view DbfCells::Text(std::string_view raw, TextArena* arena, std::string* reason) {
  const bool ascii =
      std::all_of(raw.begin(), raw.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  // In the character sets of DOS and Windows ASCII is ASCII.
  if (ascii) return raw;
  if ((decoder_ == nullptr || !told_) && IsUtf8(raw)) return raw;
  if (decoder_ != nullptr) {
    if (const auto text = decoder_->Decode(raw, arena)) return *text;
  }
  *reason = fmt::format("not valid {}", decoder_ == nullptr ? "UTF-8" : encoding_);
  if (told_) *reason += "; the .cpg file or the table's mark names another character set than the text has";
  return raw;
}

std::string_view DbfCells::Cell(const DbfField& field, const char* record, DbfTarget target, TextArena* arena,
                                std::string* reason) {
  const char* p = record + field.offset;
  const std::string_view trimmed = Trim({p, field.length});
  switch (field.type) {
    case 'C':
      if (trimmed.empty()) return {};
      return Text(trimmed, arena, reason);
    case 'N':
    case 'F':
      return NumberCell(trimmed, target, arena);
    case 'L':
      return LogicalCell(trimmed, reason);
    case 'D':
      return DateCell(trimmed, target, arena, reason);
    case 'I':
    case '+':
      return arena->Copy(std::to_string(At<int32_t>(p)));
    case 'B':
    case 'O': {
      const auto number = At<double>(p);
      if (std::isnan(number)) return {};
      return NumberCell(arena->Copy(fmt::format("{}", number)), target, arena);
    }
    case 'Y': {
      const auto units = At<int64_t>(p);
      const auto rest = static_cast<uint64_t>(units < 0 ? -(units + 1) : units) + (units < 0 ? 1 : 0);
      return NumberCell(
          arena->Copy(fmt::format("{}{}.{:04}", units < 0 ? "-" : "", rest / 10000, rest % 10000)), target,
          arena);
    }
    case 'T':
    case '@':
      return InstantCell(p, target, arena, reason);
    default:
      if (trimmed.empty() || trimmed.find_first_not_of('0') == std::string_view::npos) return {};
      *reason = "the text of a memo field lies in another file, which is not read";
      return trimmed;
  }
}

}  // namespace sluice::read
