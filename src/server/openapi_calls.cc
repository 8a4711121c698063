// What the API's description says of each call, beside the table of routes.
#include "server/openapi.h"

namespace sluice::server {
namespace {

using Parameter = CallDoc::Parameter;

constexpr char kText[] = R"({"type": "string"})";
constexpr char kFlag[] = R"({"type": "boolean", "default": false})";

Parameter Query(std::string name, std::string description, std::string schema = kText,
                bool required = false) {
  return {std::move(name), "query", std::move(description), std::move(schema), required};
}
Parameter Header(std::string name, std::string description, std::string schema = kText) {
  return {std::move(name), "header", std::move(description), std::move(schema), false};
}

const std::vector<std::string>& RowTypes() {
  static const std::vector<std::string> types = {"application/json", "text/csv", "application/x-ndjson",
                                                 "application/vnd.apache.parquet"};
  return types;
}
Parameter RowFormat() {
  return Query("format", "How rows are written; else as Accept says",
               R"({"type": "string", "enum": ["csv", "json", "ndjson", "json-soa", "json-aoa", "parquet"]})");
}

const std::vector<std::string>& ManifestTypes() {
  static const std::vector<std::string> types = {"application/yaml", "application/json"};
  return types;
}
Parameter SharedSnapshot() {
  return Query("sharedSnapshot", "A Snapshot source beside other sources is meant", kFlag);
}
Parameter DropQueue() {
  return Query("dropQueue", "Give up what is queued instead of settling it first", kFlag);
}

std::vector<CallDoc::Answer> Bytes(const std::string& description, const std::string& media_type) {
  return {{200, description, "", {media_type}},
          {206, "The range asked for", "", {media_type}},
          {304, "Not changed", "", {}},
          {416, "No such range", "", {}}};
}

std::vector<CallDoc> Health() {
  return {
      {"GET", "/livez", "getLive", "Whether the process lives", {}, {}, "", {{200, "It does", "Health"}}, {}},
      {"GET",
       "/readyz",
       "getReady",
       "Whether batches can be acknowledged",
       {},
       {},
       "",
       {{200, "They can", "Health"}},
       {}},
      {"GET",
       "/metrics",
       "getMetrics",
       "Counters and gauges for Prometheus",
       {},
       {},
       "",
       {{200, "Metrics", "", {"text/plain"}}},
       {}},
      {"GET", "/openapi.json", "getOpenApi", "This description", {}, {}, "", {{200, "It", "OpenApi"}}, {}},
  };
}

std::vector<CallDoc> Push() {
  return {
      {"POST",
       "/{dataset}/ingest",
       "pushBatch",
       "Push one batch of records",
       {Query("sourceName", "The push source; may be left out when there is one"),
        Query("allowEmpty", "A body of zero bytes to a Snapshot source is meant", kFlag),
        Query("uploadToken", "Take the file that was uploaded with this token, not a body"),
        Header("ODF-Event-Time", "Fallback event time (RFC 3339)",
               R"({"type": "string", "format": "date-time"})"),
        Header("ODF-Source-State", "The source's state after this batch",
               R"({"type": "string", "minLength": 1, "maxLength": 4096, "pattern": "^[!-)+-~][!-~]*$"})"),
        Header("ODF-Source-State-Kind", "Kind of that state",
               R"({"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[!-~]+$"})"),
        Header("ODF-If-Source-State", "The state that the client believes current; `*` = none yet",
               R"({"type": "string", "minLength": 1, "maxLength": 4096, "pattern": "^[!-~]+$"})"),
        Header("Idempotency-Key", "The same key gives the first answer again",
               R"({"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[!-~]+$"})"),
        Header("Prefer", "`respond-async`: answer when the batch is durable in the queue")},
       {"application/octet-stream", "text/csv", "text/tab-separated-values", "application/json",
        "application/x-ndjson", "application/geo+json", "application/x-ndgeojson",
        "application/vnd.apache.parquet"},
       "",
       {{200, "Committed, or committed before", "Outcome"}, {202, "Durable in the queue", "Queued"}},
       {409, 412, 422, 428}},
      {"GET",
       "/receipts/{id}",
       "getReceipt",
       "Outcome of a queued batch",
       {},
       {},
       "",
       {{200, "What became of it", "Outcome"}},
       {410}},
      {"GET",
       "/platform/status",
       "getStatus",
       "Queue, last errors and stopped sources of the datasets that the caller may administer",
       {},
       {},
       "",
       {{200, "The state of the node", "", {"application/json"}}},
       {}},
      {"GET",
       "/{dataset}/sources",
       "listSources",
       "The active push sources",
       {},
       {},
       "",
       {{200, "The sources", "Sources"}},
       {}},
      {"GET",
       "/{dataset}/sources/{source}",
       "getSource",
       "One push source with its state",
       {},
       {},
       "",
       {{200, "The source", "Source"}},
       {}},
      {"GET",
       "/{dataset}/sources/{source}/state",
       "getSourceState",
       "The state of a push source",
       {},
       {},
       "",
       {{200, "The state; its hash is the ETag", "State"}, {304, "Not changed", "", {}}},
       {}},
      {"GET",
       "/{dataset}/queue",
       "getQueue",
       "What is queued, and dead letters",
       {},
       {},
       "",
       {{200, "The queue", "Queue"}},
       {}},
      {"POST",
       "/{dataset}/queue/{receipt}/{action}",
       "changeQueue",
       "Retry or drop a batch",
       {},
       {},
       "",
       {{200, "Done", "QueueAction"}},
       {}},
      {"POST",
       "/platform/file/upload/prepare",
       "prepareUpload",
       "Ask for a token to upload a file with",
       {Query("fileName", "Its name",
              R"({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"})", true),
        Query("contentLength", "Its size in bytes", R"({"type": "integer", "minimum": 0})", true),
        Query("contentType", "Its media type; else the name's ending tells")},
       {},
       "",
       {{200, "Where and how to send it", "UploadPlan"}},
       {415}},
      {"POST",
       "/platform/file/upload/{token}",
       "upload",
       "Send the file",
       {},
       {"multipart/form-data", "application/octet-stream"},
       "",
       {{200, "Stored", "Uploaded"}},
       {}},
      {"GET",
       "/platform/file/upload/{token}",
       "getUpload",
       "The file that was sent",
       {},
       {},
       "",
       {{200, "Its bytes", "", {"application/octet-stream"}}},
       {}},
  };
}

