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

inline SourceDefinition DefinitionOf(const odf::AddPushSource& event) {
  return {event.source_name, event.read, event.preprocess, event.merge};
}

}  // namespace sluice::ingest
