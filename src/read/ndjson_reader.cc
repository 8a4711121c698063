#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "read/block_reader.h"
#include "read/csv_infer.h"
#include "read/encoding.h"
#include "read/json_infer.h"
#include "read/json_reader.h"
#include "read/json_rows.h"
#include "read/ndjson_scan.h"
#include "read/text_options.h"

namespace sluice::read {
namespace {

// Blocks kept while a schema is guessed.
constexpr size_t kInferenceBlocks = 32;

Result<BlockRows> CastBlock(const std::shared_ptr<const JsonRowsPlan>& plan, const TextBlock& block) {
  ASSIGN_OR_RETURN(auto rows, JsonRows::Make(plan));
  rows->CheckText(!IsUtf8(block.text()));
  NdJsonScanner scanner(block.text());
  for (;;) {
    ASSIGN_OR_RETURN(const bool more, scanner.Next(rows.get()));
    if (!more) break;
  }
  BlockRows result;
  result.records = scanner.records();
  result.lines = scanner.lines();
  ASSIGN_OR_RETURN(result.rows, rows->Finish());
  result.rejects = rows->TakeRejects();
  return result;
}

// The guess from the first records. Null when there are no records at all; no fields when all of them are
// bad.
Result<std::shared_ptr<arrow::Schema>> Guess(bool features, BlockReader::Plan* plan) {
  JsonTypeGuess guess;
  size_t seen = 0;
  bool any = false;
  for (size_t index = 0; seen < kInferenceRecords && index < kInferenceBlocks; ++index) {
    if (index == plan->pending.size()) {
      ASSIGN_OR_RETURN(std::optional<TextBlock> block, plan->splitter->Next());
      if (!block) break;
      plan->pending.push_back(std::move(*block));
    }
    const std::string_view text = plan->pending[index].text();
    any = any || SkipJsonSpace(text.data()) < text.data() + text.size();
    NdJsonScanner scanner(text);
    std::string_view object;
    TextArena arena;
    while (seen < kInferenceRecords && scanner.NextObject(&object)) {
      if (!IsUtf8(object)) continue;
      if (!features) {
        guess.Add(object);
      } else {
        auto record = RecordOfFeature(object, &arena);
        if (!record.ok()) continue;
        guess.Add(*record);
      }
      ++seen;
    }
  }
  if (!any) return std::shared_ptr<arrow::Schema>();
  auto schema = guess.schema();
  const std::string& input = plan->splitter->source().name();
  if (schema->num_fields() == 0 && seen > 0)
    return InvalidArgument("none of the first {} records of '{}' has a field", seen, input);
  if (seen == 0 && plan->pending.size() == kInferenceBlocks) {
    return InvalidArgument("'{}' has no record to guess a schema from in its first {} bytes", input,
                           plan->splitter->bytes_read());
  }
  return schema;
}

}  // namespace

Result<std::unique_ptr<Reader>> OpenNdJson(const odf::ReadStep& step, std::shared_ptr<arrow::Schema> declared,
                                           std::unique_ptr<ByteSource> source, const ReadOptions& options) {
  auto rows = std::make_shared<JsonRowsPlan>();
  ASSIGN_OR_RETURN(rows->cast, CastOptionsOf(step));
  rows->strict = options.strict_columns;
  rows->features = step.format == odf::ReadFormat::kNdGeoJson;
  ASSIGN_OR_RETURN(source, Transcode(std::move(source), step.encoding.value_or("")));
  BlockReader::Plan plan;
  plan.splitter =
      std::make_unique<BlockSplitter>(std::move(source), kBlockBytes, FindLastJsonRecordEnd, options.stop);
  rows->fields = std::move(declared);
  if (!rows->fields) {
    ASSIGN_OR_RETURN(rows->fields, Guess(rows->features, &plan));
  }
  if (!rows->fields) {
    plan.pending.clear();  // white space
    plan.work = [](const TextBlock&) -> Result<BlockRows> {
      return Internal("records in an input that had none");
    };
    return std::make_unique<BlockReader>(std::move(plan), options);
  }
  rows->schema = WithoutMarks(rows->fields);
  if (rows->schema->num_fields() > 0) plan.schema = rows->schema;
  plan.work = [rows](const TextBlock& block) { return CastBlock(rows, block); };
  return std::make_unique<BlockReader>(std::move(plan), options);
}

}  // namespace sluice::read