std::vector<CallDoc> Datasets() {
  return {
      {"GET",
       "/datasets",
       "listDatasets",
       "The datasets that the caller may read",
       {},
       {},
       "",
       {{200, "The datasets", "Datasets"}},
       {}},
      {"POST",
       "/datasets",
       "createDatasets",
       "Make datasets from DatasetSnapshot manifests, all or none",
       {SharedSnapshot()},
       ManifestTypes(),
       "",
       {{201, "Made", "Datasets"}},
       {409}},
      {"GET",
       "/{dataset}",
       "getDataset",
       "Summary of a dataset",
       {},
       {},
       "",
       {{200, "The summary", "Dataset"}},
       {}},
      {"DELETE",
       "/{dataset}",
       "deleteDataset",
       "Delete a dataset with its history",
       {DropQueue()},
       {},
       "",
       {{200, "Deleted", "Deleted"}},
       {409}},
      {"POST",
       "/{dataset}/commit",
       "commitMetadata",
       "Append MetadataEvent manifests, all or none",
       {SharedSnapshot(), DropQueue()},
       ManifestTypes(),
       "",
       {{200, "Committed", "Commit"}},
       {409}},
      {"POST",
       "/{dataset}/sources",
       "addSources",
       "Add or replace sources",
       {SharedSnapshot(), DropQueue()},
       ManifestTypes(),
       "",
       {{200, "Committed", "Commit"}},
       {409}},
      {"DELETE",
       "/{dataset}/sources/odf/polling",
       "disablePolling",
       "End the polling source",
       {DropQueue()},
       {},
       "",
       {{200, "Committed", "Commit"}},
       {409}},
      {"DELETE",
       "/{dataset}/sources/{source}",
       "disableSource",
       "End a push source",
       {DropQueue()},
       {},
       "",
       {{200, "Committed", "Commit"}},
       {409}},
  };
}

