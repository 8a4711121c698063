#include "odf/type_text_internal.h"

#include <algorithm>
#include <charconv>

#include "odf/fields_internal.h"
#include "odf/yaml_tree_internal.h"

namespace sluice::odf {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// Short forms come in any case (odf-ingest.md 1.3).
bool IsSameName(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return Lower(x) == Lower(y); });
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// `name [< type , ... >] [( argument , ... )]`, recursively.
class TypeParser {
 public:
  explicit TypeParser(std::string_view text) : whole_(text), rest_(text) {}

  Result<DataType> ParseAll(int depth) {
    ASSIGN_OR_RETURN(DataType type, Parse(depth));
    if (!rest_.empty()) return Fail(fmt::format("'{}' after the type", rest_));
    return type;
  }

 private:
  Error Fail(std::string_view what) { return InvalidArgument("type '{}': {}", whole_, what); }

  void SkipSpace() { rest_ = Trimmed(rest_); }
  bool Take(char c) {
    SkipSpace();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string_view TakeUntil(std::string_view stops) {
    SkipSpace();
    const std::string_view word = rest_.substr(0, rest_.find_first_of(stops));
    rest_.remove_prefix(word.size());
    return Trimmed(word);
  }

  Result<DataType> Parse(int depth) {
    if (depth > kMaxTypeDepth) return Fail(fmt::format("nested deeper than {} levels", kMaxTypeDepth));
    const std::string_view name = TakeUntil("<>(),");
    const auto& names = UnionOf<DataType>::kNames;
    const auto found = std::find_if(std::begin(names), std::end(names),
                                    [&](std::string_view known) { return IsSameName(known, name); });
    if (found == std::end(names)) return InvalidArgument("{}", UnknownName("type", name, names));
    DataType type = DataType::Of(static_cast<TypeKind>(found - std::begin(names) + 1));
    if (Take('<')) {
      do {
        ASSIGN_OR_RETURN(DataType child, Parse(depth + 1));
        type.children.push_back(std::move(child));
      } while (Take(','));
      if (!Take('>')) return Fail("'>' is missing");
    }
    std::vector<std::string_view> arguments;
    if (Take('(')) {
      do {
        arguments.push_back(TakeUntil(",)"));
      } while (Take(','));
      if (!Take(')')) return Fail("')' is missing");
    }
    SkipSpace();
    RETURN_IF_ERROR(CheckChildren(type));
    RETURN_IF_ERROR(Apply(arguments, &type));
    return type;
  }

  Status CheckChildren(const DataType& type) {
    const size_t wanted = type.kind == TypeKind::kMap                                      ? 2
                          : type.kind == TypeKind::kList || type.kind == TypeKind::kOption ? 1
                                                                                           : 0;
    if (type.kind == TypeKind::kStruct) return Fail("a Struct needs the long form, with 'kind' and 'fields'");
    if (type.children.size() == wanted) return {};
    if (wanted == 0) return Fail(fmt::format("{} takes no types in '<>'", NameOf(type.kind)));
    return Fail(fmt::format("{0} needs {1} in '<>', or the long form, with 'kind'", NameOf(type.kind),
                            wanted == 1 ? "one type" : "two types"));
  }

  Status Apply(const std::vector<std::string_view>& arguments, DataType* type) {
    switch (type->kind) {
      case TypeKind::kDecimal:
        return ApplyDecimal(arguments, type);
      case TypeKind::kBinary:
      case TypeKind::kList:
        if (arguments.empty()) return {};
        type->fixed_length = ParseNumber<uint64_t>(arguments[0]);
        if (arguments.size() > 1 || !type->fixed_length) return Fail("one length is wanted in '()'");
        return {};
      case TypeKind::kDuration:
      case TypeKind::kTime:
      case TypeKind::kTimestamp:
        return ApplyUnit(arguments, type);
      default:
        return arguments.empty() ? Status()
                                 : Fail(fmt::format("{} takes nothing in '()'", NameOf(type->kind)));
    }
  }

  Status ApplyDecimal(const std::vector<std::string_view>& arguments, DataType* type) {
    const auto precision = arguments.size() == 2 ? ParseNumber<uint32_t>(arguments[0]) : std::nullopt;
    const auto scale = arguments.size() == 2 ? ParseNumber<int32_t>(arguments[1]) : std::nullopt;
    if (!precision || !scale) return Fail("a Decimal needs precision and scale, as in Decimal(10, 2)");
    type->precision = *precision;
    type->scale = *scale;
    return {};
  }

  Status ApplyUnit(const std::vector<std::string_view>& arguments, DataType* type) {
    if (arguments.empty()) return {};
    const auto& names = EnumOf<TimeUnit>::kNames;
    const auto unit = FindName(arguments[0], names);
    if (!unit) return InvalidArgument("{}", UnknownName("time unit", arguments[0], names));
    type->unit = static_cast<TimeUnit>(*unit);
    const size_t most = type->kind == TypeKind::kTimestamp ? 2 : 1;
    if (arguments.size() > most) return Fail("too many values in '()'");
    if (arguments.size() == 2) type->timezone = std::string(arguments[1]);
    return {};
  }

  std::string_view whole_;
  std::string_view rest_;
};

}  // namespace

bool IsSpellingOf(std::string_view text, std::string_view name) {
  if (text.size() != name.size() || text.empty()) return false;
  if (text == name) return true;
  if (text[0] != Lower(name[0])) return false;
  if (text.substr(1) == name.substr(1)) return true;
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] != Lower(name[i])) return false;
  }
  return true;
}

template <class T>
std::optional<T> ParseNumber(std::string_view text) {
  T value{};
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

template std::optional<int32_t> ParseNumber(std::string_view);
template std::optional<uint32_t> ParseNumber(std::string_view);
template std::optional<uint64_t> ParseNumber(std::string_view);

Result<DataType> ParseTypeText(std::string_view text, int depth) { return TypeParser(text).ParseAll(depth); }

}  // namespace sluice::odf
