#include "read/json_text.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "read/blocks.h"

namespace sluice::read {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

const char* Fail(const char* at, const char* reason, JsonError* error) {
  error->at = at;
  error->reason = reason;
  return nullptr;
}

// The first quote, backslash or control character at or after `p`. The zeros behind every text end the
// search.
const char* FindStringEnd(const char* p) {
#if defined(__SSE2__)
  const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), last_control = _mm_set1_epi8(0x1f);
  for (;; p += 16) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, last_control), v);
    const __m128i hit =
        _mm_or_si128(control, _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)));
    const auto mask = static_cast<uint32_t>(_mm_movemask_epi8(hit));
    if (mask != 0) return p + std::countr_zero(mask);
  }
#else
  while (*p != '"' && *p != '\\' && static_cast<unsigned char>(*p) > 0x1f) ++p;
  return p;
#endif
}

int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Four hexadecimal digits at `p`, -1 when they are not.
int ReadHex4(const char* p) {
  int value = 0;
  for (int i = 0; i < 4; ++i) {
    const int digit = HexValue(p[i]);
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

// Checks the escape at `p` (a backslash) and returns what follows it.
const char* SkipEscape(const char* p, JsonError* error) {
  switch (p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
      return p + 2;
    case 'u':
      break;
    default:
      return Fail(p, "unknown escape in a string", error);
  }
  const int unit = ReadHex4(p + 2);
  if (unit < 0) return Fail(p, "malformed \\u escape", error);
  if (unit >= 0xdc00 && unit <= 0xdfff) return Fail(p, "unpaired surrogate in a \\u escape", error);
  if (unit < 0xd800 || unit > 0xdbff) return p + 6;
  if (p[6] != '\\' || p[7] != 'u') return Fail(p, "unpaired surrogate in a \\u escape", error);
  const int low = ReadHex4(p + 8);
  if (low < 0xdc00 || low > 0xdfff) return Fail(p, "unpaired surrogate in a \\u escape", error);
  return p + 12;
}

// `p` is behind the opening quote; returns what follows the closing one.
const char* SkipString(const char* p, JsonError* error) {
  for (;;) {
    p = FindStringEnd(p);
    if (*p == '"') return p + 1;
    if (*p != '\\')
      return Fail(p, *p == '\0' ? "string is not closed" : "control character in a string", error);
    p = SkipEscape(p, error);
    if (p == nullptr) return nullptr;
  }
}

const char* SkipNumber(const char* p, JsonError* error) {
  const char* start = p;
  if (*p == '-') ++p;
  if (*p == '0') {
    ++p;
    if (IsDigit(*p)) return Fail(start, "number with a leading zero", error);
  } else if (IsDigit(*p)) {
    while (IsDigit(*p)) ++p;
  } else {
    return Fail(start, "malformed number", error);
  }
  if (*p == '.') {
    if (!IsDigit(*++p)) return Fail(start, "malformed number", error);
    while (IsDigit(*p)) ++p;
  }
  if (*p == 'e' || *p == 'E') {
    ++p;
    if (*p == '+' || *p == '-') ++p;
    if (!IsDigit(*p)) return Fail(start, "malformed number", error);
    while (IsDigit(*p)) ++p;
  }
  return p;
}

const char* SkipLiteral(const char* p, std::string_view word, JsonError* error) {
  if (std::memcmp(p, word.data(), word.size()) != 0) return Fail(p, "unknown word", error);
  return p + word.size();
}

// Goes through the object at `p`; `visit(key literal, value)` for each member. Text in `visit` is already
// checked.
template <class Visit>
const char* WalkObject(const char* p, int depth, JsonError* error, const Visit& visit) {
  if (depth >= kMaxJsonDepth) return Fail(p, "nested too deeply", error);
  p = SkipJsonSpace(p + 1);
  if (*p == '}') return p + 1;
  for (;;) {
    if (*p != '"') return Fail(p, *p == '\0' ? "object is not closed" : "expected a key in quotes", error);
    const char* key = p;
    p = SkipString(p + 1, error);
    if (p == nullptr) return nullptr;
    const std::string_view key_literal(key, static_cast<size_t>(p - key));
    if (*p != ':') {
      p = SkipJsonSpace(p);
      if (*p != ':') return Fail(p, "expected ':' after a key", error);
    }
    p = SkipJsonSpace(p + 1);
    const char* value = p;
    p = SkipJsonValue(p, depth + 1, error);
    if (p == nullptr) return nullptr;
    visit(key_literal, std::string_view(value, static_cast<size_t>(p - value)));
    if (*p != ',') p = SkipJsonSpace(p);
    if (*p == '}') return p + 1;
    if (*p != ',') return Fail(p, *p == '\0' ? "object is not closed" : "expected ',' or '}'", error);
    p = SkipJsonSpace(p + 1);
  }
}

template <class Visit>
const char* WalkArray(const char* p, int depth, JsonError* error, const Visit& visit) {
  if (depth >= kMaxJsonDepth) return Fail(p, "nested too deeply", error);
  p = SkipJsonSpace(p + 1);
  if (*p == ']') return p + 1;
  for (;;) {
    const char* value = p;
    p = SkipJsonValue(p, depth + 1, error);
    if (p == nullptr) return nullptr;
    visit(std::string_view(value, static_cast<size_t>(p - value)));
    p = SkipJsonSpace(p);
    if (*p == ']') return p + 1;
    if (*p != ',') return Fail(p, *p == '\0' ? "array is not closed" : "expected ',' or ']'", error);
    p = SkipJsonSpace(p + 1);
  }
}

char* AppendUtf8(char* o, int code) {
  if (code < 0x80) {
    *o++ = static_cast<char>(code);
  } else if (code < 0x800) {
    *o++ = static_cast<char>(0xc0 | (code >> 6));
    *o++ = static_cast<char>(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    *o++ = static_cast<char>(0xe0 | (code >> 12));
    *o++ = static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    *o++ = static_cast<char>(0x80 | (code & 0x3f));
  } else {
    *o++ = static_cast<char>(0xf0 | (code >> 18));
    *o++ = static_cast<char>(0x80 | ((code >> 12) & 0x3f));
    *o++ = static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    *o++ = static_cast<char>(0x80 | (code & 0x3f));
  }
  return o;
}

// One checked escape at `*p`, which moves behind it.
char* DecodeEscape(const char** p, char* o) {
  const char letter = (*p)[1];
  if (letter != 'u') {
    *o++ = letter == 'b'   ? '\b'
           : letter == 'f' ? '\f'
           : letter == 'n' ? '\n'
           : letter == 'r' ? '\r'
           : letter == 't' ? '\t'
                           : letter;
    *p += 2;
    return o;
  }
  int code = ReadHex4(*p + 2);
  *p += 6;
  if (code >= 0xd800 && code <= 0xdbff) {
    code = 0x10000 + ((code - 0xd800) << 10) + (ReadHex4(*p + 2) - 0xdc00);
    *p += 6;
  }
  return AppendUtf8(o, code);
}

void AppendCanonical(std::string_view value, TextArena* arena, std::string* out) {
  switch (KindOf(value)) {
    case JsonKind::kObject: {
      std::vector<JsonMember> members;
      ListMembers(value, arena, &members);
      std::stable_sort(members.begin(), members.end(),
                       [](const auto& a, const auto& b) { return a.key < b.key; });
      *out += '{';
      bool first = true;
      for (size_t i = 0; i < members.size(); ++i) {
        if (i + 1 < members.size() && members[i + 1].key == members[i].key) continue;
        if (!first) *out += ',';
        first = false;
        AppendJsonString(members[i].key, out);
        *out += ':';
        AppendCanonical(members[i].value, arena, out);
      }
      *out += '}';
      return;
    }
    case JsonKind::kArray: {
      std::vector<std::string_view> elements;
      ListElements(value, &elements);
      *out += '[';
      for (size_t i = 0; i < elements.size(); ++i) {
        if (i > 0) *out += ',';
        AppendCanonical(elements[i], arena, out);
      }
      *out += ']';
      return;
    }
    case JsonKind::kString:
      AppendJsonString(DecodeJsonString(value, arena), out);
      return;
    default:
      *out += value;
  }
}

}  // namespace

const char* SkipJsonSpace(const char* p) {
  while (IsSpace(*p)) ++p;
  return p;
}

const char* SkipJsonValue(const char* p, int depth, JsonError* error) {
  switch (*p) {
    case '"':
      return SkipString(p + 1, error);
    case '{':
      return WalkObject(p, depth, error, [](std::string_view, std::string_view) {});
    case '[':
      return WalkArray(p, depth, error, [](std::string_view) {});
    case 't':
      return SkipLiteral(p, "true", error);
    case 'f':
      return SkipLiteral(p, "false", error);
    case 'n':
      return SkipLiteral(p, "null", error);
    case '\0':
      return Fail(p, "value is missing", error);
    default:
      break;
  }
  if (*p == '-' || IsDigit(*p)) return SkipNumber(p, error);
  return Fail(p, "unexpected character", error);
}

char* TextArena::Allocate(size_t size) {
  if (used_ + size > capacity_) {
    capacity_ = std::max<size_t>(size, 64 << 10);
    blocks_.emplace_back(new char[capacity_]);
    used_ = 0;
  }
  char* p = blocks_.back().get() + used_;
  used_ += size;
  return p;
}

std::string_view TextArena::Copy(std::string_view text) {
  char* p = Allocate(text.size() + 1);  // never empty: a cell needs an address
  std::memcpy(p, text.data(), text.size());
  return {p, text.size()};
}

void TextArena::Clear() {
  if (blocks_.empty()) return;
  std::unique_ptr<char[]> last = std::move(blocks_.back());
  blocks_.clear();
  blocks_.push_back(std::move(last));
  used_ = 0;
}

std::string_view DecodeJsonString(std::string_view literal, TextArena* arena) {
  const std::string_view inside = literal.substr(1, literal.size() - 2);
  if (std::memchr(inside.data(), '\\', inside.size()) == nullptr) return inside;
  char* const out = arena->Allocate(inside.size());
  char* o = out;
  const char* p = inside.data();
  const char* end = p + inside.size();
  while (p < end) {
    if (*p == '\\') {
      o = DecodeEscape(&p, o);
    } else {
      *o++ = *p++;
    }
  }
  return {out, static_cast<size_t>(o - out)};
}

void AppendJsonString(std::string_view text, std::string* out) {
  constexpr char kHex[] = "0123456789abcdef";
  *out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '"':
        *out += "\\\"";
        break;
      case '\\':
        *out += "\\\\";
        break;
      case '\b':
        *out += "\\b";
        break;
      case '\f':
        *out += "\\f";
        break;
      case '\n':
        *out += "\\n";
        break;
      case '\r':
        *out += "\\r";
        break;
      case '\t':
        *out += "\\t";
        break;
      default:
        if (byte < 0x20) {
          *out += "\\u00";
          *out += kHex[byte >> 4];
          *out += kHex[byte & 15];
        } else {
          *out += c;
        }
    }
  }
  *out += '"';
}

