#include "app/connectors.h"

#include "connectors/fan_out/connector.h"
#include "connectors/file/connector.h"
#include "connectors/generate/connector.h"
#include "connectors/stdio/connector.h"

namespace sluice::app {

void RegisterConnectors(pipeline::Registry& registry) {
  connectors::RegisterFanOut(registry);
  connectors::RegisterFile(registry);
  connectors::RegisterGenerate(registry);
  connectors::RegisterStdio(registry);
}

}  // namespace sluice::app
