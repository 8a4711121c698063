#include "connectors/drop/connector.h"

#include "pipeline/registry.h"
#include "pipeline/rows.h"
#include "pipeline/settings.h"

namespace sluice::connectors {
namespace {

class Drop final : public pipeline::Processor {
 public:
  Result<pipeline::Batch> Process(pipeline::Batch batch, std::vector<Reject>*, std::stop_token) override {
    return pipeline::TakeRows(batch, {});
  }
};

}  // namespace

void RegisterDrop(pipeline::Registry& registry) {
  pipeline::Declaration d;
  d.kind = pipeline::ConnectorKind::kProcessor;
  d.type = "drop";
  d.summary = "Lets records go: those that fulfil its `when`, or all without one";
  d.tier = pipeline::Tier::kStable;
  d.guarantee_text = "A dropped record counts as accepted: it is acknowledged and never comes again.";
  d.example = "type: drop\nwhen: {field: data, exists: false}\n";
  registry.Add(
      std::move(d),
      [](const pipeline::Settings&, pipeline::Environment&) -> Result<std::unique_ptr<pipeline::Processor>> {
        return std::unique_ptr<pipeline::Processor>(std::make_unique<Drop>());
      });
}

}  // namespace sluice::connectors
