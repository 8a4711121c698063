#include "ingest/source_state.h"

#include <algorithm>

namespace sluice::ingest {
namespace {

constexpr size_t kMaxStateBytes = 64 << 10;
constexpr size_t kMaxKindBytes = 256;

bool IsVisible(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

Status CheckStates(const IngestInput& input) {
  if (!input.next_state) {
    if (input.if_state) return InvalidArgument("an expected state without a next state: give both");
    if (input.state_kind) return InvalidArgument("a kind of state without a state: give both");
    return {};
  }
  const auto& next = *input.next_state;
  if (next.empty() || next.size() > kMaxStateBytes || !IsVisible(next) || next[0] == '*') {
    return InvalidArgument(
        "a state is 1 to {} visible ASCII characters and does not start with '*', not '{}'", kMaxStateBytes,
        next.substr(0, 100));
  }
  if (input.state_kind) {
    const auto& kind = *input.state_kind;
    if (kind == kFileStateKind)
      return InvalidArgument("kind '{}' is kept for files: choose another kind of state", kind);
    if (kind.empty() || kind.size() > kMaxKindBytes || !IsVisible(kind)) {
      return InvalidArgument("a kind of state is 1 to {} visible ASCII characters, not '{}'", kMaxKindBytes,
                             kind.substr(0, 100));
    }
  }
  if (input.if_state == input.next_state) {
    return InvalidArgument("the next state '{}' is the same as the expected one", next);
  }
  return {};
}

}  // namespace

Error NotAtState(const std::string& source_name, const std::optional<odf::SourceState>& now,
                 const std::optional<odf::SourceState>& expected) {
  const bool tells_kinds = now && expected && now->kind != expected->kind;
  const auto text = [&](const std::optional<odf::SourceState>& state) {
    if (!state) return std::string("none");
    return fmt::format("'{}'{}", state->value, tells_kinds ? fmt::format(" of kind '{}'", state->kind) : "");
  };
  return MakeError(ErrorCode::kPrecondition, "source '{}' is at state {}, not {}", source_name, text(now),
                   text(expected));
}

Result<std::vector<bool>> FindTaken(const odf::ChainState& chain, const std::string& source_name,
                                    const std::vector<IngestInput>& inputs) {
  std::optional<odf::SourceState> now, newest_file;
  if (auto it = chain.push_sources.find(source_name); it != chain.push_sources.end()) {
    now = it->second.state;
    newest_file = it->second.file_state;
  }
  std::vector<bool> taken;
  for (const auto& input : inputs) {
    RETURN_IF_ERROR(CheckStates(input));
    bool is_taken = false;
    if (input.next_state) {
      const std::string kind = input.state_kind.value_or(kDefaultStateKind);
      is_taken = now && now->kind == kind && now->value == *input.next_state;
      if (!is_taken && input.if_state) {
        const bool holds =
            *input.if_state == "*" ? !now : now && now->kind == kind && now->value == *input.if_state;
        if (!holds) {
          return NotAtState(source_name, now,
                            *input.if_state == "*" ? std::optional<odf::SourceState>()
                                                   : odf::SourceState{source_name, kind, *input.if_state});
        }
      }
      now = odf::SourceState{source_name, kind, *input.next_state};
    } else if (input.is_taken && newest_file) {
      ASSIGN_OR_RETURN(is_taken, input.is_taken(newest_file));
    }
    taken.push_back(is_taken);
  }
  return taken;
}

Result<std::optional<odf::SourceState>> NextPushedState(const IngestInput& input,
                                                        const std::string& source_name, bool has_rows) {
  if (input.next_state) {
    return std::optional(
        odf::SourceState{source_name, input.state_kind.value_or(kDefaultStateKind), *input.next_state});
  }
  if (input.file_state && has_rows) {
    ASSIGN_OR_RETURN(auto value, input.file_state());
    return std::optional(odf::SourceState{source_name, kFileStateKind, std::move(value)});
  }
  return std::optional<odf::SourceState>();
}

Result<std::optional<odf::SourceState>> NextPolledState(const IngestInput& input,
                                                        const odf::ChainState& chain,
                                                        const std::string& state_name, bool has_rows) {
  std::optional<odf::SourceState> next;
  if (input.polled_state) {
    ASSIGN_OR_RETURN(next, input.polled_state());
  }
  const auto& now = chain.polling_source->state;
  if (!next) next = now;
  if (!next) return next;
  if (!has_rows && now && next->kind == now->kind && next->value == now->value)
    return std::optional<odf::SourceState>();
  next->source_name = state_name;
  return next;
}

bool RepeatsLast(const odf::ChainState& chain, const odf::SourceState& state) {
  return chain.last_data && chain.last_data->source_state == state;
}

}  // namespace sluice::ingest
