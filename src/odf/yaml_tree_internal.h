#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

// YAML and JSON texts as one small tree: what the manifest reader reads and the manifest writer makes.
// yaml-cpp and the JSON library are known to yaml_tree.cc and json_tree.cc alone.
namespace sluice::odf {

struct YamlNode {
  enum class Kind : uint8_t { kNull, kScalar, kSequence, kMapping };
  Kind kind = Kind::kNull;
  bool plain = false;             // scalar without quotes: may mean a number or a boolean
  int line = 0;                   // from 1; 0 when not from a text
  std::string text;               // of a scalar
  std::vector<std::string> keys;  // of a mapping, in order, distinct
  std::vector<int> key_lines;     // of `keys`, when from a text
  std::vector<YamlNode> items;    // of a sequence; the values of a mapping

  static YamlNode Text(std::string_view text);
  static YamlNode Plain(std::string text);
  static YamlNode Sequence();
  static YamlNode Mapping();

  bool is_null() const { return kind == Kind::kNull; }
  bool is_mapping() const { return kind == Kind::kMapping; }
  bool is_sequence() const { return kind == Kind::kSequence; }
  bool is_scalar() const { return kind == Kind::kScalar; }

  // The value of `key` in a mapping, or null.
  const YamlNode* Find(std::string_view key) const;
  void Add(std::string_view key, YamlNode value);
};

inline constexpr size_t kMaxManifestBytes = 16 << 20;
// Nesting of a manifest, and of types in it: what they describe must fit the limits of the block decoder.
inline constexpr int kMaxYamlDepth = 64;
inline constexpr int kMaxTypeDepth = 24;

// All non-empty documents of `text`. Aliases are resolved, up to a limit. Errors: kInvalidArgument
// `origin:line: ...` for a syntax error, a repeated key, a key that is no text, an unknown tag, a text too
// large or nested too deeply.
Result<std::vector<YamlNode>> ParseYaml(std::string_view text, std::string_view origin);

// Block style, two spaces, sequence items not indented below their key, strings quoted only where needed.
// Reading it gives the same tree.
std::string EmitYaml(const YamlNode& node);

// What a plain scalar means in the core schema of YAML 1.2.
enum class ScalarKind : uint8_t { kNull, kBool, kInteger, kFloat, kString };
ScalarKind KindOfScalar(std::string_view text);

// Errors: kInvalidArgument for a text that is no JSON or is nested too deeply.
Result<YamlNode> ParseJson(std::string_view json);
// The form of attributes in blocks (odf-metadata.md 4.7): no whitespace, keys sorted by bytes, shortest
// numbers. Errors: kInvalidArgument for a number that JSON cannot hold.
Result<std::string> CanonicalJson(const YamlNode& node);
// For people: two spaces, keys as they come.
std::string PrettyJson(const YamlNode& node);

}  // namespace sluice::odf
