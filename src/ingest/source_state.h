#pragma once

#include <optional>
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

// kPrecondition: the source is at `now` and not, as was said, at `expected`; nothing = none yet. The kinds
// are told where they are what differs.
Error NotAtState(const std::string& source_name, const std::optional<odf::SourceState>& now,
                 const std::optional<odf::SourceState>& expected);

// The state that a push source has after `input`; nothing = it stays. Errors: those of
// IngestInput::file_state.
Result<std::optional<odf::SourceState>> NextPushedState(const IngestInput& input,
                                                        const std::string& source_name, bool has_rows);

// The state to write, under `state_name`, with what `input` brought. While a polling source is active every
// AddData carries one, because other programs read only the last (decisions.md 3); without rows it is written
// only when it is another. Errors: those of IngestInput::polled_state.
Result<std::optional<odf::SourceState>> NextPolledState(const IngestInput& input,
                                                        const odf::ChainState& chain,
                                                        const std::string& state_name, bool has_rows);

// Whether a block that carries nothing but this state would say what the last one with data or state says:
// such a block is none (odf-metadata.md 6, V11), also where the source was added anew and has no state of its
// own.
bool RepeatsLast(const odf::ChainState& chain, const odf::SourceState& state);

}  // namespace sluice::ingest