std::string CanonicalJson(std::string_view value) {
  TextArena arena;
  std::string out;
  AppendCanonical(value, &arena, &out);
  return out;
}

JsonKind KindOf(std::string_view value) {
  switch (value[0]) {
    case '"':
      return JsonKind::kString;
    case '{':
      return JsonKind::kObject;
    case '[':
      return JsonKind::kArray;
    case 't':
    case 'f':
      return JsonKind::kBool;
    case 'n':
      return JsonKind::kNull;
    default:
      return JsonKind::kNumber;
  }
}

std::string_view NameWithArticle(JsonKind kind) {
  switch (kind) {
    case JsonKind::kNull:
      return "null";
    case JsonKind::kBool:
      return "a bool";
    case JsonKind::kNumber:
      return "a number";
    case JsonKind::kString:
      return "a string";
    case JsonKind::kArray:
      return "an array";
    case JsonKind::kObject:
      return "an object";
  }
  return "";
}

void ListMembers(std::string_view object, TextArena* arena, std::vector<JsonMember>* members) {
  JsonError error;
  WalkObject(object.data(), 0, &error, [&](std::string_view key, std::string_view value) {
    members->push_back({DecodeJsonString(key, arena), value});
  });
}

void ListElements(std::string_view array, std::vector<std::string_view>* elements) {
  JsonError error;
  WalkArray(array.data(), 0, &error, [&](std::string_view value) { elements->push_back(value); });
}

