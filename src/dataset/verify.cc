#include "dataset/verify.h"

#include <algorithm>
#include <tuple>

#include "dataset/verify_internal.h"

namespace sluice::dataset {

std::string Violation::ToString() const {
  if (file == kHeadName) return fmt::format("{}: {}: {}", file, rule, detail);
  const std::string place = fmt::format("block {} (sequence {})", block.ToString(), sequence);
  if (file.empty()) return fmt::format("{}: {}: {}", place, rule, detail);
  return fmt::format("{}: {}: {}: {}", place, file, rule, detail);
}

std::vector<Violation> Findings::Take() {
  MutexLock lock(mutex_);
  std::stable_sort(violations_.begin(), violations_.end(), [](const Violation& a, const Violation& b) {
    return std::tie(a.sequence, a.file) < std::tie(b.sequence, b.file);
  });
  return std::move(violations_);
}

std::vector<FileClaim> Findings::TakeObjects() {
  MutexLock lock(mutex_);
  std::vector<FileClaim> objects;
  for (auto& [name, object] : objects_) objects.push_back(std::move(object));
  objects_.clear();
  return objects;
}

Result<VerifyReport> Verify(const DatasetStores& stores, const VerifyOptions& options) {
  Findings findings;
  ASSIGN_OR_RETURN(const ChainCheck chain, CheckChain(*stores.files, options.stop, findings));
  VerifyReport report;
  report.blocks = chain.blocks;
  uint64_t work = 0;
  for (const FileClaim& file : chain.files) {
    work += file.slice ? 2 * file.size : file.size;
    if (!file.slice) continue;
    report.slices += 1;
    report.records += file.slice->offsets.end - file.slice->offsets.start + 1;
    report.bytes += file.size;
  }
  if (!options.data) work = 0;

  // Bytes count twice, for their hash and for their content; half of it is shown.
  Mutex mutex;
  uint64_t passed = 0;
  const auto done = [&](uint64_t bytes) {
    if (!options.progress) return;
    MutexLock lock(mutex);
    passed = std::min(work, passed + bytes);
    options.progress(chain.blocks + passed / 2, chain.blocks + work / 2);
  };
  done(0);
  if (options.data) RETURN_IF_ERROR(CheckFiles(*stores.files, chain.files, options, done, findings));
  report.violations = findings.Take();
  return report;
}

}  // namespace sluice::dataset
