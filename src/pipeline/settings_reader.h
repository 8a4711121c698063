#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "pipeline/registry.h"
#include "pipeline/settings.h"

namespace sluice::pipeline {

// What an entry of a list of writers may say beside the writer's own options: `policy`, `attempts`,
// `dead_letter`.
const std::vector<Option>& BranchOptions();

// Holds what a file says against what a connector declares. Confined.
class SettingsReader {
 public:
  // `registry` outlives the reader.
  explicit SettingsReader(const Registry& registry) : registry_(registry) {}

  // `{type: ..., option: value...}`. `also` = keys of the entry that are the pipeline's own (`when`), left
  // alone. Errors: kInvalidArgument with file and line for an unknown type or key (with near names), a wrong
  // type or value, a missing one; kUnsupported for a connector that was not built is left to the registry.
  Result<Settings> Read(const Tree& tree, ConnectorKind kind, const std::vector<std::string_view>& also = {});
  // A group of options of the pipeline's own, such as `retry`, by the same rules. `name` for errors.
  Result<Settings> ReadGroup(const Tree& tree, std::string_view name, const std::vector<Option>& options);
  // Nothing given: all defaults.
  Result<Settings> Defaults(const std::vector<Option>& options);

  // Values of sensitive options that were met, to be kept out of what people see.
  const std::vector<std::string>& secrets() const { return secrets_; }

 private:
  // A writer of several, and what else stands in its entry (BranchOptions), as options `branch.NAME`.
  Result<Settings> ReadBranch(const Tree& tree);
  Status ReadOptions(const Tree* tree, std::string_view what, const std::vector<Option>& options,
                     const std::vector<std::string_view>& also, Settings* settings);
  Status ReadValue(const Tree& tree, const Option& option, Settings::Value* value);
  Status ReadText(const Tree& tree, const Option& option, Settings::Value* value);

  const Registry& registry_;
  std::vector<std::string> secrets_;
};

}  // namespace sluice::pipeline
