#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ingest/ingest.h"
#include "storage/testing/faulty_storage.h"

// A dataset in memory, a frozen clock and an index on disk, to push small inputs into.
namespace sluice::ingest::testing {

// A fresh folder, removed with everything in it.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class PushFixture {
 public:
  PushFixture();

  // Makes the dataset from events in YAML. Failures end the test program's case.
  void Create(const std::vector<std::string>& events);
  // Another object of the same dataset, as another process would have it.
  std::unique_ptr<dataset::Dataset> OpenAnother();
  void Reopen();

  static IngestInput Text(const std::string& text);
  // As Text, reading of which runs `before_end` first: the place to let somebody else commit.
  static IngestInput TextThen(const std::string& text, std::function<void()> before_end);
  Result<std::vector<IngestOutcome>> Push(std::vector<IngestInput> inputs, const IngestOptions& options = {});
  Result<IngestOutcome> PushText(const std::string& text, const IngestOptions& options = {});

  // All rows: `offset op event_time values...`, columns by a space, rows by a comma; NULL is `-`.
  std::string Rows(const std::vector<std::string>& columns);
  // Checks the whole dataset; empty when it holds.
  std::string Violations();
  IngestContext Context();

  std::unique_ptr<storage::Storage> inner;
  std::shared_ptr<storage::FaultyStorage> files;
  std::shared_ptr<storage::Storage> derived;
  FixedClock clock;
  std::unique_ptr<dataset::Dataset> dataset;
  TempFolder folder;
  std::unique_ptr<RejectLog> rejects;
};

// A push source of CSV with a header, in YAML: `merge` as `{kind: Ledger, primaryKey: [k]}`.
std::string CsvSource(const std::string& merge, const std::string& schema_fields = "",
                      const std::string& name = "default");

}  // namespace sluice::ingest::testing
