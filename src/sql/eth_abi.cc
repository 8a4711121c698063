#include "sql/eth_abi.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>

#include "base/mutex.h"
#include "multiformats/sha3.h"
#include "sql/names.h"
#include "sql/scalar_functions.h"

namespace sluice::sql {
namespace {

using nlohmann::json;
using Kind = EthType::Kind;

constexpr size_t kWord = 32;
constexpr int kMaxDepth = 8;           // of arrays and tuples inside each other
constexpr size_t kMaxItems = 1 << 20;  // in one log, all arrays together
constexpr size_t kMaxParameters = 64;

// --- signatures

class SignatureReader {
 public:
  explicit SignatureReader(std::string_view text) : text_(text) {}

  Result<EthEvent> Read() {
    EthEvent event;
    event.name = Word();
    if (event.name == "event") {
      if (std::string name = Word(); !name.empty()) event.name = std::move(name);
    }
    if (event.name.empty()) return Wrong("the name of an event");
    if (!Take('(')) return Wrong("'('");
    if (!Take(')')) {
      do {
        ASSIGN_OR_RETURN(EthParameter parameter, Parameter());
        event.parameters.push_back(std::move(parameter));
        if (event.parameters.size() > kMaxParameters) return Wrong("fewer parameters");
      } while (Take(','));
      if (!Take(')')) return Wrong("',' or ')'");
    }
    if (const size_t before = at_; Word() != "anonymous") at_ = before;
    Take(';');
    SkipSpace();
    if (at_ < text_.size()) return Wrong("the end");
    return event;
  }

 private:
  void SkipSpace() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  bool Take(char c) {
    SkipSpace();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string Word() {
    SkipSpace();
    const size_t begin = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 ||
                                  text_[at_] == '_' || text_[at_] == '$'))
      ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }
  Error Wrong(std::string_view expected) const {
    return InvalidArgument("expected {} at character {} of the event signature '{}'", expected, at_ + 1,
                           text_.substr(0, 200));
  }

  Result<EthParameter> Parameter() {
    EthParameter parameter;
    ASSIGN_OR_RETURN(parameter.type, Type(0));
    parameter.name = Word();
    if (parameter.name == "indexed") {
      parameter.indexed = true;
      parameter.name = Word();
    }
    return parameter;
  }

  Result<EthType> Type(int depth) {
    if (depth > kMaxDepth) return Wrong("fewer types inside each other");
    EthType type;
    const std::string word = Word();
    if (word.empty() || word == "tuple") {
      ASSIGN_OR_RETURN(type, Tuple(depth));
    } else {
      ASSIGN_OR_RETURN(type, Plain(word));
    }
    while (Take('[')) {
      const std::string count = Word();
      if (!Take(']') || count.size() > 6 || !AllDigits(count) || ++depth > kMaxDepth)
        return Wrong("an array");
      EthType array;
      array.kind = count.empty() ? Kind::kList : Kind::kArray;
      array.size = count.empty() ? 0 : std::stoul(count);
      array.parts.push_back(std::move(type));
      type = std::move(array);
    }
    return type;
  }

  Result<EthType> Tuple(int depth) {
    EthType type;
    type.kind = Kind::kTuple;
    if (!Take('(')) return Wrong("a type");
    do {
      ASSIGN_OR_RETURN(EthType part, Type(depth + 1));
      type.parts.push_back(std::move(part));
      type.names.push_back(Word());
      if (type.parts.size() > kMaxParameters) return Wrong("fewer members");
    } while (Take(','));
    if (!Take(')')) return Wrong("',' or ')'");
    return type;
  }

  static bool AllDigits(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  }

