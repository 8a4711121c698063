#include "ingest/slice_builder.h"

#include <arrow/array.h>
#include <arrow/array/util.h>
#include <arrow/builder.h>
#include <arrow/compute/cast.h>
#include <arrow/compute/exec.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <arrow/type.h>

#include <algorithm>

#include "columnar/arrow_status.h"
#include "ingest/shape.h"
#include "odf/arrow_schema.h"

namespace sluice::ingest {
namespace {

constexpr int64_t kMillisPerDay = 86400000;

std::shared_ptr<arrow::DataType> MillisUtc() { return arrow::timestamp(arrow::TimeUnit::MILLI, "UTC"); }

// A value of the event-time column's type for an instant.
std::shared_ptr<arrow::Scalar> EventTimeScalar(const std::shared_ptr<arrow::DataType>& type,
                                               Instant instant) {
  const int64_t millis = instant.ToMillis();
  const int64_t days = millis / kMillisPerDay - (millis % kMillisPerDay < 0 ? 1 : 0);
  if (type->id() == arrow::Type::DATE32)
    return std::make_shared<arrow::Date32Scalar>(static_cast<int32_t>(days));
  if (type->id() == arrow::Type::DATE64) return std::make_shared<arrow::Date64Scalar>(days * kMillisPerDay);
  return std::make_shared<arrow::TimestampScalar>(millis, type);
}

const odf::DataField* FindField(const std::optional<odf::DataSchema>& schema, const std::string& name) {
  if (!schema) return nullptr;
  for (const auto& field : schema->fields) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

// System columns have the types of the dataset's schema, which may be another program's choice; ours where
// there is none yet.
Result<std::shared_ptr<arrow::DataType>> SystemType(const std::optional<odf::DataSchema>& schema,
                                                    const std::string& name,
                                                    std::shared_ptr<arrow::DataType> own) {
  const auto* field = FindField(schema, name);
  if (!field) return own;
  ASSIGN_OR_RETURN(auto wanted, odf::ToArrow(odf::StripEncodings(odf::DataSchema{{*field}, {}}).fields[0]));
  return wanted->type();
}

Result<std::shared_ptr<arrow::Array>> CastTo(const std::shared_ptr<arrow::Array>& array,
                                             const std::shared_ptr<arrow::DataType>& type) {
  if (array->type()->Equals(*type)) return array;
  ASSIGN_OR_RETURN_ARROW(auto cast, arrow::compute::Cast(*array, type));
  return cast;
}

Result<std::shared_ptr<arrow::Array>> FillNulls(const std::shared_ptr<arrow::Array>& array,
                                                Instant fallback) {
  if (array->null_count() == 0) return array;
  auto scalar = EventTimeScalar(array->type(), fallback);
  if (array->null_count() == array->length()) {
    ASSIGN_OR_RETURN_ARROW(auto filled, arrow::MakeArrayFromScalar(*scalar, array->length()));
    return filled;
  }
  ASSIGN_OR_RETURN_ARROW(
      auto datum, arrow::compute::CallFunction("coalesce", {arrow::Datum(array), arrow::Datum(scalar)}));
  return datum.make_array();
}

int64_t MaxMillis(const arrow::Array& array) {
  int64_t best = INT64_MIN;
  if (array.type_id() == arrow::Type::DATE32) {
    const auto& dates = static_cast<const arrow::Date32Array&>(array);
    for (int64_t i = 0; i < dates.length(); ++i)
      best = std::max<int64_t>(best, dates.Value(i) * kMillisPerDay);
  } else {
    const int64_t* values = array.data()->GetValues<int64_t>(1);
    for (int64_t i = 0; i < array.length(); ++i) best = std::max(best, values[i]);
  }
  return best;
}

}  // namespace

struct SliceBuilder::Impl {
  storage::Storage* storage;
  SliceSpec spec;
  std::shared_ptr<arrow::Schema> filled;  // merged columns in slice order, without offset and system time
  std::shared_ptr<arrow::Schema> output;
  std::vector<int> from;  // column of `merged` for each column of `filled`
  int event_time = -1;    // index in `filled`

  std::unique_ptr<columnar::SliceWriter> writer;
  std::unique_ptr<columnar::Sorter> sorter;
  std::shared_ptr<arrow::RecordBatch> last;  // last row written of this batch, while it streams in order
  uint64_t next_offset = 0;
  int64_t batch_rows = 0;
  uint64_t batch_start = 0;
  int64_t max_event_millis = INT64_MIN;

