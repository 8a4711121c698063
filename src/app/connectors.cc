#include "app/connectors.h"

#include "connectors/batch/connector.h"
#include "connectors/dedupe/connector.h"
#include "connectors/drop/connector.h"
#include "connectors/exec/connector.h"
#include "connectors/fan_out/connector.h"
#include "connectors/file/connector.h"
#include "connectors/generate/connector.h"
#include "connectors/http/connector.h"
#include "connectors/language/connector.h"
#include "connectors/match/connector.h"
#include "connectors/odf/connector.h"
#include "connectors/postgres/connector.h"
#include "connectors/redact/connector.h"
#include "connectors/redshift/connector.h"
#include "connectors/rest/connector.h"
#include "connectors/sql/connector.h"
#include "connectors/sqs/connector.h"
#include "connectors/stdio/connector.h"

namespace sluice::app {

void RegisterConnectors(pipeline::Registry& registry) {
  connectors::RegisterBatch(registry);
  connectors::RegisterDedupe(registry);
  connectors::RegisterDrop(registry);
  connectors::RegisterExec(registry);
  connectors::RegisterFanOut(registry);
  connectors::RegisterFile(registry);
  connectors::RegisterGenerate(registry);
  connectors::RegisterHttp(registry);
  connectors::RegisterLanguage(registry);
  connectors::RegisterMatch(registry);
  connectors::RegisterOdf(registry);
  connectors::RegisterPostgres(registry);
  connectors::RegisterRedact(registry);
  connectors::RegisterRedshift(registry);
  connectors::RegisterRest(registry);
  connectors::RegisterSql(registry);
  connectors::RegisterSqs(registry);
  connectors::RegisterStdio(registry);
}

}  // namespace sluice::app