JsonSlots::JsonSlots(std::vector<std::string> names) : names_(std::move(names)) {
  buckets_.assign(std::bit_ceil(names_.size() * 2 + 1), 0);
  const size_t mask = buckets_.size() - 1;
  for (size_t slot = 0; slot < names_.size(); ++slot) {
    size_t bucket = std::hash<std::string_view>{}(names_[slot]) & mask;
    while (buckets_[bucket] != 0) bucket = (bucket + 1) & mask;
    buckets_[bucket] = static_cast<uint32_t>(slot + 1);
  }
}

int JsonSlots::Find(std::string_view key) {
  if (guess_ < names_.size() && names_[guess_] == key) return static_cast<int>(guess_++);
  const size_t mask = buckets_.size() - 1;
  for (size_t bucket = std::hash<std::string_view>{}(key)&mask; buckets_[bucket] != 0;
       bucket = (bucket + 1) & mask) {
    const size_t slot = buckets_[bucket] - 1;
    if (names_[slot] != key) continue;
    guess_ = slot + 1;
    return static_cast<int>(slot);
  }
  return -1;
}

const char* JsonSlots::ReadObject(const char* p, int depth, std::string_view* values, std::string* unknown,
                                  JsonError* error) {
  std::fill(values, values + names_.size(), std::string_view());
  guess_ = 0;
  TextArena arena;
  return WalkObject(p, depth, error, [&](std::string_view key, std::string_view value) {
    const std::string_view name = DecodeJsonString(key, &arena);
    const int slot = Find(name);
    if (slot >= 0) {
      values[slot] = value[0] == 'n' ? std::string_view() : value;
    } else if (unknown != nullptr && unknown->empty()) {
      *unknown = name;
    }
  });
}

int64_t CountLineFeeds(const char* begin, const char* end) {
  int64_t count = 0;
#if defined(__SSE2__)
  const __m128i feed = _mm_set1_epi8('\n');
  for (; end - begin >= 16; begin += 16) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(begin));
    count += std::popcount(static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(v, feed))));
  }
#endif
  return count + std::count(begin, end, '\n');
}

size_t FindLastJsonRecordEnd(std::string_view text) {
  size_t end = text.size();
  while (end > 0) {
    const void* found = ::memrchr(text.data(), '\n', end);
    if (found == nullptr) return 0;
    const auto feed = static_cast<size_t>(static_cast<const char*>(found) - text.data());
    size_t before = feed, after = feed + 1;
    while (before > 0 && IsSpace(text[before - 1])) --before;
    while (after < text.size() && IsSpace(text[after])) ++after;
    // Blank text up to here belongs to whatever follows it.
    if (before == 0) return 0;
    const bool ends_value = std::string_view("{[,:").find(text[before - 1]) == std::string_view::npos;
    const bool starts_value =
        after < text.size() && std::string_view("}],:").find(text[after]) == std::string_view::npos;
    if (ends_value && starts_value) return feed + 1;
    end = before;
  }
  return 0;
}

}  // namespace sluice::read