  Status Plan();
  Result<std::shared_ptr<arrow::RecordBatch>> Fill(const arrow::RecordBatch& merged, Instant fallback);
  Status OpenWriter();
  Status Write(const std::shared_ptr<arrow::RecordBatch>& rows);
  Status StartSorting();
  Status DrainSorter();
};

Status SliceBuilder::Impl::Plan() {
  const auto& vocab = spec.vocabulary;
  std::vector<std::string> order;
  if (spec.dataset_schema) {
    for (const auto& field : spec.dataset_schema->fields) order.push_back(field.name);
  } else {
    order = {vocab.offset, vocab.op, vocab.system_time, vocab.event_time};
    for (const auto& field : spec.merged->fields()) {
      if (field->name() != vocab.op && field->name() != vocab.event_time) order.push_back(field->name());
    }
  }
  arrow::FieldVector filled_fields, output_fields;
  for (const auto& name : order) {
    if (name == vocab.offset) {
      ASSIGN_OR_RETURN(auto type, SystemType(spec.dataset_schema, name, arrow::int64()));
      output_fields.push_back(arrow::field(name, std::move(type), false));
      continue;
    }
    if (name == vocab.system_time) {
      ASSIGN_OR_RETURN(auto type, SystemType(spec.dataset_schema, name, MillisUtc()));
      output_fields.push_back(arrow::field(name, std::move(type), false));
      continue;
    }
    const int index = spec.merged->GetFieldIndex(name);
    if (index < 0) return Internal("column '{}' is missing after the merge", name);
    auto field = spec.merged->field(index);
    // The dataset decides what may be null; a required column is checked when rows come.
    if (const auto* wanted = FindField(spec.dataset_schema, name))
      field = field->WithNullable(wanted->type.is_option());
    if (name == vocab.op || name == vocab.event_time) field = field->WithNullable(false);
    if (name == vocab.op) {
      ASSIGN_OR_RETURN(auto type, SystemType(spec.dataset_schema, name, field->type()));
      field = field->WithType(type);
    }
    if (name == vocab.event_time) event_time = static_cast<int>(filled_fields.size());
    from.push_back(index);
    filled_fields.push_back(field);
    output_fields.push_back(field);
  }
  if (event_time < 0)
    return Internal("the event time column '{}' is missing after the merge", vocab.event_time);
  filled = arrow::schema(filled_fields);
  output = arrow::schema(output_fields);
  next_offset = batch_start = spec.start_offset;
  return {};
}

Result<std::shared_ptr<arrow::RecordBatch>> SliceBuilder::Impl::Fill(const arrow::RecordBatch& merged,
                                                                     Instant fallback) {
  arrow::ArrayVector arrays;
  for (size_t i = 0; i < from.size(); ++i) {
    auto array = merged.column(from[i]);
    if (static_cast<int>(i) == event_time) {
      ASSIGN_OR_RETURN(array, FillNulls(array, fallback));
      if (array->length() > 0) max_event_millis = std::max(max_event_millis, MaxMillis(*array));
    } else if (!filled->field(static_cast<int>(i))->nullable() && array->null_count() > 0) {
      return MakeError(
          ErrorCode::kInvalidRecords,
          "column '{}' contains {} null values while none were expected: it is declared non-nullable",
          filled->field(static_cast<int>(i))->name(), array->null_count());
    }
    ASSIGN_OR_RETURN(array, CastTo(array, filled->field(static_cast<int>(i))->type()));
    arrays.push_back(std::move(array));
  }
  return arrow::RecordBatch::Make(filled, merged.num_rows(), std::move(arrays));
}

Status SliceBuilder::Impl::OpenWriter() {
  if (writer) return {};
  ASSIGN_OR_RETURN(auto file, storage->Stage("data"));
  columnar::SliceOptions options;
  options.dictionary_columns = {spec.vocabulary.op, spec.vocabulary.system_time};
  ASSIGN_OR_RETURN(writer, columnar::SliceWriter::Open(std::move(file), output, std::move(options)));
  return {};
}

Status SliceBuilder::Impl::Write(const std::shared_ptr<arrow::RecordBatch>& rows) {
  if (rows->num_rows() == 0) return {};
  RETURN_IF_ERROR(OpenWriter());
  const int64_t n = rows->num_rows();
  ASSIGN_OR_RETURN_ARROW(auto buffer, arrow::AllocateBuffer(n * 8));
  auto* offsets = reinterpret_cast<int64_t*>(buffer->mutable_data());
  for (int64_t i = 0; i < n; ++i) offsets[i] = static_cast<int64_t>(next_offset) + i;
  auto offset_array =
      std::make_shared<arrow::Int64Array>(n, std::shared_ptr<arrow::Buffer>(std::move(buffer)));
  ASSIGN_OR_RETURN_ARROW(
      auto system_array,
      arrow::MakeArrayFromScalar(arrow::TimestampScalar(spec.system_time.ToMillis(), MillisUtc()), n));
  arrow::ArrayVector arrays;
  int next = 0;
  for (const auto& field : output->fields()) {
    if (field->name() == spec.vocabulary.offset) {
      ASSIGN_OR_RETURN(auto array, CastTo(offset_array, field->type()));
      arrays.push_back(std::move(array));
    } else if (field->name() == spec.vocabulary.system_time) {
      ASSIGN_OR_RETURN(auto array, CastTo(system_array, field->type()));
      arrays.push_back(std::move(array));
    } else {
      arrays.push_back(rows->column(next++));
    }
  }
  next_offset += static_cast<uint64_t>(n);
  return writer->Write(arrow::RecordBatch::Make(output, n, std::move(arrays)));
}

// What this batch has written so far becomes the sorter's first input; earlier batches of the group are
// written again unchanged.
Status SliceBuilder::Impl::StartSorting() {
  columnar::SorterOptions options;
  options.memory_bytes = spec.sort_memory_bytes;
  options.spill_folder = spec.spill_folder;
  ASSIGN_OR_RETURN(sorter, columnar::Sorter::Make(filled, spec.order, options));
  if (batch_rows == 0) return {};
  if (auto closed = writer->Close(); !closed.ok()) return std::move(closed).error();
  auto file = writer->TakeFile();
  writer.reset();
  ASSIGN_OR_RETURN(auto reader, columnar::SliceReader::OpenStaged(*file));
  next_offset = spec.start_offset;
  while (true) {
    ASSIGN_OR_RETURN(auto batch, reader->Next());
    if (!batch) break;
    arrow::ArrayVector arrays;
    for (const auto& field : filled->fields()) arrays.push_back(batch->GetColumnByName(field->name()));
    auto rows = arrow::RecordBatch::Make(filled, batch->num_rows(), std::move(arrays));
    const int64_t earlier =
        std::clamp<int64_t>(static_cast<int64_t>(batch_start - next_offset), 0, rows->num_rows());
    if (earlier > 0) RETURN_IF_ERROR(Write(rows->Slice(0, earlier)));
    if (earlier < rows->num_rows()) RETURN_IF_ERROR(sorter->Add(rows->Slice(earlier)));
  }
  return {};
}

Status SliceBuilder::Impl::DrainSorter() {
  RETURN_IF_ERROR(sorter->Finish());
  while (true) {
    ASSIGN_OR_RETURN(auto batch, sorter->Next());
    if (!batch) break;
    RETURN_IF_ERROR(Write(batch));
  }
  sorter.reset();
  return {};
}

SliceBuilder::SliceBuilder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SliceBuilder::~SliceBuilder() = default;

Result<std::unique_ptr<SliceBuilder>> SliceBuilder::Make(storage::Storage& storage, SliceSpec spec) {
  auto impl = std::make_unique<Impl>();
  impl->storage = &storage;
  impl->spec = std::move(spec);
  RETURN_IF_ERROR(impl->Plan());
  return std::unique_ptr<SliceBuilder>(new SliceBuilder(std::move(impl)));
}

const std::shared_ptr<arrow::Schema>& SliceBuilder::schema() const { return impl_->output; }

Status SliceBuilder::Add(const std::shared_ptr<arrow::RecordBatch>& merged, Instant fallback) {
  if (merged->num_rows() == 0) return {};
  ASSIGN_OR_RETURN(auto rows, impl_->Fill(*merged, fallback));
  if (!impl_->spec.order.empty() && !impl_->sorter) {
    ASSIGN_OR_RETURN(bool sorted, columnar::IsSorted(*rows, impl_->spec.order, impl_->last.get()));
    if (!sorted) RETURN_IF_ERROR(impl_->StartSorting());
  }
  impl_->batch_rows += rows->num_rows();
  if (impl_->sorter) return impl_->sorter->Add(rows);
  impl_->last = rows->Slice(rows->num_rows() - 1, 1);
  return impl_->Write(rows);
}

Status SliceBuilder::AddSingles(const std::shared_ptr<arrow::RecordBatch>& merged, Instant fallback) {
  if (impl_->sorter || impl_->batch_rows > 0) return Internal("whole batches came within another one");
  ASSIGN_OR_RETURN(auto rows, impl_->Fill(*merged, fallback));
  RETURN_IF_ERROR(impl_->Write(rows));
  impl_->batch_start = impl_->next_offset;
  return {};
}

Result<int64_t> SliceBuilder::EndBatch() {
  if (impl_->sorter) RETURN_IF_ERROR(impl_->DrainSorter());
  const int64_t rows = impl_->batch_rows;
  impl_->batch_rows = 0;
  impl_->batch_start = impl_->next_offset;
  impl_->last.reset();
  return rows;
}

Result<std::optional<BuiltSlice>> SliceBuilder::Finish() {
  if (impl_->sorter || impl_->batch_rows > 0) {
    ASSIGN_OR_RETURN(int64_t rows, EndBatch());
    (void)rows;
  }
  if (!impl_->writer) return std::optional<BuiltSlice>();
  ASSIGN_OR_RETURN(auto info, impl_->writer->Close());
  BuiltSlice built;
  built.file = impl_->writer->TakeFile();
  built.schema = schema();
  built.slice.logical_hash = info.logical_hash;
  built.slice.physical_hash = info.physical_hash;
  built.slice.size = info.size;
  built.slice.offset_interval = {impl_->spec.start_offset, impl_->next_offset - 1};
  built.max_event_time = Instant::FromMillis(impl_->max_event_millis);
  return std::optional<BuiltSlice>(std::move(built));
}

Result<std::optional<BuiltSlice>> Restamp(storage::Storage& storage, BuiltSlice& slice,
                                          const odf::ChainState& chain, Instant system_time) {
  arrow::FieldVector fields;
  for (const auto& field : slice.schema->fields()) {
    if (field->name() != chain.vocabulary.offset && field->name() != chain.vocabulary.system_time)
      fields.push_back(field);
  }
  const auto columns = arrow::schema(fields);
  ASSIGN_OR_RETURN(const auto shaper, MakeRealigner(chain, columns));
  SliceSpec spec;
  spec.vocabulary = chain.vocabulary;
  spec.merged = shaper.schema();
  spec.dataset_schema = chain.schema;
  spec.start_offset = chain.last_offset() ? *chain.last_offset() + 1 : 0;
  spec.system_time = system_time;
  ASSIGN_OR_RETURN(auto builder, SliceBuilder::Make(storage, std::move(spec)));
  ASSIGN_OR_RETURN(auto reader, columnar::SliceReader::OpenStaged(*slice.file));
  while (true) {
    ASSIGN_OR_RETURN(auto rows, reader->Next());
    if (!rows) return builder->Finish();
    arrow::ArrayVector arrays;
    for (const auto& field : fields) arrays.push_back(rows->GetColumnByName(field->name()));
    ASSIGN_OR_RETURN(auto shaped, Realign(shaper, *arrow::RecordBatch::Make(columns, rows->num_rows(),
                                                                            std::move(arrays))));
    RETURN_IF_ERROR(builder->Add(shaped, system_time));
  }
}

odf::AddData MakeAddData(const odf::ChainState& chain, const std::optional<BuiltSlice>& slice,
                         std::optional<std::string> extra, std::optional<odf::SourceState> state) {
  odf::AddData data;
  data.prev_offset = chain.last_offset();
  if (chain.last_data) data.prev_checkpoint = chain.last_data->checkpoint;
  data.new_watermark = chain.watermark();
  if (slice) {
    data.new_data = slice->slice;
    data.extra = std::move(extra);
    data.new_watermark = std::max(data.new_watermark.value_or(slice->max_event_time), slice->max_event_time);
  }
  data.new_source_state = std::move(state);
  return data;
}

}  // namespace sluice::ingest
