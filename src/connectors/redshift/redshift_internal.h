#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

// Redshift speaks PostgreSQL's protocol: the connection, and what finds a batch's duplicates, are the same.
#include "connectors/postgres/connection.h"
#include "connectors/postgres/rows.h"
#include "net/http_client.h"
#include "pipeline/connector.h"

namespace sluice::connectors::redshift {

// Files on S3 for COPY.
struct StagingOptions {
  std::string bucket;
  std::string prefix;    // of the objects' keys; empty, or with a slash at its end
  std::string endpoint;  // of the bucket, with a slash at its end
  std::string iam_role;  // with which Redshift reads them
  net::AwsSigning signing;
};

struct WriterOptions {
  postgres::ConnectOptions connect;
  std::string schema;  // empty = found by the search path
  std::string table;
  std::string table_origin = "option 'table'";  // where it was given, for messages
  bool create_table = false;
  bool updates = false;
  std::optional<StagingOptions> staging;  // nothing = multi-row INSERT
};
std::unique_ptr<pipeline::IngestionWriter> MakeWriter(WriterOptions options);

// --- statements
// ---------------------------------------------------------------------------------------------

// A column of the table, as information_schema tells.
struct TableColumn {
  std::string name;
  std::string type;
  int64_t max_bytes = -1;  // of a text; -1 = any
};

// What differs between Redshift and the PostgreSQL that stands in for it where there is none.
struct Dialect {
  bool is_redshift = true;
  std::string_view text_type() const { return is_redshift ? "varchar(65535)" : "text"; }
  std::string_view json_type() const { return is_redshift ? "super" : "jsonb"; }
};

std::string CreateTable(const Dialect& dialect, const std::string& name);
std::string CreateStaging(const Dialect& dialect);
// Numbers of staged records that are stored already; then those that are two stored records (updates only).
std::string SelectKnown(const std::string& table);
std::string SelectClashing(const std::string& table);
// (number, tenant_id, source_type, source_id, data_id): staged records that give a stored one, which has this
// key, another.
std::string SelectLeaving(const std::string& table);
// (uuid, tenant_id, source_type, source_id, data_id) of stored records with the uuid of one of `rows`.
std::string SelectByUuid(const std::string& table, const postgres::Records& records,
                         const std::vector<int64_t>& rows);
// What makes the staged records part of the table; in one transaction, under the table's lock.
std::string InsertNew(const Dialect& dialect, const std::string& schema, const std::string& table,
                      bool has_extra);
std::string MergeAll(const Dialect& dialect, const std::string& schema, const std::string& table,
                     bool has_extra);
std::string CopyStatement(const StagingOptions& staging, const std::string& key);
// `(number, 'uuid', ...)`, and as a line of CSV; uuid and created_at are those of `first_row`.
void AppendValues(const postgres::Records& records, int64_t row, int64_t first_row, int32_t number,
                  std::string* out);
void AppendCsv(const postgres::Records& records, int64_t row, int64_t first_row, int32_t number,
               std::string* out);
// Why it cannot be stored.
std::optional<std::string> Refusal(const std::vector<TableColumn>& columns, const postgres::Records& records,
                                   int64_t row);

// --- S3
// -----------------------------------------------------------------------------------------------------

// Puts and removes objects. Confined.
class StagedFiles {
 public:
  static Result<std::unique_ptr<StagedFiles>> Make(const StagingOptions& options);
  // Writes and removes a small object. Errors: kUnauthenticated, kPermissionDenied, kNotFound naming the
  // bucket.
  Status Check(std::stop_token stop);
  Status Put(const std::string& key, std::string body, std::stop_token stop);
  Status Remove(const std::string& key, std::stop_token stop);
  // A key that nothing else has.
  std::string NewKey() const;

 private:
  StagedFiles(const StagingOptions& options, std::unique_ptr<net::HttpClient> client);
  Status Call(const std::string& method, const std::string& key, std::string body, std::stop_token stop);

  const StagingOptions options_;
  const std::unique_ptr<net::HttpClient> client_;
};

}  // namespace sluice::connectors::redshift