  Result<EthType> Plain(const std::string& word) {
    EthType type;
    const auto number = [&](std::string_view lead) -> int {
      const std::string_view digits = std::string_view(word).substr(lead.size());
      return digits.empty() || digits.size() > 3 || !AllDigits(digits) ? -1 : std::stoi(std::string(digits));
    };
    if (word == "address") {
      type.kind = Kind::kAddress;
    } else if (word == "bool") {
      type.kind = Kind::kBool;
    } else if (word == "string") {
      type.kind = Kind::kString;
    } else if (word == "bytes") {
      type.kind = Kind::kBytes;
    } else if (word.starts_with("bytes")) {
      type.kind = Kind::kFixedBytes;
      const int size = number("bytes");
      if (size < 1 || size > 32) return Wrong("a type");
      type.size = static_cast<size_t>(size);
    } else if (word.starts_with("uint") || word.starts_with("int")) {
      const std::string_view lead = word[0] == 'u' ? "uint" : "int";
      type.kind = word[0] == 'u' ? Kind::kUint : Kind::kInt;
      if (word != lead) type.bits = number(lead);
      if (type.bits < 8 || type.bits > 256 || type.bits % 8 != 0) return Wrong("a type");
    } else {
      return Wrong("a type");
    }
    return type;
  }

  std::string_view text_;
  size_t at_ = 0;
};

std::string NameOf(const EthType& type) {
  switch (type.kind) {
    case Kind::kUint:
      return fmt::format("uint{}", type.bits);
    case Kind::kInt:
      return fmt::format("int{}", type.bits);
    case Kind::kAddress:
      return "address";
    case Kind::kBool:
      return "bool";
    case Kind::kFixedBytes:
      return fmt::format("bytes{}", type.size);
    case Kind::kBytes:
      return "bytes";
    case Kind::kString:
      return "string";
    case Kind::kArray:
      return fmt::format("{}[{}]", NameOf(type.parts[0]), type.size);
    case Kind::kList:
      return NameOf(type.parts[0]) + "[]";
    case Kind::kTuple:
      break;
  }
  std::string name;
  for (const EthType& part : type.parts) name += (name.empty() ? "" : ",") + NameOf(part);
  return "(" + name + ")";
}

// --- values

bool IsDynamic(const EthType& type) {
  switch (type.kind) {
    case Kind::kBytes:
    case Kind::kString:
    case Kind::kList:
      return true;
    case Kind::kArray:
    case Kind::kTuple:
      return std::any_of(type.parts.begin(), type.parts.end(), IsDynamic);
    default:
      return false;
  }
}

// Bytes that a value takes where it stands; those of dynamic types stand elsewhere.
size_t HeadBytes(const EthType& type) {
  if (IsDynamic(type)) return kWord;
  // More than any data has, so that sizes do not overflow.
  constexpr size_t kMost = size_t{1} << 40;
  if (type.kind == Kind::kArray) return std::min(type.size * HeadBytes(type.parts[0]), kMost);
  if (type.kind != Kind::kTuple) return kWord;
  size_t bytes = 0;
  for (const EthType& part : type.parts) bytes += HeadBytes(part);
  return std::min(bytes, kMost);
}

std::string Hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

// Decimal digits of a big-endian number.
std::string Decimal(std::string bytes) {
  std::string digits;
  while (std::any_of(bytes.begin(), bytes.end(), [](char c) { return c != 0; })) {
    unsigned rest = 0;
    for (char& c : bytes) {
      const unsigned value = rest * 256 + static_cast<unsigned char>(c);
      c = static_cast<char>(value / 10);
      rest = value % 10;
    }
    digits += static_cast<char>('0' + rest);
  }
  if (digits.empty()) digits = "0";
  std::reverse(digits.begin(), digits.end());
  return digits;
}

json Integer(const EthType& type, std::string_view word) {
  // Only the type's own bytes count.
  std::string bytes(word.substr(kWord - static_cast<size_t>(type.bits) / 8));
  const bool negative = type.kind == Kind::kInt && (static_cast<unsigned char>(bytes[0]) & 0x80) != 0;
  if (type.bits <= 64) {
    uint64_t value = negative ? ~uint64_t{0} : 0;
    for (const char c : bytes) value = (value << 8) | static_cast<unsigned char>(c);
    if (type.kind == Kind::kInt) return static_cast<int64_t>(value);
    return value;
  }
  if (!negative) return Decimal(std::move(bytes));
  // Two's complement.
  for (char& c : bytes) c = static_cast<char>(~c);
  for (size_t i = bytes.size(); i-- > 0;) {
    bytes[i] = static_cast<char>(bytes[i] + 1);
    if (bytes[i] != 0) break;
  }
  return "-" + Decimal(std::move(bytes));
}

class Decoder {
 public:
  // Values one after the other from `frame`, which offsets count from.
  Result<std::vector<json>> Sequence(std::string_view frame, std::span<const EthType* const> types) {
    std::vector<json> values;
    size_t at = 0;
    for (const EthType* type : types) {
      ASSIGN_OR_RETURN(json value, Value(*type, frame, at));
      at += HeadBytes(*type);
      values.push_back(std::move(value));
    }
    return values;
  }

