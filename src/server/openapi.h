#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "server/routes.h"

namespace sluice::server {

// What is said of a call besides its row in the table of routes.
struct CallDoc {
  std::string method, path;
  std::string id;       // operationId
  std::string summary;  // one line
  struct Parameter {
    std::string name, in, description, schema;  // the schema is JSON
    bool required = false;
  };
  std::vector<Parameter> parameters;
  std::vector<std::string> bodies;  // media types of the request body
  std::string body_schema;          // JSON; empty = bytes
  struct Answer {
    int status = 200;
    std::string description;
    std::string schema;  // name among the schemas; empty = bytes or text
    std::vector<std::string> media_types{"application/json"};
  };
  std::vector<Answer> answers;  // those that are no problems
  std::vector<int> problems;    // statuses besides those that every call can answer
};

// One for each route that is served over HTTP, operator's calls aside.
const std::vector<CallDoc>& CallDocs();

// The description of the API (OpenAPI 3.0), made from the routes and their documents.
nlohmann::json OpenApi(const Limits& limits);

}  // namespace sluice::server
