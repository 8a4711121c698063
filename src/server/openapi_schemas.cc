#include "server/openapi_schemas_internal.h"

namespace sluice::server {

// Objects are closed: a member that is not said here is a fault of this description.
const char kOpenApiSchemas[] = R"json({
"Problem": {"type": "object", "required": ["type", "title", "status", "detail", "message"], "additionalProperties": false,
  "properties": {
    "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
    "detail": {"type": "string"}, "message": {"type": "string"}, "requestId": {"type": "string"},
    "errors": {"type": "array", "maxItems": 100, "items": {"type": "object", "additionalProperties": false,
      "required": ["record", "column", "value", "reason"], "properties": {
        "record": {"type": "integer"}, "column": {"type": "string", "nullable": true},
        "value": {"type": "string"}, "reason": {"type": "string"}}}},
    "errorCount": {"type": "integer"},
    "accepted": {"type": "string", "nullable": true}, "committed": {"type": "string", "nullable": true},
    "kind": {"type": "string", "nullable": true}}},
"Health": {"type": "object", "required": ["status"], "additionalProperties": false,
  "properties": {"status": {"type": "string", "enum": ["live", "ready"]}}},
"SourceState": {"type": "object", "nullable": true, "additionalProperties": false,
  "required": ["sourceName", "kind", "value"], "properties": {
    "sourceName": {"type": "string"}, "kind": {"type": "string"}, "value": {"type": "string"}}},
"Outcome": {"type": "object", "additionalProperties": false,
  "required": ["status", "sourceName", "oldHead", "newHead", "blockHash", "sequence", "offsets", "records", "sourceState",
               "watermark"],
  "properties": {
    "status": {"type": "string", "enum": ["committed", "duplicate", "up-to-date", "queued", "failed", "dropped", "withdrawn"]},
    "sourceName": {"type": "string"},
    "oldHead": {"type": "string", "nullable": true}, "newHead": {"type": "string", "nullable": true},
    "blockHash": {"type": "string", "nullable": true}, "sequence": {"type": "integer", "nullable": true},
    "offsets": {"type": "object", "nullable": true, "additionalProperties": false, "required": ["start", "end"],
      "properties": {"start": {"type": "integer"}, "end": {"type": "integer"}}},
    "records": {"type": "object", "additionalProperties": false, "required": ["received", "added"],
      "properties": {"received": {"type": "integer", "nullable": true}, "added": {"type": "integer", "nullable": true}}},
    "sourceState": {"$ref": "#/components/schemas/SourceState"},
    "watermark": {"type": "string", "nullable": true},
    "receipt": {"type": "string"},
    "datasetId": {"type": "string", "description": "Of an answer to a receipt: the dataset that it was pushed to"},
    "problem": {"$ref": "#/components/schemas/Problem"}}},
"Queued": {"type": "object", "additionalProperties": false, "required": ["receipt", "status", "sourceState"], "properties": {
    "receipt": {"type": "string"}, "status": {"type": "string", "enum": ["queued"]},
    "sourceState": {"$ref": "#/components/schemas/SourceState"}}},
"Source": {"type": "object", "additionalProperties": false,
  "required": ["sourceName", "type", "readFormat", "mergeStrategy", "kind", "committed", "accepted", "blockHash", "offset",
               "stateSequence", "lastCommit", "queued", "stoppedAt", "lastError"],
  "properties": {
    "sourceName": {"type": "string"}, "type": {"type": "string", "enum": ["push", "polling"]},
    "readFormat": {"type": "string"}, "hasHeader": {"type": "boolean"},
    "mergeStrategy": {"type": "string"}, "primaryKey": {"type": "array", "items": {"type": "string"}},
    "kind": {"type": "string", "nullable": true}, "committed": {"type": "string", "nullable": true},
    "accepted": {"type": "string", "nullable": true}, "blockHash": {"type": "string", "nullable": true},
    "offset": {"type": "integer", "nullable": true}, "stateSequence": {"type": "integer", "nullable": true},
    "lastCommit": {"type": "object", "nullable": true, "additionalProperties": false,
      "description": "The source's newest block; null when there is none, or when it is not known which source it is of",
      "required": ["blockHash", "sequence", "systemTime", "offsets"], "properties": {
        "blockHash": {"type": "string", "nullable": true}, "sequence": {"type": "integer"},
        "systemTime": {"type": "string", "nullable": true},
        "offsets": {"type": "object", "nullable": true, "additionalProperties": false, "required": ["start", "end"],
          "properties": {"start": {"type": "integer"}, "end": {"type": "integer"}}}}},
    "queued": {"type": "object", "additionalProperties": false, "required": ["batches", "bytes"], "properties": {
        "batches": {"type": "integer"}, "bytes": {"type": "integer"}}},
    "stoppedAt": {"type": "string", "nullable": true}, "lastError": {"type": "string", "nullable": true}}},
"Sources": {"type": "object", "additionalProperties": false, "required": ["sources"], "properties": {
    "sources": {"type": "array", "items": {"$ref": "#/components/schemas/Source"}}}},
"State": {"type": "object", "additionalProperties": false,
  "required": ["sourceName", "kind", "committed", "accepted", "blockHash", "offset"], "properties": {
    "sourceName": {"type": "string"}, "kind": {"type": "string"}, "accepted": {"type": "string"},
    "committed": {"type": "string", "nullable": true}, "blockHash": {"type": "string", "nullable": true},
    "offset": {"type": "integer", "nullable": true}}},
"Dataset": {"type": "object", "additionalProperties": false,
  "required": ["name", "id", "kind", "head", "sequence", "records", "bytes", "updated", "watermark", "pushSources",
               "hasPollingSource"],
  "properties": {
    "name": {"type": "string"}, "id": {"type": "string"}, "kind": {"type": "string", "enum": ["Root", "Derivative"]},
    "head": {"type": "string"}, "sequence": {"type": "integer"}, "records": {"type": "integer"}, "bytes": {"type": "integer"},
    "updated": {"type": "string", "nullable": true}, "watermark": {"type": "string", "nullable": true},
    "pushSources": {"type": "array", "items": {"type": "string"}}, "hasPollingSource": {"type": "boolean"},
    "description": {"type": "string", "nullable": true}, "keywords": {"type": "array", "items": {"type": "string"}},
    "license": {"type": "string", "nullable": true},
    "vocabulary": {"type": "object", "additionalProperties": false,
      "required": ["offset", "operationType", "systemTime", "eventTime"], "properties": {
        "offset": {"type": "string"}, "operationType": {"type": "string"}, "systemTime": {"type": "string"},
        "eventTime": {"type": "string"}}}}},
"Datasets": {"type": "object", "additionalProperties": false, "required": ["datasets"], "properties": {
    "datasets": {"type": "array", "items": {"$ref": "#/components/schemas/Dataset"}}}},
"Deleted": {"type": "object", "additionalProperties": false, "required": ["status", "name", "id"], "properties": {
    "status": {"type": "string", "enum": ["deleted"]}, "name": {"type": "string"}, "id": {"type": "string"}}},
"Commit": {"type": "object", "additionalProperties": false,
  "required": ["status", "oldHead", "newHead", "sequence", "blocks", "notes"], "properties": {
    "status": {"type": "string", "enum": ["committed"]}, "oldHead": {"type": "string", "nullable": true},
    "newHead": {"type": "string"}, "sequence": {"type": "integer"},
    "blocks": {"type": "array", "items": {"type": "string"}}, "notes": {"type": "array", "items": {"type": "string"}}}},
"Log": {"type": "object", "additionalProperties": false, "required": ["head", "blocks", "next"], "properties": {
    "head": {"type": "string"}, "next": {"type": "string", "nullable": true},
    "blocks": {"type": "array", "items": {"type": "object",
      "required": ["hash", "systemTime", "sequenceNumber", "event"], "additionalProperties": false, "properties": {
        "hash": {"type": "string"}, "systemTime": {"type": "string"}, "prevBlockHash": {"type": "string"},
        "sequenceNumber": {"type": "integer"}, "event": {"type": "object", "required": ["kind"], "properties": {
          "kind": {"type": "string"}}}}}}}},
"Verification": {"type": "object", "additionalProperties": false,
  "required": ["valid", "head", "blocks", "slices", "records", "bytes", "violationCount", "violations", "contains"],
  "properties": {
    "valid": {"type": "boolean"}, "head": {"type": "string", "nullable": true}, "blocks": {"type": "integer"},
    "slices": {"type": "integer"}, "records": {"type": "integer"}, "bytes": {"type": "integer"},
    "violationCount": {"type": "integer"},
    "violations": {"type": "array", "items": {"type": "object", "additionalProperties": false,
      "required": ["block", "sequence", "file", "rule", "detail"], "properties": {
        "block": {"type": "string"}, "sequence": {"type": "integer"}, "file": {"type": "string"},
        "rule": {"type": "string"}, "detail": {"type": "string"}}}},
    "contains": {"type": "object", "nullable": true, "additionalProperties": false,
      "required": ["asked", "block", "found"], "properties": {
        "asked": {"type": "string"}, "block": {"type": "string", "nullable": true}, "found": {"type": "boolean"}}}}},
"Queue": {"type": "object", "additionalProperties": false, "required": ["sources", "deadLetters"], "properties": {
    "sources": {"type": "array", "items": {"type": "object"}},
    "deadLetters": {"type": "array", "items": {"type": "object"}}}},
"QueueAction": {"type": "object", "additionalProperties": false, "required": ["receipt", "status"], "properties": {
    "receipt": {"type": "string"}, "status": {"type": "string", "enum": ["queued", "dropped"]}}},
"UploadPlan": {"type": "object", "additionalProperties": false,
  "required": ["uploadUrl", "method", "useMultipart", "headers", "fields", "uploadToken"], "properties": {
    "uploadUrl": {"type": "string"}, "method": {"type": "string", "enum": ["POST"]}, "useMultipart": {"type": "boolean"},
    "headers": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
    "fields": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
    "uploadToken": {"type": "string"}}},
"Uploaded": {"type": "object", "additionalProperties": false, "required": ["uploadToken", "fileName", "contentLength"],
  "properties": {"uploadToken": {"type": "string"}, "fileName": {"type": "string"}, "contentLength": {"type": "integer"}}},
"OpenApi": {"type": "object", "required": ["openapi", "info", "paths"]}
})json";

}  // namespace sluice::server
