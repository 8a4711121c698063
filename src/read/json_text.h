#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// JSON as text: where values begin and end, and what they say. Values stay text until a column wants them, so
// that numbers of any size keep every digit. Every byte is checked (grammar, escapes, depth), also in parts
// that nobody asked for.
//
// All texts given here must be followed by kBlockPadding readable zeros (TextBlock has them); UTF-8 is
// checked elsewhere.
namespace sluice::read {

// Deeper documents are refused.
inline constexpr int kMaxJsonDepth = 128;

struct JsonError {
  const char* at = nullptr;
  const char* reason = nullptr;  // static text
};

// The first character at or after `p` that is not white space.
const char* SkipJsonSpace(const char* p);

// Checks the value at `p` (no space in front) and returns what follows it; null with `error` filled in.
const char* SkipJsonValue(const char* p, int depth, JsonError* error);

// Bytes that live as long as somebody needs decoded texts. Confined to one thread.
class TextArena {
 public:
  char* Allocate(size_t size);
  std::string_view Copy(std::string_view text);
  void Clear();

 private:
  std::vector<std::unique_ptr<char[]>> blocks_;
  size_t used_ = 0, capacity_ = 0;
};

// What a checked string literal says, quotes and escapes removed: part of the literal itself, or in `arena`.
std::string_view DecodeJsonString(std::string_view literal, TextArena* arena);

// `text` as a JSON string literal.
void AppendJsonString(std::string_view text, std::string* out);

// A checked value without white space, object keys sorted (of equal ones the last), numbers as they were
// written.
std::string CanonicalJson(std::string_view value);

enum class JsonKind : uint8_t { kNull, kBool, kNumber, kString, kArray, kObject };
// Of a checked value, by its first character.
JsonKind KindOf(std::string_view value);
// "a number", "an object", ... for messages.
std::string_view NameWithArticle(JsonKind kind);

struct JsonMember {
  std::string_view key;  // decoded
  std::string_view value;
};

// Members of an object, elements of an array, both checked before, in order; duplicate keys included.
void ListMembers(std::string_view object, TextArena* arena, std::vector<JsonMember>* members);
void ListElements(std::string_view array, std::vector<std::string_view>* elements);

// Where the values of known keys go: slot i belongs to name i. A key may repeat, the last value stays.
// Confined to one thread.
class JsonSlots {
 public:
  explicit JsonSlots(std::vector<std::string> names);
  size_t size() const { return names_.size(); }
  const std::string& name(size_t slot) const { return names_[slot]; }

  // Fills values[0..size) from the object at `p` (which must be `{`), empty where a key is absent or null;
  // returns what follows it, null with `error` filled in. `unknown`, where given, receives the first key that
  // has no slot.
  const char* ReadObject(const char* p, int depth, std::string_view* values, std::string* unknown,
                         JsonError* error);

 private:
  int Find(std::string_view key);

  std::vector<std::string> names_;
  std::vector<uint32_t> buckets_;  // open addressing, slot + 1
  size_t guess_ = 0;               // the slot after the last one found: records mostly have the same order
};

int64_t CountLineFeeds(const char* begin, const char* end);

// Bytes of whole records at the front of an NDJSON text, 0 when there is no end of one. A record ends at a
// line feed between two values: within a value there would be a comma, colon or bracket.
size_t FindLastJsonRecordEnd(std::string_view text);

}  // namespace sluice::read