  Result<json> Word(const EthType& type, std::string_view word) const {
    switch (type.kind) {
      case Kind::kAddress:
        return json(Hex(word.substr(kWord - 20)));
      case Kind::kBool:
        return json(word.find_first_not_of('\0') != std::string_view::npos);
      case Kind::kFixedBytes:
        return json(Hex(word.substr(0, type.size)));
      default:
        return Integer(type, word);
    }
  }

 private:
  static Error TooShort() {
    return InvalidArgument("the data of the log is too short for the event's parameters");
  }

  static Result<std::string_view> WordAt(std::string_view frame, size_t at) {
    if (frame.size() < kWord || at > frame.size() - kWord) return TooShort();
    return frame.substr(at, kWord);
  }

  // A word as a number of bytes or items.
  static Result<size_t> CountAt(std::string_view frame, size_t at) {
    ASSIGN_OR_RETURN(const std::string_view word, WordAt(frame, at));
    size_t count = 0;
    for (size_t i = 0; i < kWord; ++i) {
      if (i < kWord - 4 && word[i] != 0) return TooShort();
      count = (count << 8) | static_cast<unsigned char>(word[i]);
    }
    return count;
  }

  Result<json> Value(const EthType& type, std::string_view frame, size_t at) {
    if (!IsDynamic(type)) {
      if (type.kind == Kind::kArray || type.kind == Kind::kTuple) return Many(type, frame, at, 0);
      ASSIGN_OR_RETURN(const std::string_view word, WordAt(frame, at));
      return Word(type, word);
    }
    ASSIGN_OR_RETURN(const size_t offset, CountAt(frame, at));
    if (offset > frame.size()) return TooShort();
    frame.remove_prefix(offset);
    if (type.kind == Kind::kArray || type.kind == Kind::kTuple) return Many(type, frame, 0, 0);
    ASSIGN_OR_RETURN(const size_t count, CountAt(frame, 0));
    frame.remove_prefix(kWord);
    if (type.kind == Kind::kList) return Many(type, frame, 0, count);
    if (count > frame.size()) return TooShort();
    const std::string_view bytes = frame.substr(0, count);
    if (type.kind == Kind::kBytes) return json(Hex(bytes));
    return json(std::string(bytes));
  }

  // Members or items that begin at `at` of `frame`.
  Result<json> Many(const EthType& type, std::string_view frame, size_t at, size_t count) {
    if (type.kind == Kind::kArray) count = type.size;
    if (type.kind == Kind::kTuple) count = type.parts.size();
    items_ += count;
    if (items_ > kMaxItems) return InvalidArgument("the log has more than {} items", kMaxItems);
    json out = type.kind == Kind::kTuple ? json::object() : json::array();
    for (size_t i = 0; i < count; ++i) {
      const EthType& part = type.kind == Kind::kTuple ? type.parts[i] : type.parts[0];
      ASSIGN_OR_RETURN(json value, Value(part, frame, at));
      at += HeadBytes(part);
      if (type.kind != Kind::kTuple) {
        out.push_back(std::move(value));
      } else {
        out[type.names[i].empty() ? std::to_string(i) : type.names[i]] = std::move(value);
      }
    }
    return out;
  }

  size_t items_ = 0;
};

}  // namespace

Result<EthEvent> EthEvent::Parse(std::string_view signature) { return SignatureReader(signature).Read(); }

std::string EthEvent::Canonical() const {
  std::string types;
  for (const EthParameter& parameter : parameters)
    types += (types.empty() ? "" : ",") + NameOf(parameter.type);
  return fmt::format("{}({})", name, types);
}

