#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "ingest/ingest.h"
#include "odf/chain_state.h"

namespace sluice::ingest {

// Which inputs of a group are in the dataset already, by the states of their source (push-protocol.md 1,
// decisions.md 13): each is compared with the state that the one before it leaves. Cheap, so that it can be
// asked again under the locks. Errors: kInvalidArgument for states that cannot be; kPrecondition when the
// source is not at an expected state.
Result<std::vector<bool>> FindTaken(const odf::ChainState& chain, const std::string& source_name,
                                    const std::vector<IngestInput>& inputs);

}  // namespace sluice::ingest
