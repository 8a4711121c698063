#pragma once

#include <optional>
#include <string>

#include "odf/events.h"

namespace sluice::ingest {

// What a source says about its data, taken from either kind of source event.
struct SourceDefinition {
  std::string name;
  odf::ReadStep read;
  std::optional<odf::TransformSql> preprocess;
  odf::MergeStrategy merge;

  bool operator==(const SourceDefinition&) const = default;
};

}  // namespace sluice::ingest
