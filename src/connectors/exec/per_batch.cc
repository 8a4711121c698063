#include <arrow/api.h>

#include <unordered_map>

#include "connectors/exec/processor.h"
#include "pipeline/columns.h"
#include "pipeline/record.h"

namespace sluice::connectors::exec {
namespace {

using pipeline::Batch;
using pipeline::Column;

class PerBatch final : public pipeline::Processor {
 public:
  explicit PerBatch(ExecOptions options) : options_(std::move(options)) {}

  Status Open() override { return CheckProgram(options_.child); }

  Result<Batch> Process(Batch batch, std::vector<Reject>*, std::stop_token stop) override {
    if (batch.rows() == 0) return batch;
    std::string input;
    pipeline::AppendNdJson(*batch.records, &input);
    auto started = Child::Start(options_.child);
    if (!started.ok()) return AsPassing(started.error());
    const auto child = std::move(started).value();
    const auto deadline = std::chrono::steady_clock::now() + options_.timeout;
    std::string output;
    RETURN_IF_ERROR(
        child->Exchange(input, Child::Ending::kEndOfInput, deadline, stop, [&](std::string_view line) {
          output.append(line).append("\n");
          return true;
        }));
    ASSIGN_OR_RETURN(const int code, child->Wait(deadline, stop));
    if (!options_.exit_codes.contains(code)) {
      return MakeError(ErrorCode::kUnavailable, "'{}' ended with exit code {}{}{}", options_.child.command[0],
                       code, child->last_words().empty() ? "" : ": ", child->last_words());
    }
    return Assemble(batch, output);
  }

 private:
  Result<Batch> Assemble(const Batch& batch, const std::string& output) const {
    pipeline::ParseLimits limits;
    limits.layout = pipeline::Layout::kLines;
    ASSIGN_OR_RETURN(pipeline::ParsedRecords parsed, pipeline::ParseRecords(output, limits));
    if (!parsed.bad.empty()) {
      return MakeError(ErrorCode::kInvalidRecords, "'{}' answered with no record in line {}: {}",
                       options_.child.command[0], parsed.bad[0].position + 1, parsed.bad[0].reason);
    }
    std::unordered_map<std::string_view, int32_t> by_uuid;
    const arrow::StringArray& given = pipeline::Texts(*batch.records, Column::kUuid);
    for (int64_t row = 0; row < given.length(); ++row)
      by_uuid.emplace(given.GetView(row), static_cast<int32_t>(row));
    Batch out;
    const arrow::StringArray& answered = pipeline::Texts(*parsed.records, Column::kUuid);
    for (int64_t row = 0; row < answered.length(); ++row) {
      const auto found = by_uuid.find(answered.GetView(row));
      const bool is_known = found != by_uuid.end();
      out.origins.push_back(!is_known               ? -1
                            : batch.origins.empty() ? found->second
                                                    : batch.origins[static_cast<size_t>(found->second)]);
    }
    ASSIGN_OR_RETURN(out.records, pipeline::FillUuids(parsed.records));
    out.partition = batch.partition;
    out.places = batch.places;
    return out;
  }

  const ExecOptions options_;
};

}  // namespace

std::unique_ptr<pipeline::Processor> MakePerBatch(ExecOptions options) {
  return std::make_unique<PerBatch>(std::move(options));
}

}  // namespace sluice::connectors::exec
