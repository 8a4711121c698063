#pragma once

#include <chrono>
#include <memory>
#include <set>

#include "connectors/exec/child.h"
#include "pipeline/connector.h"
#include "pipeline/environment.h"

namespace sluice::connectors::exec {

struct ExecOptions {
  ChildOptions child;
  std::chrono::milliseconds timeout{30'000};
  std::set<int> exit_codes = {0};  // of per_batch, that say that all went well
};

// Once a pipeline runs, whatever keeps a program from running may pass: records are not thrown away for it.
inline Error AsPassing(const Error& error) {
  if (IsRetryable(error.code()) || error.code() == ErrorCode::kCancelled) return error;
  return Error(ErrorCode::kUnavailable, error.ToString());
}

// A program that lives as long as the pipeline and answers each line with one line, in order: the record as
// it is to be, an empty line or null to drop it, {"$reject": "reason"} to refuse it. One that ends is started
// again; a record that ends it twice is refused.
std::unique_ptr<pipeline::Processor> MakePerRecord(ExecOptions options);

// A program that is run once for each batch, given all of its records, and answers with any number of records
// at its end. Those with a known uuid stem from that record, the others from all.
std::unique_ptr<pipeline::Processor> MakePerBatch(ExecOptions options);

}  // namespace sluice::connectors::exec
