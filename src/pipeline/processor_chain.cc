#include "pipeline/processor_chain.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <numeric>

#include "pipeline/record.h"
#include "pipeline/rows.h"

namespace sluice::pipeline {
namespace {

// Positions by row after rows were dropped, added or moved: ascending again, or all at the end.
void Renumber(const Batch& input, Batch* output) {
  output->partition = input.partition;
  output->places = input.places;
  output->next.clear();
  if (input.next.empty()) return;
  output->next.reserve(static_cast<size_t>(output->rows()));
  for (int64_t row = 0; row < output->rows(); ++row) {
    const int64_t origin = output->origins.empty() ? row : output->origins[static_cast<size_t>(row)];
    output->next.push_back(origin < 0 ? input.next.back() : input.next[static_cast<size_t>(origin)]);
  }
  if (!std::is_sorted(output->next.begin(), output->next.end()))
    std::fill(output->next.begin(), output->next.end(), input.next.back());
}

Status CheckAnswer(const Batch& input, const Batch& output) {
  if (!output.records || output.records->num_columns() != kColumns)
    return Internal("an answer without records");
  if (output.origins.empty() && output.rows() != 0 && output.rows() != input.rows())
    return Internal("{} rows from {} without origins", output.rows(), input.rows());
  if (!output.origins.empty() && static_cast<int64_t>(output.origins.size()) != output.rows())
    return Internal("{} origins of {} rows", output.origins.size(), output.rows());
  return {};
}

// What a step made of some rows and the rows that it did not see, in the order of where they came from; rows
// made of all come last.
Result<Batch> Merge(const Batch& made, const Batch& rest) {
  if (rest.rows() == 0) return made;
  Batch joined = made;
  ASSIGN_OR_RETURN(joined.records, JoinRecords({made.records, rest.records}));
  joined.next.clear();  // the chain counts positions anew at its end
  joined.origins.insert(joined.origins.end(), rest.origins.begin(), rest.origins.end());
  std::vector<int32_t> order(static_cast<size_t>(joined.rows()));
  std::iota(order.begin(), order.end(), 0);
  const auto place = [&](int32_t row) {
    const int32_t origin = joined.origins[static_cast<size_t>(row)];
    return origin < 0 ? INT32_MAX : origin;
  };
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return place(a) < place(b); });
  ASSIGN_OR_RETURN(Batch sorted, TakeRows(joined, order));
  sorted.followers = made.followers;
  sorted.watchers = made.watchers;
  return sorted;
}

}  // namespace

Result<std::unique_ptr<ProcessorChain>> ProcessorChain::Make(const std::vector<PipelineConfig::Step>& steps,
                                                             const Registry& registry,
                                                             Environment& environment,
                                                             PipelineMetrics* metrics) {
  auto chain = std::make_unique<ProcessorChain>();
  for (const auto& step : steps) {
    Step made;
    made.name = fmt::format("{}_{}", chain->steps_.size(), step.settings.type());
    if (step.when.kind != Tree::Kind::kNull) {
      ASSIGN_OR_RETURN(made.when, Condition::Parse(step.when));
    }
    ASSIGN_OR_RETURN(made.processor, registry.MakeProcessor(step.settings, environment));
    made.counters = &metrics->Stage("processor", made.name);
    chain->steps_.push_back(std::move(made));
  }
  return chain;
}

Status ProcessorChain::Open() {
  for (auto& step : steps_) {
    auto status = step.processor->Open();
    if (!status.ok()) return std::move(status).error().With(fmt::format("processor '{}'", step.name));
  }
  return {};
}

Result<Batch> ProcessorChain::RunStep(Step& step, Batch given, std::vector<Processor::Reject>* rejects,
                                      const std::stop_token& stop) {
  std::vector<int32_t> meant, others;
  if (step.when) {
    step.when->Evaluate(*given.records, &holds_);
    for (size_t row = 0; row < holds_.size(); ++row)
      (holds_[row] ? meant : others).push_back(static_cast<int32_t>(row));
    if (meant.empty()) return given;
  }
  if (others.empty()) {
    auto answer = step.processor->Process(given, rejects, stop);
    if (answer.ok()) RETURN_IF_ERROR(CheckAnswer(given, *answer));
    return answer;
  }
  ASSIGN_OR_RETURN(const Batch seen, TakeRows(given, meant));
  ASSIGN_OR_RETURN(const Batch rest, TakeRows(given, others));
  ASSIGN_OR_RETURN(Batch answer, step.processor->Process(seen, rejects, stop));
  RETURN_IF_ERROR(CheckAnswer(seen, answer));
  if (answer.origins.empty() && answer.rows() > 0) answer.origins = seen.origins;
  for (auto& reject : *rejects) {
    if (reject.row >= 0 && reject.row < seen.rows()) reject.row = meant[static_cast<size_t>(reject.row)];
  }
  return Merge(answer, rest);
}

Result<Batch> ProcessorChain::Run(const Batch& input, std::vector<Refused>* refused, std::stop_token stop) {
  Batch batch = input;
  std::vector<Follower> followers;
  std::vector<std::shared_ptr<OutcomeWatcher>> watchers;
  const int64_t input_rows = input.rows();
  for (auto& step : steps_) {
    const auto start = std::chrono::steady_clock::now();
    const Batch given = batch;
    std::vector<Processor::Reject> rejects;
    auto answer = RunStep(step, std::move(batch), &rejects, stop);
    if (!answer.ok()) return std::move(answer).error().With(fmt::format("processor '{}'", step.name));
    batch = *std::move(answer);
    std::move(batch.followers.begin(), batch.followers.end(), std::back_inserter(followers));
    std::move(batch.watchers.begin(), batch.watchers.end(), std::back_inserter(watchers));
    batch.followers.clear();
    batch.watchers.clear();
    for (auto& reject : rejects) {
      if (reject.row < 0 || reject.row >= given.rows()) continue;
      const int64_t origin =
          given.origins.empty() ? reject.row : given.origins[static_cast<size_t>(reject.row)];
      const std::string reason = fmt::format("processor '{}': {}", step.name, reject.reason);
      // What was made of all rows is refused with all of them.
      const int64_t first = origin < 0 ? 0 : origin;
      const int64_t end = origin < 0 ? input_rows : origin + 1;
      for (int64_t row = first; row < end && row < input_rows; ++row) refused->push_back({row, reason});
    }
    step.counters->records += static_cast<uint64_t>(batch.rows());
    step.counters->batches += 1;
    step.counters->bytes += SizeOf(*batch.records);
    step.counters->rejected += rejects.size();
    step.counters->busy_micros += static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start)
            .count());
  }
  Renumber(input, &batch);
  batch.followers = std::move(followers);
  batch.watchers = std::move(watchers);
  return batch;
}

}  // namespace sluice::pipeline