std::string EthEvent::Selector() const {
  const auto digest = multiformats::Keccak256(Canonical());
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

Result<std::string> DecodeEthEvent(const EthEvent& event,
                                   std::span<const std::optional<std::string_view>> topics,
                                   std::string_view data) {
  size_t given = 0;
  while (given < topics.size() && topics[given]) ++given;
  const auto indexed = static_cast<size_t>(std::count_if(event.parameters.begin(), event.parameters.end(),
                                                         [](const EthParameter& p) { return p.indexed; }));
  if (given == 0 || *topics[0] != event.Selector())
    return InvalidArgument("the log is not of the event '{}'", event.Canonical());
  if (given != indexed + 1) {
    return InvalidArgument("the log has {} topics, but the event '{}' has {} indexed parameters", given,
                           event.Canonical(), indexed);
  }
  std::vector<const EthType*> types;
  for (const EthParameter& parameter : event.parameters) {
    if (!parameter.indexed) types.push_back(&parameter.type);
  }
  Decoder decoder;
  ASSIGN_OR_RETURN(std::vector<json> values, decoder.Sequence(data, types));
  json out = json::object();
  size_t topic = 1, value = 0;
  for (size_t i = 0; i < event.parameters.size(); ++i) {
    const EthParameter& parameter = event.parameters[i];
    const std::string name = parameter.name.empty() ? std::to_string(i) : parameter.name;
    if (!parameter.indexed) {
      out[name] = std::move(values[value++]);
      continue;
    }
    const std::string_view word = *topics[topic++];
    if (word.size() != kWord)
      return InvalidArgument("a topic of {} bytes; topics have {}", word.size(), kWord);
    const bool hashed = IsDynamic(parameter.type) || !parameter.type.parts.empty();
    if (hashed) {
      out[name] = Hex(word);
    } else {
      ASSIGN_OR_RETURN(out[name], decoder.Word(parameter.type, word));
    }
  }
  out["name"] = event.name;
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

namespace {

using Given = Result<std::optional<CellValue>>;

// Signatures are constants of a query: parsed once. Thread-safe.
class EventCache {
 public:
  Result<std::shared_ptr<const EthEvent>> Find(std::string_view signature) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    auto found = events_.find(signature);
    if (found != events_.end()) return found->second;
    ASSIGN_OR_RETURN(EthEvent event, EthEvent::Parse(signature));
    if (events_.size() >= kMost) events_.clear();
    auto shared = std::make_shared<const EthEvent>(std::move(event));
    events_.emplace(signature, shared);
    return shared;
  }

 private:
  static constexpr size_t kMost = 256;
  Mutex mutex_;
  std::map<std::string, std::shared_ptr<const EthEvent>, std::less<>> events_ GUARDED_BY(mutex_);
};

}  // namespace

Status RegisterEthFunctions(duckdb_connection connection) {
  using enum CellType;
  auto cache = std::make_shared<EventCache>();
  RETURN_IF_ERROR(
      RegisterScalar(connection, {std::string(kMacroPrefix) + "eth_event_selector",
                                  {kText},
                                  kBinary,
                                  false,
                                  [cache](std::span<const Cell> cells) -> Given {
                                    ASSIGN_OR_RETURN(const auto event, cache->Find(cells[0].text));
                                    return std::optional<CellValue>(CellValue{event->Selector(), 0});
                                  }}));
  for (const bool strict : {true, false}) {
    const auto decode = [cache, strict](std::span<const Cell> cells) -> Given {
      if (cells[0].is_null) return std::optional<CellValue>();
      ASSIGN_OR_RETURN(const auto event, cache->Find(cells[0].text));
      std::vector<std::optional<std::string_view>> topics;
      for (size_t i = 1; i <= 4; ++i) {
        topics.push_back(cells[i].is_null ? std::nullopt : std::optional<std::string_view>(cells[i].text));
      }
      auto text = DecodeEthEvent(*event, topics, cells[5].is_null ? std::string_view() : cells[5].text);
      if (text.ok()) return std::optional<CellValue>(CellValue{std::move(text).value(), 0});
      if (!strict) return std::optional<CellValue>();
      return std::move(text).error();
    };
    RETURN_IF_ERROR(RegisterScalar(
        connection, {std::string(kMacroPrefix) + (strict ? "eth_decode_event" : "eth_try_decode_event"),
                     {kText, kBinary, kBinary, kBinary, kBinary, kBinary},
                     kText,
                     true,
                     decode}));
  }
  return {};
}

}  // namespace sluice::sql
