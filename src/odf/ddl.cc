// The deprecated way to write a schema: SQL column definitions. A small part of SQL, by hand: names, the
// types of one table, and NOT NULL.

#include <algorithm>
#include <array>
#include <cctype>

#include "odf/type_text_internal.h"
#include "odf/yaml.h"

namespace sluice::odf {
namespace {

constexpr std::string_view kSupported =
    "BOOLEAN, INT, INT UNSIGNED, BIGINT, BIGINT UNSIGNED, FLOAT, DOUBLE, DECIMAL(p, s), DATE, TIMESTAMP, STRING, "
    "VARCHAR, TEXT, ARRAY<type>";
constexpr int kMaxArrayDepth = 16;

struct TypeWord {
  std::string_view word;
  TypeKind kind;
};
constexpr std::array kTypeWords = {
    TypeWord{"BOOL", TypeKind::kBool},
    TypeWord{"BOOLEAN", TypeKind::kBool},
    TypeWord{"INT", TypeKind::kInt32},
    TypeWord{"INTEGER", TypeKind::kInt32},
    TypeWord{"INT32", TypeKind::kInt32},
    TypeWord{"UNSIGNED", TypeKind::kUInt32},
    TypeWord{"UINT32", TypeKind::kUInt32},
    TypeWord{"BIGINT", TypeKind::kInt64},
    TypeWord{"FLOAT", TypeKind::kFloat32},
    TypeWord{"FLOAT32", TypeKind::kFloat32},
    TypeWord{"DOUBLE", TypeKind::kFloat64},
    TypeWord{"DECIMAL", TypeKind::kDecimal},
    TypeWord{"DATE", TypeKind::kDate},
    TypeWord{"TIMESTAMP", TypeKind::kTimestamp},
    TypeWord{"TIMESTAMPTZ", TypeKind::kTimestamp},
    TypeWord{"STRING", TypeKind::kString},
    TypeWord{"VARCHAR", TypeKind::kString},
    TypeWord{"TEXT", TypeKind::kString},
    TypeWord{"TINYTEXT", TypeKind::kString},
    TypeWord{"MEDIUMTEXT", TypeKind::kString},
    TypeWord{"LONGTEXT", TypeKind::kString},
    TypeWord{"FIXEDSTRING", TypeKind::kString},
    TypeWord{"ARRAY", TypeKind::kList},
};

bool IsWordByte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || (c & 0x80);
}

std::string Upper(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return upper;
}

// The definitions in one item of the list: `name type [NOT NULL] {, ...}`.
class DdlParser {
 public:
  explicit DdlParser(std::string_view item) : item_(item), rest_(item) {}

  Status ParseInto(DataSchema* schema) {
    do {
      ASSIGN_OR_RETURN(DataField field, ParseColumn());
      for (const auto& other : schema->fields) {
        if (other.name == field.name) return Fail(fmt::format("column '{}' is given twice", field.name));
      }
      schema->fields.push_back(std::move(field));
    } while (TakeSymbol(','));
    return {};
  }

 private:
  Error Fail(std::string_view what) { return InvalidArgument("ddlSchema item '{}': {}", item_, what); }
  Error Refuse(std::string_view type) {
    return Fail(fmt::format("type '{}' is not supported; supported are {}", type, kSupported));
  }

