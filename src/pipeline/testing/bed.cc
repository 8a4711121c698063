#include "pipeline/testing/bed.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "pipeline/settings_reader.h"
#include "pipeline/tree.h"

namespace sluice::pipeline::testing {

Result<Settings> Bed::Read(std::string_view yaml, ConnectorKind kind) {
  ASSIGN_OR_RETURN(const Tree tree,
                   ReadTree(yaml, "test.yaml",
                            [](std::string_view text) -> Result<std::string> { return std::string(text); }));
  SettingsReader reader(registry_);
  return reader.Read(tree, kind);
}

Result<std::unique_ptr<Ingestor>> Bed::MakeIngestor(std::string_view yaml) {
  ASSIGN_OR_RETURN(const Settings settings, Read(yaml, ConnectorKind::kIngestor));
  return registry_.MakeIngestor(settings, *this);
}

Result<std::unique_ptr<Processor>> Bed::MakeProcessor(std::string_view yaml) {
  ASSIGN_OR_RETURN(const Settings settings, Read(yaml, ConnectorKind::kProcessor));
  return registry_.MakeProcessor(settings, *this);
}

Result<std::unique_ptr<IngestionWriter>> Bed::MakeWriter(std::string_view yaml) {
  ASSIGN_OR_RETURN(const Settings settings, Read(yaml, ConnectorKind::kWriter));
  return registry_.MakeWriter(settings, *this);
}

std::string Bed::Resolve(const std::string& path) const {
  return (std::filesystem::path(folder_) / path).lexically_normal().string();
}

Result<std::string> Bed::StateFolder() { return folder_; }

void Bed::Note(const std::string& line) {
  MutexLock lock(mutex_);
  notes_.push_back(line);
}

std::vector<std::string> Bed::notes() const {
  MutexLock lock(mutex_);
  return notes_;
}

std::vector<std::string> Shown(const Batch& batch) {
  std::vector<std::string> shown;
  WireOptions options;
  options.write_empty = false;
  for (int64_t row = 0; row < batch.rows(); ++row) {
    std::string text;
    AppendRecord(*batch.records, row, options, &text);
    shown.push_back(std::move(text));
  }
  return shown;
}

std::vector<std::string> ColumnOf(const Batch& batch, Column column) {
  const auto& texts =
      static_cast<const arrow::StringArray&>(*batch.records->column(static_cast<int>(column)));
  std::vector<std::string> all;
  for (int64_t row = 0; row < texts.length(); ++row)
    all.push_back(texts.IsNull(row) ? "" : texts.GetString(row));
  return all;
}

Status FakeIntake::Offer(Delivery delivery, std::chrono::milliseconds) {
  Outcome outcome;
  {
    MutexLock lock(mutex_);
    ++offers_;
    if (!answer_.ok()) return answer_;
    if (!settles_) {
      waiting_.push_back(std::move(delivery));
      changed_.NotifyAll();
      return {};
    }
    outcome = outcome_;
  }
  delivery.done(Outcomes(static_cast<size_t>(delivery.batch.rows()), outcome));
  return {};
}

void FakeIntake::Answer(Status status) {
  MutexLock lock(mutex_);
  answer_ = std::move(status);
}

void FakeIntake::SettleAll(Outcome outcome) {
  MutexLock lock(mutex_);
  settles_ = true;
  outcome_ = std::move(outcome);
}

Delivery FakeIntake::Next() {
  MutexLock lock(mutex_);
  const bool is_there = changed_.WaitFor(mutex_, std::chrono::seconds(10),
                                         [this]() NO_THREAD_SAFETY_ANALYSIS { return !waiting_.empty(); });
  if (!is_there) {
    ADD_FAILURE() << "nothing was offered";
    return {.batch = {.records = NoRecords()}, .done = [](const Outcomes&) {}};
  }
  Delivery delivery = std::move(waiting_.front());
  waiting_.erase(waiting_.begin());
  return delivery;
}

size_t FakeIntake::offers() const {
  MutexLock lock(mutex_);
  return offers_;
}

}  // namespace sluice::pipeline::testing
