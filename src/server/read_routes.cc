// Reading a dataset: its history, its newest rows, its schema, and whether all of it holds.
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <nlohmann/json.hpp>

#include "columnar/parquet_schema_text.h"
#include "dataset/verify.h"
#include "gateway/receipt_block.h"
#include "odf/yaml.h"
#include "server/chain_index.h"
#include "server/problem.h"
#include "server/routes.h"
#include "server/rows.h"
#include "server/workers.h"
#include "workspace/query.h"

namespace sluice::server {
namespace {

using nlohmann::json;

constexpr uint64_t kLogBlocks = 100, kMaxLogBlocks = 1000;
// A page ends behind the block that reaches this.
constexpr size_t kLogBytes = 4 << 20;
constexpr uint64_t kTailRows = 10, kMaxTailRows = 10'000;
constexpr size_t kMaxTailBytes = 64 << 20;
constexpr size_t kShownViolations = 100;

// A dataset as it is now, whose files stay while it is read.
struct Reading {
  workspace::Entry entry;
  std::unique_ptr<storage::FileLock> hold;
  std::unique_ptr<dataset::Dataset> dataset;
};
Result<Reading> OpenForReading(const Context& context, const Call& call) {
  Reading reading;
  ASSIGN_OR_RETURN(reading.entry, DatasetOf(context, call));
  ASSIGN_OR_RETURN(reading.hold, context.workspace->HoldFiles(reading.entry.id));
  ASSIGN_OR_RETURN(reading.dataset, context.workspace->Open(reading.entry));
  return reading;
}

Result<net::HttpResponse> Log(const Context& context, const Call& call) {
  ASSIGN_OR_RETURN(const uint64_t limit, NumberParameter(call, "limit", kLogBlocks, 1, kMaxLogBlocks));
  ASSIGN_OR_RETURN(const auto reading, OpenForReading(context, call));
  const auto& [entry, hold, dataset] = reading;
  std::optional<multiformats::Multihash> from;
  if (const auto text = call.request.url.Parameter("from")) {
    auto hash = multiformats::Multihash::Parse(*text);
    if (!hash.ok()) return std::move(hash).error().With("parameter 'from'");
    ASSIGN_OR_RETURN(const bool holds, context.chains->Holds(*dataset, ChainIndexes::Kind::kBlock, *hash));
    if (!holds) return NotFound("dataset '{}' does not hold block '{}'", entry.alias, *text);
    from = *hash;
  }
  // Blocks are JSON already: put together as text.
  std::string blocks;
  uint64_t count = 0;
  std::optional<multiformats::Multihash> next;
  RETURN_IF_ERROR(dataset->WalkBack(
      [&](const dataset::StoredBlock& block) -> Result<bool> {
        json body = {{"hash", block.hash.ToString()}};
        body.update(json::parse(odf::ToJson(block.block), nullptr, /*allow_exceptions=*/false));
        if (count > 0) blocks += ",";
        blocks += body.dump(-1, ' ', false, json::error_handler_t::replace);
        ++count;
        next = block.block.prev_block_hash;
        return count < limit && blocks.size() < kLogBytes;
      },
      from));
  net::HttpResponse response;
  response.headers.Set("Content-Type", "application/json");
  response.body = fmt::format("{{\"head\":\"{}\",\"blocks\":[{}],\"next\":{}}}\n", dataset->head().ToString(),
                              blocks, next ? "\"" + next->ToString() + "\"" : "null");
  return response;
}

Result<net::HttpResponse> Tail(const Context& context, const Call& call, const std::stop_token& stop) {
  ASSIGN_OR_RETURN(const uint64_t rows, NumberParameter(call, "limit", kTailRows, 0, kMaxTailRows));
  ASSIGN_OR_RETURN(const uint64_t skip, NumberParameter(call, "skip", 0, 0, UINT64_MAX));
  ASSIGN_OR_RETURN(const auto format, RowFormat(call));
  ASSIGN_OR_RETURN(const auto reading, OpenForReading(context, call));
  const auto& [entry, hold, dataset] = reading;
  const auto last = dataset->state().last_offset();
  const uint64_t count = last ? *last + 1 : 0;
  const uint64_t end = count > skip ? count - skip : 0;  // exclusive
  RowSpool spool(context.workspace->temp_folder(), kMaxTailBytes);
  std::unique_ptr<columnar::RowWriter> writer;
  const auto start = [&](const std::shared_ptr<arrow::Schema>& schema) -> Status {
    ASSIGN_OR_RETURN(writer,
                     columnar::RowWriter::Make(format, schema ? schema : arrow::schema(arrow::FieldVector()),
                                               spool.sink()));
    return {};
  };
  if (end == 0 || rows == 0) {
    ASSIGN_OR_RETURN(auto schema, workspace::ArrowSchemaOf(*dataset));
    RETURN_IF_ERROR(start(schema));
  } else {
    const auto write = [&](const arrow::RecordBatch& batch) -> Status {
      if (stop.stop_requested()) return MakeError(ErrorCode::kCancelled, "nobody waits for these rows");
      return writer->Write(batch);
    };
    RETURN_IF_ERROR(workspace::ReadRows(*dataset, end > rows ? end - rows : 0, end - 1, start, write));
  }
  RETURN_IF_ERROR(writer->Finish());
  return spool.Finish(format);
}

Result<net::HttpResponse> Schema(const Context& context, const Call& call) {
  ASSIGN_OR_RETURN(const auto reading, OpenForReading(context, call));
  const auto& [entry, hold, dataset] = reading;
  const auto& schema = dataset->state().schema;
  const auto format = call.request.url.Parameter("format").value_or("odf-json");
  static const std::vector<std::string> formats = {"odf-json", "odf-yaml", "arrow-json",
                                                   "ddl",      "parquet",  "parquet-json"};
  if (std::find(formats.begin(), formats.end(), format) == formats.end()) {
    return InvalidArgument(
        "'{}' is not a schema's format: known are odf-json, odf-yaml, arrow-json, ddl, parquet, parquet-json",
        format);
  }
  if (!schema) return NotFound("dataset '{}' has no schema yet: it comes with the first rows", entry.alias);
  std::string text;
  if (format == "odf-json") {
    text = odf::ToJson(*schema);
  } else if (format == "odf-yaml") {
    text = odf::ToYaml(*schema);
  } else if (format == "ddl") {
    text = odf::ToDdl(*schema) + "\n";
  } else {
    ASSIGN_OR_RETURN(auto arrow_schema, workspace::ArrowSchemaOf(*dataset));
    if (format == "arrow-json") {
      text = workspace::ArrowSchemaJson(*arrow_schema) + "\n";
    } else {
      ASSIGN_OR_RETURN(text, columnar::DescribeParquetSchema(*arrow_schema, format == "parquet-json"));
    }
  }
  auto response = net::TextResponse(200, std::move(text));
  if (format.ends_with("json")) response.headers.Set("Content-Type", "application/json");
  if (format == "odf-yaml") response.headers.Set("Content-Type", "application/yaml");
  return response;
}

// The block that `contains` means: a hash, or the block of a receipt that this caller may see.
Result<std::optional<multiformats::Multihash>> Anchor(const Context& context, const Call& call,
                                                      const workspace::Entry& entry,
                                                      const std::string& text) {
  if (auto hash = multiformats::Multihash::Parse(text); hash.ok()) return std::optional(*hash);
  ASSIGN_OR_RETURN(auto found, context.gateway->FindReceipt(text));
  if (!found || (!call.caller.is_operator && found->account != call.caller.account)) {
    return InvalidArgument("parameter 'contains' takes a block hash or a receipt of this node, not '{}'",
                           text);
  }
  ASSIGN_OR_RETURN(const auto dataset, context.workspace->Open(entry));
  return gateway::BlockOf(*found, *dataset);
}

Result<net::HttpResponse> Verify(const Context& context, const Call& call, const std::stop_token& stop) {
  dataset::VerifyOptions options;
  ASSIGN_OR_RETURN(const bool metadata_only, FlagParameter(call, "metadataOnly"));
  options.data = !metadata_only;
  options.threads = 1;
  options.stop = stop;
  ASSIGN_OR_RETURN(auto entry, DatasetOf(context, call));
  json contains = nullptr;
  std::optional<multiformats::Multihash> anchor;
  if (const auto text = call.request.url.Parameter("contains")) {
    ASSIGN_OR_RETURN(anchor, Anchor(context, call, entry, *text));
    contains = {
        {"asked", *text}, {"block", anchor ? json(anchor->ToString()) : json(nullptr)}, {"found", false}};
  }
  ASSIGN_OR_RETURN(const auto hold, context.workspace->HoldFiles(entry.id));
  ASSIGN_OR_RETURN(auto stores, context.workspace->StoresOf(entry.id));
  ASSIGN_OR_RETURN(auto report, dataset::Verify(stores, options));
  json violations = json::array();
  for (const auto& violation : report.violations) {
    if (violations.size() == kShownViolations) break;
    violations.push_back({{"block", violation.block.ToString()},
                          {"sequence", violation.sequence},
                          {"file", violation.file},
                          {"rule", violation.rule},
                          {"detail", violation.detail}});
  }
  json head = nullptr;
  if (auto dataset = context.workspace->Open(entry); dataset.ok()) {
    head = (*dataset)->head().ToString();
    if (anchor) {
      ASSIGN_OR_RETURN(contains["found"], (*dataset)->IsAncestor(*anchor));
    }
  }
  return JsonResponse(200, {{"valid", report.violations.empty()},
                            {"head", std::move(head)},
                            {"blocks", report.blocks},
                            {"slices", report.slices},
                            {"records", report.records},
                            {"bytes", report.bytes},
                            {"violationCount", report.violations.size()},
                            {"violations", std::move(violations)},
                            {"contains", std::move(contains)}});
}

}  // namespace

void GetLog(const Context& context, const CallPtr& call) {
  AnswerLater(*context.short_calls, call, [&context, call] { return Log(context, *call); });
}

void GetTail(const Context& context, const CallPtr& call) {
  AnswerLong(context, call, [&context, call](std::stop_token stop) {
    auto answer = Tail(context, *call, stop);
    // Too large a result is no fault of the request's size.
    const bool too_large = !answer.ok() && answer.error().code() == ErrorCode::kTooLarge;
    if (too_large) answer = Problem(422, answer.error().ToString(), call->id);
    return answer;
  });
}

void GetSchema(const Context& context, const CallPtr& call) {
  AnswerLater(*context.short_calls, call, [&context, call] { return Schema(context, *call); });
}

void GetVerify(const Context& context, const CallPtr& call) {
  AnswerLong(context, call, [&context, call](std::stop_token stop) { return Verify(context, *call, stop); });
}

}  // namespace sluice::server
