#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/connector.h"
#include "pipeline/registry.h"

// What every connector has to do, as one suite for ingestors and one for writers (house section 6). A
// connector says in `Quirks` where it differs from the strict answers, which are the defaults, and what
// `connectors show` promises is what the suite proved.
namespace sluice::pipeline::testing {

// A connector from `type: ...` in YAML, as the program makes it. `folder` = where relative paths begin.
class ConnectorMaker {
 public:
  // `registry` outlives it.
  ConnectorMaker(const Registry& registry, std::string folder);
  ~ConnectorMaker();
  Result<std::unique_ptr<Ingestor>> MakeIngestor(const std::string& yaml);
  Result<std::unique_ptr<IngestionWriter>> MakeWriter(const std::string& yaml);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct WriterQuirks {
  bool is_idempotent = true;      // a repeat of a uuid adds nothing and is a duplicate
  bool knows_identifiers = true;  // so does a repeat of tenant_id, source_type, source_id, data_id
  bool keeps_unknown_fields = true;
  bool stores_nul = true;  // else a record with a NUL character is rejected, and only that one
  bool is_ordered = true;  // Stored() is in the order of writing
};

struct WriterBench {
  // A new writer to the same target each time.
  std::function<Result<std::unique_ptr<IngestionWriter>>()> make;
  // What is in the target now, each as the JSON object that AppendRecord writes with `write_empty = false`,
  // or any JSON with the same members.
  std::function<std::vector<std::string>()> stored;
};

// Each property as a test of its own inside the calling one.
void CheckWriter(const WriterBench& bench, const WriterQuirks& quirks = {});

struct IngestorQuirks {
  bool delivers_again = true;  // a failed record comes again without anybody's help
  bool has_positions = true;   // restarted from the places of what was done, it brings nothing twice
  bool is_finite = true;       // it finishes when all that was sent is done
};

struct IngestorBench {
  // A new ingestor of the same upstream each time.
  std::function<Result<std::unique_ptr<Ingestor>>()> make;
  // Puts records (NDJSON, each with a uuid of its own) into the upstream.
  std::function<void(const std::string& ndjson)> send;
};

void CheckIngestor(const IngestorBench& bench, const IngestorQuirks& quirks = {});

}  // namespace sluice::pipeline::testing
