#pragma once

#include <cstddef>
#include <vector>

#include "base/result.h"
#include "odf/events.h"
#include "workspace/workspace.h"

// Snapshots of several datasets that refer to each other by name.
namespace sluice::workspace {

// Places of `snapshots` in an order that has inputs before what is derived from them. Errors:
// kInvalidArgument for a circle, naming one of its members.
Result<std::vector<size_t>> DependencyOrder(const std::vector<const odf::DatasetSnapshot*>& snapshots);

// Names of inputs become ids; `made` are datasets that do not exist yet. `workspace` is asked for the others.
// Errors: kNotFound with near names.
Status ResolveInputs(const Workspace& workspace, const std::vector<NewDataset>& made,
                     std::vector<odf::MetadataEvent>* events);

}  // namespace sluice::workspace
