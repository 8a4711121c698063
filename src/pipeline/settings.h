#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "pipeline/declaration.h"

namespace sluice::pipeline {

// A piece of the configuration file with its line, for options of type kTree. Templates are expanded.
struct Tree {
  struct Member;
  enum class Kind : uint8_t { kNull, kText, kList, kMap };
  Kind kind = Kind::kNull;
  std::string text;
  std::vector<Tree> items;
  std::vector<Member> members;  // in the order of the file
  std::string place;            // `feedback.yaml:12`

  const Tree* Find(std::string_view name) const;
  // `place: message`, kInvalidArgument.
  Error Complain(std::string_view message) const;
};
struct Tree::Member {
  std::string name;
  Tree value;
};

// One connector's options after the strict check: every getter finds a value of the declared type, the
// default where the file has none. Asking for what was not declared is a fault of the program (kInternal by
// Check in tests, an empty value otherwise). Immutable.
class Settings {
 public:
  const std::string& type() const { return type_; }
  const std::string& place() const { return place_; }
  bool has(std::string_view name) const;
  const std::string& text(std::string_view name) const;
  int64_t integer(std::string_view name) const;
  double number(std::string_view name) const;
  bool boolean(std::string_view name) const;
  std::chrono::milliseconds duration(std::string_view name) const;
  uint64_t bytes(std::string_view name) const;
  const std::vector<std::string>& texts(std::string_view name) const;
  const std::map<std::string, std::string>& text_map(std::string_view name) const;
  const Tree& tree(std::string_view name) const;
  const Settings& writer(std::string_view name) const;
  const std::vector<Settings>& writers(std::string_view name) const;
  // An error that names file, line and option.
  Error Complain(std::string_view option, std::string_view message) const;
  // The same beginning for an error that is found out later: `p.yaml:4: option 'uri'`.
  std::string Where(std::string_view option) const;

 private:
  friend class SettingsReader;  // settings.cc: makes them from a declaration and a Tree
  struct Value;
  std::string type_;
  std::string place_;
  std::map<std::string, std::shared_ptr<const Value>, std::less<>> values_;
};

// `text` without these values, which a configuration keeps secret. Values of less than four characters would
// take the text around them apart, and are none.
std::string HideSecrets(std::string text, std::vector<std::string> secrets);

}  // namespace sluice::pipeline