std::vector<CallDoc> Reading() {
  const auto limit = [](const std::string& what, int min, int max, int fallback) {
    return Query("limit", what,
                 fmt::format(R"({{"type": "integer", "minimum": {}, "maximum": {}, "default": {}}})", min,
                             max, fallback));
  };
  const Parameter query_limit = Query("limit", "At most so many rows, without an error when there are more",
                                      R"({"type": "integer", "minimum": 0})");
  const std::vector<std::string> query_bodies = {"application/sql", "text/plain", "application/json"};
  const std::string query_schema =
      R"({"type": "object", "required": ["query"], "additionalProperties": false, "properties": {
      "query": {"type": "string", "minLength": 1}, "format": {"type": "string"},
      "engine": {"type": "string", "enum": ["duckdb", "datafusion", "spark", "flink"]}, "limit": {"type": "integer", "minimum": 0}}})";
  return {
      {"GET",
       "/{dataset}/log",
       "getLog",
       "Blocks, newest first; `next` is the `from` of the next page",
       {limit("Blocks of a page", 1, 1000, 100), Query("from", "The first block of the page; else the head")},
       {},
       "",
       {{200, "A page", "Log"}},
       {}},
      {"GET",
       "/{dataset}/tail",
       "getTail",
       "The newest rows",
       {limit("How many", 0, 10000, 10),
        Query("skip", "Leave out that many at the end", R"({"type": "integer", "minimum": 0, "default": 0})"),
        RowFormat()},
       {},
       "",
       {{200, "Rows", "", RowTypes()}},
       {}},
      {"GET",
       "/{dataset}/query",
       "queryDataset",
       "One SELECT over this dataset",
       {Query("sql", "The query; the dataset's name is the table", R"({"type": "string", "minLength": 1})",
              true),
        query_limit, RowFormat()},
       {},
       "",
       {{200, "Rows", "", RowTypes()}},
       {422}},
      {"POST",
       "/{dataset}/query",
       "postDatasetQuery",
       "One SELECT over this dataset",
       {query_limit, RowFormat()},
       query_bodies,
       query_schema,
       {{200, "Rows", "", RowTypes()}},
       {422}},
      {"POST",
       "/query",
       "postQuery",
       "One SELECT over the datasets that the caller may read",
       {query_limit, RowFormat()},
       query_bodies,
       query_schema,
       {{200, "Rows", "", RowTypes()}},
       {422}},
      {"GET",
       "/{dataset}/schema",
       "getSchema",
       "Schema of the rows",
       {Query(
           "format", "How it is written",
           R"({"type": "string", "default": "odf-json", "enum": ["odf-json", "odf-yaml", "arrow-json", "ddl", "parquet", "parquet-json"]})")},
       {},
       "",
       {{200, "The schema", "", {"application/json", "application/yaml", "text/plain"}}},
       {}},
      {"GET",
       "/{dataset}/verify",
       "verify",
       "Check the whole dataset from its stored bytes",
       {Query("metadataOnly", "Blocks only, no data", kFlag),
        Query("contains", "Prove that this block, or this receipt's, is in the history")},
       {},
       "",
       {{200, "What was found", "Verification"}},
       {}},
      {"GET",
       "/{dataset}/refs/head",
       "getHead",
       "Hash of the newest block",
       {},
       {},
       "",
       Bytes("The hash", "text/plain"),
       {}},
      {"GET",
       "/{dataset}/blocks/{hash}",
       "getBlock",
       "A block as it is stored",
       {},
       {},
       "",
       Bytes("Its bytes", "application/octet-stream"),
       {}},
      {"GET",
       "/{dataset}/data/{hash}",
       "getData",
       "A data slice (Parquet)",
       {},
       {},
       "",
       Bytes("Its bytes", "application/octet-stream"),
       {}},
      {"GET",
       "/{dataset}/checkpoints/{hash}",
       "getCheckpoint",
       "A checkpoint",
       {},
       {},
       "",
       Bytes("Its bytes", "application/octet-stream"),
       {}},
  };
}

}  // namespace

const std::vector<CallDoc>& CallDocs() {
  static const std::vector<CallDoc> docs = [] {
    std::vector<CallDoc> all = Health();
    for (auto part : {Push(), Datasets(), Reading()}) all.insert(all.end(), part.begin(), part.end());
    return all;
  }();
  return docs;
}

}  // namespace sluice::server
