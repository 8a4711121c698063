#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::net {

// Header fields in order; names compare without regard to case. Thread-compatible.
class Headers {
 public:
  using Field = std::pair<std::string, std::string>;

  Headers() = default;
  Headers(std::initializer_list<Field> fields) : fields_(fields) {}

  void Add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  // In place of all fields of that name.
  void Set(std::string_view name, std::string value);
  void Remove(std::string_view name);
  // The first of that name.
  std::optional<std::string> Find(std::string_view name) const;
  bool Contains(std::string_view name) const { return Find(name).has_value(); }
  // All values of that name, joined by `, `, as the standard allows for list fields.
  std::string Joined(std::string_view name) const;
  const std::vector<Field>& fields() const { return fields_; }

 private:
  std::vector<Field> fields_;
};

bool EqualsIgnoringCase(std::string_view a, std::string_view b);
// Without spaces and tabs at both ends.
std::string_view Trimmed(std::string_view text);
// False for what would end the line or the header early.
bool IsSafeField(std::string_view name, std::string_view value);

}  // namespace sluice::net
