#pragma once

namespace sluice::server {

// The schemas of answers, as JSON: in openapi_schemas.cc.
extern const char kOpenApiSchemas[];

}  // namespace sluice::server
