// Queries over HTTP: one fenced SELECT with limits on memory, time, rows and bytes (decisions.md 8). The
// result is made as a whole before the answer begins: an error has a status of its own, and a slow client
// holds up neither a thread nor the engine's memory.
#include <arrow/record_batch.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "server/names.h"
#include "server/problem.h"
#include "server/routes.h"
#include "server/rows.h"
#include "workspace/query.h"

namespace sluice::server {
namespace {

using nlohmann::json;

constexpr size_t kShownKeyBytes = 100;

struct QueryRequest {
  std::string sql;
  std::string engine;  // its dialect; empty: DuckDB's own
  uint64_t max_rows = 0;
  bool is_cut = false;  // at max_rows the result is complete for the client; else it is an error
  columnar::OutputFormat format = columnar::OutputFormat::kJson;
};

Result<QueryRequest> ParseRequest(const Context& context, const Call& call) {
  QueryRequest query;
  std::string format;
  std::optional<uint64_t> limit;
  if (call.request.method == "POST") {
    const auto type = call.request.headers.Find("Content-Type").value_or("");
    if (net::EqualsIgnoringCase(net::Trimmed(std::string_view(type).substr(0, type.find(';'))),
                                "application/json")) {
      const auto body = json::parse(call.request.body, nullptr, /*allow_exceptions=*/false);
      if (!body.is_object()) return InvalidArgument("the body is not a JSON object with 'query'");
      for (const auto& [key, value] : body.items()) {
        if (key == "query" && value.is_string()) {
          query.sql = value.get<std::string>();
        } else if (key == "engine" && value.is_string()) {
          query.engine = value.get<std::string>();
        } else if (key == "format" && value.is_string()) {
          format = value.get<std::string>();
        } else if (key == "limit" && value.is_number_unsigned()) {
          limit = value.get<uint64_t>();
        } else {
          // Not with the value: writing one out recurses as deep as its sender nested it.
          return InvalidArgument(
              "the body takes 'query' (text), 'engine' (text), 'format' (text) and 'limit' (a whole number "
              "from 0), not '{}' with a value of type {}",
              key.substr(0, kShownKeyBytes), value.type_name());
        }
      }
    } else {
      query.sql = call.request.body;
    }
  } else {
    query.sql = call.request.url.Parameter("sql").value_or("");
  }
  if (query.sql.find_first_not_of(" \t\r\n") == std::string::npos) {
    return InvalidArgument("{}", call.request.method == "POST" ? "the body holds no query: send one SELECT"
                                                               : "give the query in the parameter 'sql'");
  }
  ASSIGN_OR_RETURN(query.format, RowFormat(call, format));
  query.max_rows = context.limits.query_rows;
  if (call.request.url.Parameter("limit")) {
    ASSIGN_OR_RETURN(limit, NumberParameter(call, "limit", 0, 0, context.limits.query_rows));
  }
  if (limit) {
    if (*limit > context.limits.query_rows)
      return InvalidArgument("'limit' takes a number up to {}, not {}", context.limits.query_rows, *limit);
    query.is_cut = true;
    query.max_rows = *limit;
  }
  return query;
}

// What a statement costs too much of is the statement's fault: repeating it does not help.
net::HttpResponse QueryProblem(const Error& error, const Call& call) {
  const bool too_costly = error.code() == ErrorCode::kTimeout ||
                          error.code() == ErrorCode::kResourceExhausted ||
                          error.code() == ErrorCode::kTooLarge;
  return too_costly ? Problem(422, error.ToString(), call.id) : Problem(error, call.id);
}

// Writes the rows of `result` that are asked for.
Status WriteRows(const QueryRequest& request, const std::chrono::steady_clock::time_point& deadline,
                 const std::stop_token& stop, sql::QueryResult& result, columnar::RowWriter& writer) {
  uint64_t left = request.max_rows;
  while (true) {
    if (stop.stop_requested()) return MakeError(ErrorCode::kCancelled, "nobody waits for this query");
    if (std::chrono::steady_clock::now() > deadline)
      return MakeError(ErrorCode::kTimeout, "the query takes longer than this node allows");
    ASSIGN_OR_RETURN(auto batch, result.Next());
    if (!batch) break;
    if (static_cast<uint64_t>(batch->num_rows()) > left) {
      if (!request.is_cut) {
        return MakeError(ErrorCode::kTooLarge,
                         "the result has more than {} rows: aggregate, or take a part of it with 'limit'",
                         request.max_rows);
      }
      batch = batch->Slice(0, static_cast<int64_t>(left));
    }
    left -= static_cast<uint64_t>(batch->num_rows());
    RETURN_IF_ERROR(writer.Write(*batch));
    if (request.is_cut && left == 0) break;
  }
  return writer.Finish();
}

Result<net::HttpResponse> RunQuery(const Context& context, const Call& call,
                                   const std::optional<workspace::Entry>& only, const std::stop_token& stop) {
  ASSIGN_OR_RETURN(const auto request, ParseRequest(context, call));
  const auto deadline = std::chrono::steady_clock::now() + context.limits.query_time;
  std::vector<workspace::Entry> entries;
  if (only) {
    entries.push_back(*only);
  } else {
    ASSIGN_OR_RETURN(entries, context.names->List());
    std::erase_if(entries, [&](const workspace::Entry& entry) {
      return !MayDo(context, call.caller, Right::kRead, entry.alias);
    });
  }
  ASSIGN_OR_RETURN(const auto scratch, context.workspace->MakeScratch());
  workspace::QueryOptions options;
  options.dialect = request.engine;
  options.stop = stop;
  auto& limits = options.limits;
  limits.memory_bytes = context.limits.query_memory_bytes;
  limits.time_ms = context.limits.query_time.count();
  limits.threads = 1;
  limits.spill_folder = scratch->folder();
  ASSIGN_OR_RETURN(auto session, workspace::RunQueryOver(*context.workspace, entries, request.sql, options));
  RowSpool spool(scratch->folder(), context.limits.query_bytes);
  ASSIGN_OR_RETURN(auto writer,
                   columnar::RowWriter::Make(request.format, session.result->schema(), spool.sink()));
  RETURN_IF_ERROR(WriteRows(request, deadline, stop, *session.result, *writer));
  writer.reset();
  return spool.Finish(request.format);
}

void AnswerQuery(const Context& context, const CallPtr& call, std::optional<workspace::Entry> only) {
  AnswerLong(context, call,
             [&context, call, only = std::move(only)](std::stop_token stop) -> Result<net::HttpResponse> {
               auto response = RunQuery(context, *call, only, stop);
               return response.ok() ? std::move(*response) : QueryProblem(response.error(), *call);
             });
}

}  // namespace

void GetQuery(const Context& context, const CallPtr& call) {
  auto entry = DatasetOf(context, *call);
  if (!entry.ok()) return call->Answer(Problem(entry.error(), call->id));
  AnswerQuery(context, call, std::move(*entry));
}

void PostQuery(const Context& context, const CallPtr& call) { AnswerQuery(context, call, std::nullopt); }

}  // namespace sluice::server
