#include "app/connectors.h"

#include "connectors/fan_out/connector.h"
#include "connectors/file/connector.h"
#include "connectors/generate/connector.h"
#include "connectors/odf/connector.h"
#include "connectors/postgres/connector.h"
#include "connectors/redshift/connector.h"
#include "connectors/sqs/connector.h"
#include "connectors/stdio/connector.h"

namespace sluice::app {

void RegisterConnectors(pipeline::Registry& registry) {
  connectors::RegisterFanOut(registry);
  connectors::RegisterFile(registry);
  connectors::RegisterGenerate(registry);
  connectors::RegisterOdf(registry);
  connectors::RegisterPostgres(registry);
  connectors::RegisterRedshift(registry);
  connectors::RegisterSqs(registry);
  connectors::RegisterStdio(registry);
}

}  // namespace sluice::app