  void SkipSpace() {
    while (!rest_.empty() && std::isspace(static_cast<unsigned char>(rest_.front()))) rest_.remove_prefix(1);
  }
  bool TakeSymbol(char symbol) {
    SkipSpace();
    if (rest_.empty() || rest_.front() != symbol) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string_view PeekWord() {
    SkipSpace();
    size_t size = 0;
    while (size < rest_.size() && IsWordByte(rest_[size])) ++size;
    return rest_.substr(0, size);
  }
  bool TakeWord(std::string_view upper_case) {
    const std::string_view word = PeekWord();
    if (Upper(word) != upper_case) return false;
    rest_.remove_prefix(word.size());
    return true;
  }

  Result<DataField> ParseColumn() {
    DataField field;
    ASSIGN_OR_RETURN(field.name, ParseName());
    ASSIGN_OR_RETURN(field.type, ParseType(0));
    if (TakeWord("NOT")) {
      if (!TakeWord("NULL")) return Fail("NULL is missing after NOT");
    } else {
      field.type = DataType::Option(std::move(field.type));
    }
    SkipSpace();
    if (!rest_.empty() && rest_.front() != ',') {
      return Fail(fmt::format("'{}' is not understood; after the type only NOT NULL may follow", rest_));
    }
    return field;
  }

  Result<std::string> ParseName() {
    SkipSpace();
    if (!rest_.empty() && (rest_.front() == '"' || rest_.front() == '`')) return ParseQuoted(rest_.front());
    const std::string_view word = PeekWord();
    if (word.empty() || std::isdigit(static_cast<unsigned char>(word.front())))
      return Fail("a column name is missing");
    rest_.remove_prefix(word.size());
    return std::string(word);
  }

  Result<std::string> ParseQuoted(char quote) {
    std::string name;
    size_t at = 1;
    for (; at < rest_.size(); ++at) {
      if (rest_[at] == quote) {
        if (at + 1 >= rest_.size() || rest_[at + 1] != quote) break;
        ++at;
      }
      name += rest_[at];
    }
    if (at >= rest_.size() || name.empty()) return Fail("a quoted name does not end or is empty");
    rest_.remove_prefix(at + 1);
    return name;
  }

  Result<DataType> ParseType(int depth) {
    const std::string word(PeekWord());
    if (word.empty()) return Fail("a type is missing");
    rest_.remove_prefix(word.size());
    const std::string upper = Upper(word);
    const auto* found =
        std::find_if(kTypeWords.begin(), kTypeWords.end(), [&](auto& w) { return w.word == upper; });
    if (found == kTypeWords.end() || depth > kMaxArrayDepth) return Refuse(word);
    DataType type = DataType::Of(found->kind);
    switch (type.kind) {
      case TypeKind::kDecimal:
        return ParseDecimal(std::move(type));
      case TypeKind::kTimestamp:
        type.unit = TimeUnit::kMillisecond;
        type.timezone = "UTC";
        RETURN_IF_ERROR(SkipSize(word));
        return SkipTimeZone(std::move(type));
      case TypeKind::kList:
        return ParseArray(depth);
      case TypeKind::kFloat64:
        if (TakeWord("PRECISION")) return Refuse(word + " PRECISION");
        return type;
      case TypeKind::kInt32:
      case TypeKind::kInt64:
      case TypeKind::kUInt32:
        RETURN_IF_ERROR(SkipSize(word));
        return ParseSign(upper, std::move(type));
      default:
        RETURN_IF_ERROR(SkipSize(word));
        return type;
    }
  }

  // `(n)`, which says nothing that the schema keeps.
  Status SkipSize(std::string_view word) {
    if (!TakeSymbol('(')) return {};
    const std::string_view digits = PeekWord();
    rest_.remove_prefix(digits.size());
    if (!ParseNumber<uint64_t>(digits) || !TakeSymbol(')'))
      return Fail(fmt::format("one number is wanted in {}(...)", word));
    return {};
  }

  Result<DataType> ParseSign(std::string_view word, DataType type) {
    if (word == "UNSIGNED") {
      if (!TakeWord("INTEGER")) TakeWord("INT");
      return type;
    }
    if (TakeWord("SIGNED") || type.kind == TypeKind::kUInt32 || !TakeWord("UNSIGNED")) return type;
    type.kind = type.kind == TypeKind::kInt64 ? TypeKind::kUInt64 : TypeKind::kUInt32;
    return type;
  }

  Result<DataType> SkipTimeZone(DataType type) {
    if (TakeWord("WITH") || TakeWord("WITHOUT")) {
      if (!TakeWord("TIME") || !TakeWord("ZONE")) return Fail("TIME ZONE is missing");
    }
    return type;
  }

  Result<DataType> ParseDecimal(DataType type) {
    const std::string wanted =
        "DECIMAL needs its digits in all and those behind the point, as in DECIMAL(10, 2)";
    if (!TakeSymbol('(')) return Fail(wanted);
    const auto precision = TakeNumber();
    const bool comma = TakeSymbol(',');
    const auto scale = comma ? TakeNumber() : std::nullopt;
    if (!precision || !scale || !TakeSymbol(')')) return Fail(wanted);
    if (*precision < 1 || *precision > 76)
      return Fail(fmt::format("DECIMAL({}, {}) is not from 1 to 76 digits", *precision, *scale));
    if (*scale > *precision) {
      return Fail(fmt::format("DECIMAL({}, {}) has {} digits behind the point and {} in all", *precision,
                              *scale, *scale, *precision));
    }
    type.precision = *precision;
    type.scale = static_cast<int32_t>(*scale);
    return type;
  }

  std::optional<uint32_t> TakeNumber() {
    const std::string_view word = PeekWord();
    rest_.remove_prefix(word.size());
    return ParseNumber<uint32_t>(word);
  }

  Result<DataType> ParseArray(int depth) {
    if (!TakeSymbol('<')) return Fail("ARRAY needs the type of its items, as in ARRAY<BIGINT>");
    ASSIGN_OR_RETURN(DataType item, ParseType(depth + 1));
    if (!TakeSymbol('>')) return Fail("'>' is missing");
    return DataType::List(std::move(item));
  }

  std::string_view item_;
  std::string_view rest_;
};

std::string DdlName(std::string_view name) {
  const bool plain = !name.empty() && !std::isdigit(static_cast<unsigned char>(name.front())) &&
                     std::all_of(name.begin(), name.end(), [](char c) { return IsWordByte(c) && c != '$'; });
  if (plain) return std::string(name);
  std::string quoted = "\"";
  for (const char c : name) {
    quoted += c;
    if (c == '"') quoted += c;
  }
  return quoted + "\"";
}

// Types that the grammar above does not have appear under the names that SQL engines give them.
std::string DdlType(const DataType& type) {
  switch (type.kind) {
    case TypeKind::kBool:
      return "BOOLEAN";
    case TypeKind::kInt32:
      return "INT";
    case TypeKind::kUInt32:
      return "INT UNSIGNED";
    case TypeKind::kInt64:
      return "BIGINT";
    case TypeKind::kUInt64:
      return "BIGINT UNSIGNED";
    case TypeKind::kFloat32:
      return "FLOAT";
    case TypeKind::kFloat64:
      return "DOUBLE";
    case TypeKind::kDecimal:
      return fmt::format("DECIMAL({}, {})", type.precision, type.scale);
    case TypeKind::kOption:
      return type.children.empty() ? "NULL" : DdlType(type.children[0]);
    case TypeKind::kList:
      return fmt::format("ARRAY<{}>", type.children.empty() ? "NULL" : DdlType(type.children[0]));
    case TypeKind::kMap:
      return type.children.size() < 2
                 ? "MAP"
                 : fmt::format("MAP<{}, {}>", DdlType(type.children[0]), DdlType(type.children[1]));
    case TypeKind::kStruct: {
      std::string fields;
      for (const auto& field : type.fields) {
        fields +=
            fmt::format("{}{} {}", fields.empty() ? "" : ", ", DdlName(field.name), DdlType(field.type));
      }
      return fmt::format("STRUCT<{}>", fields);
    }
    default:
      return Upper(NameOf(type.kind));
  }
}

}  // namespace

Result<DataSchema> ParseDdlSchema(const Strings& columns) {
  DataSchema schema;
  for (const auto& column : columns) RETURN_IF_ERROR(DdlParser(column).ParseInto(&schema));
  return schema;
}

std::string ToDdl(const DataSchema& schema) {
  std::string text;
  for (const auto& field : schema.fields) {
    text += fmt::format("{}{} {}{}", text.empty() ? "" : ",\n", DdlName(field.name), DdlType(field.type),
                        field.type.is_option() ? "" : " NOT NULL");
  }
  return text.empty() ? text : text + "\n";
}

}  // namespace sluice::odf
