#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/instant.h"
#include "base/result.h"
#include "odf/events.h"

namespace sluice::fetch {

// Event time of rows that have none, for a source whose metadata says `changed` (odf-ingest.md 5.12): nothing
// means the system time of the commit. Errors: kInvalidArgument for fromPath, which goes with filesGlob.
Result<std::optional<Instant>> MetadataEventTime(const std::optional<odf::EventTimeSource>& source,
                                                 std::optional<Instant> changed);

// Event time in a file's name: group 1 of the pattern, read by a strftime format (default `%Y-%m-%d`). A time
// without zone is UTC. Errors: kInvalidArgument naming file, pattern and format.
Result<Instant> PathEventTime(const odf::EventTimeSource& source, std::string_view base_name);

// The pattern and format alone: asked when a source is added. `from_path` and `from_metadata`: whether the
// kind of fetch has them.
Status CheckEventTime(const std::optional<odf::EventTimeSource>& source, bool from_path, bool from_metadata);

}  // namespace sluice::fetch
