#include "cli/remote_query.h"

#include <arrow/record_batch.h>

#include <nlohmann/json.hpp>

#include "columnar/slice.h"
#include "net/http_client.h"
#include "storage/storage.h"

namespace sluice::cli {
namespace {

using nlohmann::json;

constexpr char kRows[] = "rows";  // the name of a table's Parquet form while it is being printed

Result<std::string> QueryUrl(const std::string& node) {
  if (node.starts_with("jdbc:")) {
    return InvalidArgument(
               "--url takes the URL of a node, http://host:port or https://host:port, not of a JDBC server: '{}'",
               node)
        .With("usage");
  }
  return node + (node.ends_with('/') ? "query" : "/query");
}

// What a node says of a query that it did not run.
Error ErrorOf(const net::HttpAnswer& answer) {
  const Status status = net::CheckAnswer(answer);
  const ErrorCode code = status.ok() ? ErrorCode::kUnavailable : status.error().code();
  const json problem = json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
  if (problem.is_object() && problem.contains("message") && problem["message"].is_string())
    return Error(code, problem["message"].get<std::string>());
  return Error(code, status.ok() ? "unexpected answer" : status.error().message());
}

// One call; its rows as `format` go to `sink`, or into the answer's body where there is none.
Result<net::HttpAnswer> Ask(Session& session, const RemoteQuery& query, std::string_view format,
                            const columnar::Sink& sink) {
  ASSIGN_OR_RETURN(auto client, net::HttpClient::Make());
  net::HttpCall call;
  call.method = "POST";
  ASSIGN_OR_RETURN(call.url, QueryUrl(query.node.url));
  call.headers.Set("Content-Type", "application/json");
  if (!query.node.token.empty()) call.headers.Set("Authorization", "Bearer " + query.node.token);
  json body = {{"query", query.statement}, {"format", std::string(format)}};
  if (!query.engine.empty()) body["engine"] = query.engine;
  call.body = body.dump(-1, ' ', false, json::error_handler_t::replace);
  call.timeout = query.timeout;
  call.stall_timeout = std::chrono::milliseconds(0);  // the node is silent while it computes
  if (sink) call.sink = sink;
  ASSIGN_OR_RETURN(auto answer, client->Send(call, session.stop()));
  if (answer.status < 200 || answer.status >= 300) return ErrorOf(answer);
  return answer;
}

}  // namespace

Status QueryNode(Session& session, const RemoteQuery& query, const columnar::Sink& sink) {
  if (query.format != columnar::OutputFormat::kTable) {
    auto answer = Ask(session, query, columnar::NameOf(query.format), sink);
    return answer.ok() ? OkStatus() : Status(std::move(answer).error());
  }
  ASSIGN_OR_RETURN(const auto answer, Ask(session, query, "parquet", nullptr));
  const auto storage = storage::MakeMemoryStorage();
  RETURN_IF_ERROR(storage->PutIfAbsent(kRows, answer.body));
  ASSIGN_OR_RETURN(auto reader, columnar::SliceReader::Open(*storage, kRows));
  ASSIGN_OR_RETURN(auto writer, columnar::RowWriter::Make(query.format, reader->schema(), sink));
  while (true) {
    ASSIGN_OR_RETURN(const auto batch, reader->Next());
    if (!batch) return writer->Finish();
    RETURN_IF_ERROR(writer->Write(*batch));
  }
}

}  // namespace sluice::cli
