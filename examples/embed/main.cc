// Opens (or makes) a workspace in the folder given, adds a dataset and ingests a batch; a second run adds
// nothing.
#include <cstdio>

#include "ingest/ingest.h"
#include "odf/yaml.h"
#include "workspace/workspace.h"

using namespace sluice;

constexpr char kManifest[] = R"(
kind: DatasetSnapshot
version: 1
content:
  name: readings
  kind: Root
  metadata:
    - kind: AddPushSource
      sourceName: default
      read: {kind: NdJson, schema: {fields: [{name: event_time, type: Timestamp}, {name: level, type: Float64}]}}
      merge: {kind: Ledger, primaryKey: [event_time]})";
constexpr char kRecord[] = R"({"event_time": "2024-05-01T10:00:00Z", "level": 1.5})";

Status Run(const char* folder) {
  SystemClock clock;
  ASSIGN_OR_RETURN(auto workspace, workspace::Workspace::Init(folder, /*exists_ok=*/true));
  auto entry = workspace->Resolve("readings");
  if (!entry.ok()) {
    ASSIGN_OR_RETURN(auto manifests, odf::ParseManifests(kManifest, "readings"));
    ASSIGN_OR_RETURN(entry, workspace->Create(std::get<odf::DatasetSnapshot>(manifests[0]), clock));
  }
  ASSIGN_OR_RETURN(auto dataset, workspace->Open(*entry));
  const auto lock = [&] { return workspace->BeginCommit(entry->id); };
  std::vector<ingest::IngestInput> inputs(1);
  inputs[0].open = [] { return read::MakeMemorySource(kRecord, "memory"); };
  ASSIGN_OR_RETURN(auto rejects, ingest::RejectLog::Open(ingest::OnError::kFail, ""));
  ASSIGN_OR_RETURN(auto outcomes, ingest::Ingest({dataset.get(), lock, &clock, workspace->temp_folder()},
                                                 std::move(inputs), *rejects, {}));
  std::printf("%d record(s) added, head %s\n", static_cast<int>(outcomes[0].records_added),
              dataset->head().ToString().c_str());
  return {};
}

int main(int argc, char** argv) {
  const Status status = Run(argc > 1 ? argv[1] : ".");
  if (!status.ok()) std::fprintf(stderr, "Error: %s\n", status.error().ToString().c_str());
  return status.ok() ? 0 : 1;
}
