#include "merge/gather.h"

#include <arrow/api.h>

#include "columnar/arrow_status.h"

namespace sluice::merge {
namespace {

struct Run {
  uint32_t source;
  int64_t start;
  int64_t length;
};

std::vector<Run> RunsOf(const std::vector<RowRef>& refs) {
  std::vector<Run> runs;
  for (const RowRef& ref : refs) {
    if (!runs.empty() && runs.back().source == ref.source &&
        runs.back().start + runs.back().length == ref.row) {
      ++runs.back().length;
    } else {
      runs.push_back({ref.source, ref.row, 1});
    }
  }
  return runs;
}

}  // namespace

Result<std::shared_ptr<arrow::RecordBatch>> Gather(
    const std::shared_ptr<arrow::Schema>& schema,
    const std::vector<std::shared_ptr<arrow::RecordBatch>>& sources, const std::vector<RowRef>& refs) {
  const std::vector<Run> runs = RunsOf(refs);
  const int64_t rows = static_cast<int64_t>(refs.size());
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (int c = 0; c < schema->num_fields(); ++c) {
    if (runs.size() == 1) {
      columns.push_back(sources[runs[0].source]->column(c)->Slice(runs[0].start, runs[0].length));
      continue;
    }
    std::unique_ptr<arrow::ArrayBuilder> builder;
    RETURN_IF_ARROW_ERROR(
        arrow::MakeBuilder(arrow::default_memory_pool(), schema->field(c)->type(), &builder));
    RETURN_IF_ARROW_ERROR(builder->Reserve(rows));
    std::vector<arrow::ArraySpan> spans;
    spans.reserve(sources.size());
    for (const auto& source : sources) spans.emplace_back(*source->column_data(c));
    for (const Run& run : runs) {
      RETURN_IF_ARROW_ERROR(builder->AppendArraySlice(spans[run.source], run.start, run.length));
    }
    std::shared_ptr<arrow::Array> column;
    RETURN_IF_ARROW_ERROR(builder->Finish(&column));
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(schema, rows, std::move(columns));
}

}  // namespace sluice::merge
