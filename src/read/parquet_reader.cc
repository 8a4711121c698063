#include "read/parquet_reader.h"

#include <arrow/array.h>
#include <arrow/array/concatenate.h>
#include <arrow/compute/cast.h>
#include <arrow/compute/initialize.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <arrow/type.h>

#include <algorithm>
#include <optional>

#include "base/cancel.h"
#include "base/names.h"
#include "columnar/arrow_status.h"
#include "columnar/cast.h"
#include "columnar/format.h"
#include "columnar/slice.h"
#include "read/leaves.h"
#include "read/local_input.h"
#include "read/rejects.h"

namespace sluice::read {
namespace {

// Texts of a String column as cells; null = no data.
std::vector<std::string_view> CellsOf(const arrow::StringArray& array) {
  std::vector<std::string_view> cells(static_cast<size_t>(array.length()));
  for (int64_t i = 0; i < array.length(); ++i) {
    if (!array.IsNull(i)) cells[static_cast<size_t>(i)] = array.GetView(i);
    // An empty text in an empty buffer has no address, and no address means null.
    if (!array.IsNull(i) && cells[static_cast<size_t>(i)].data() == nullptr)
      cells[static_cast<size_t>(i)] = "";
  }
  return cells;
}

// The value of a row as people are told of it; nested ones are too long for that.
std::string ValueText(const arrow::Array& row) {
  if (row.type_id() != arrow::Type::STRING) return "";
  return static_cast<const arrow::StringArray&>(row).GetString(0);
}

// Rows as JSON, for the rejects file.
Status AddRaw(const arrow::RecordBatch& rows, int64_t first_record, std::vector<columnar::Reject>* rejects) {
  std::string text;
  const auto keep = [&text](std::string_view part) -> Status {
    text += part;
    return {};
  };
  for (columnar::Reject& reject : *rejects) {
    text.clear();
    ASSIGN_OR_RETURN(auto writer,
                     columnar::RowWriter::Make(columnar::OutputFormat::kNdJson, rows.schema(), keep));
    RETURN_IF_ERROR(writer->Write(*rows.Slice(reject.record - 1 - first_record, 1)));
    RETURN_IF_ERROR(writer->Finish());
    while (text.ends_with('\n')) text.pop_back();
    reject.raw = Printable(text);
  }
  return {};
}

// One batch on its way to the declared schema.
class BatchCast {
 public:
  BatchCast(const arrow::RecordBatch& batch, int64_t first_record)
      : batch_(batch), first_record_(first_record) {}

  Result<std::shared_ptr<arrow::Array>> Column(const std::shared_ptr<arrow::Field>& field) {
    const auto source = batch_.GetColumnByName(field->name());
    if (!source) return columnar::ToResult(arrow::MakeArrayOfNull(field->type(), batch_.num_rows()));
    if (!HasOnlyUtf8(*source)) RefuseTextsOf(*source, *field);
    ASSIGN_OR_RETURN(auto array, Cast(source, *field));
    if (array != source && CountInfinite(*array) != CountInfinite(*source))
      RETURN_IF_ERROR(RefuseInfinite(*source, *array, *field));
    if (!field->nullable() && array->null_count() > 0) {
      for (int64_t i = 0; i < array->length(); ++i) {
        if (array->IsNull(i)) Refuse(i, *field, "", std::string(columnar::kNullInRequired));
      }
    }
    return array;
  }

  RejectList* rejects() { return &rejects_; }

 private:
  void Refuse(int64_t row, const arrow::Field& field, const std::string& value, std::string reason) {
    if (rejects_.MarkRow(row))
      rejects_.Add(first_record_ + row, -1, field.name(), value, std::move(reason), "");
  }

  void RefuseTextsOf(const arrow::Array& source, const arrow::Field& field) {
    for (int64_t i = 0; i < source.length(); ++i) {
      if (const auto row = source.Slice(i, 1); !HasOnlyUtf8(*row))
        Refuse(i, field, ValueText(*row), "text that is not UTF-8");
    }
  }

  // A cast says nothing of a number that is too large for its new type.
  Status RefuseInfinite(const arrow::Array& source, const arrow::Array& array, const arrow::Field& field) {
    for (int64_t i = 0; i < source.length(); ++i) {
      const auto row = source.Slice(i, 1);
      if (CountInfinite(*row) == CountInfinite(*array.Slice(i, 1))) continue;
      ASSIGN_OR_RETURN_ARROW(auto value, source.GetScalar(i));
      Refuse(i, field, value->ToString(), fmt::format("out of range of '{}'", field.type()->ToString()));
    }
    return {};
  }

  Result<std::shared_ptr<arrow::Array>> Cast(const std::shared_ptr<arrow::Array>& source,
                                             const arrow::Field& field) {
    if (source->type()->Equals(*field.type())) return source;
    if (source->type_id() == arrow::Type::STRING) {
      // Our own kernels: the same texts are accepted as in CSV.
      if (auto caster = columnar::TextCaster::Make(field.type(), true); caster.ok()) {
        const auto cells = CellsOf(static_cast<const arrow::StringArray&>(*source));
        std::vector<columnar::BadCell> bad;
        RETURN_IF_ERROR((*caster)->Append(cells.data(), 1, cells.size(), &bad));
        for (columnar::BadCell& b : bad)
          Refuse(static_cast<int64_t>(b.row), field, std::string(cells[b.row]), std::move(b.reason));
        return (*caster)->Finish();
      }
    }
    auto whole = arrow::compute::Cast(*source, field.type());
    if (whole.ok()) return *whole;
    if (!whole.status().IsInvalid()) {
      return Unsupported("column '{}' of type '{}' cannot become '{}'", field.name(),
                         source->type()->ToString(), field.type()->ToString());
    }
    return CastRowByRow(source, field);
  }

  // Which values do not fit is only found one by one.
  Result<std::shared_ptr<arrow::Array>> CastRowByRow(const std::shared_ptr<arrow::Array>& source,
                                                     const arrow::Field& field) {
    arrow::ArrayVector pieces;
    for (int64_t i = 0; i < source->length(); ++i) {
      auto piece = arrow::compute::Cast(*source->Slice(i, 1), field.type());
      if (!piece.ok()) {
        ASSIGN_OR_RETURN_ARROW(auto value, source->GetScalar(i));
        Refuse(i, field, value->ToString(), fmt::format("does not fit '{}'", field.type()->ToString()));
        piece = arrow::MakeArrayOfNull(field.type(), 1);
      }
      ASSIGN_OR_RETURN_ARROW(auto array, std::move(piece));
      pieces.push_back(std::move(array));
    }
    return columnar::ToResult(arrow::Concatenate(pieces));
  }

  const arrow::RecordBatch& batch_;
  const int64_t first_record_;
  RejectList rejects_;
};

// A damaged input is a wrong input, not a damaged dataset, and is known by its name, not by where it was put.
Error OfInput(const Error& error, const std::string& name, const std::string& path) {
  const ErrorCode code = error.code() == ErrorCode::kCorruption ? ErrorCode::kInvalidArgument : error.code();
  std::string text = error.ToString();
  for (size_t at = text.find(path); at != std::string::npos && path != name;
       at = text.find(path, at + name.size()))
    text.replace(at, path.size(), name);
  if (text.find(name) != std::string::npos) return Error(code, std::move(text));
  return Error(code, fmt::format("'{}': {}", name, text));
}

class ParquetInputReader final : public Reader {
 public:
  ParquetInputReader(std::string name, LocalInput input, std::unique_ptr<columnar::SliceReader> slice,
                     std::shared_ptr<arrow::Schema> declared, const ReadOptions& options)
      : name_(std::move(name)),
        input_(std::move(input)),
        slice_(std::move(slice)),
        declared_(std::move(declared)),
        batch_rows_(std::max<int64_t>(options.batch_rows, 1)),
        stop_(options.stop) {}

  std::shared_ptr<arrow::Schema> schema() const override {
    if (declared_) return declared_;
    return slice_ ? slice_->schema() : nullptr;
  }

  uint64_t bytes_read() const override {
    if (!slice_ || slice_->rows() == 0) return input_.bytes;
    return input_.bytes * static_cast<uint64_t>(records_) / static_cast<uint64_t>(slice_->rows());
  }

  Result<std::optional<ReadBatch>> Next() override {
    RETURN_IF_ERROR(CheckCancelled(stop_));
    if (!slice_) return std::optional<ReadBatch>();
    if (!rest_) {
      auto next = slice_->Next();
      if (!next.ok()) return OfInput(next.error(), name_, input_.path);
      rest_ = std::move(*next);
      if (!rest_) return std::optional<ReadBatch>();
    }
    auto piece = rest_->Slice(0, batch_rows_);
    rest_ = rest_->num_rows() > batch_rows_ ? rest_->Slice(batch_rows_) : nullptr;
    ReadBatch batch;
    RETURN_IF_ERROR(Project(*piece, declared_ ? declared_ : piece->schema(), &batch));
    records_ += piece->num_rows();
    return std::optional<ReadBatch>(std::move(batch));
  }

 private:
  Status Project(const arrow::RecordBatch& piece, const std::shared_ptr<arrow::Schema>& schema,
                 ReadBatch* batch) {
    BatchCast cast(piece, records_);
    arrow::ArrayVector arrays;
    for (const auto& field : schema->fields()) {
      ASSIGN_OR_RETURN(auto array, cast.Column(field));
      arrays.push_back(std::move(array));
    }
    ASSIGN_OR_RETURN(batch->rows,
                     DropRows(arrow::RecordBatch::Make(schema, piece.num_rows(), std::move(arrays)),
                              cast.rejects()->rows()));
    batch->rejects = cast.rejects()->Take();
    return AddRaw(piece, records_, &batch->rejects);
  }

  const std::string name_;
  LocalInput input_;
  std::unique_ptr<columnar::SliceReader> slice_;  // null for an input without bytes
  std::shared_ptr<arrow::Schema> declared_;
  const int64_t batch_rows_;
  const std::stop_token stop_;
  std::shared_ptr<arrow::RecordBatch> rest_;
  int64_t records_ = 0;
};

Status CheckColumns(const arrow::Schema& file, const arrow::Schema& declared, bool strict,
                    const std::string& input) {
  for (const auto& field : declared.fields()) {
    if (file.GetFieldIndex(field->name()) < 0 && !field->nullable()) {
      return InvalidArgument("'{}' has no column '{}', which is non-nullable; its columns: {}", input,
                             field->name(), JoinNames(file.field_names()));
    }
  }
  if (!strict) return {};
  for (const std::string& name : file.field_names()) {
    if (declared.GetFieldIndex(name) < 0)
      return InvalidArgument("'{}': column '{}' is not in the schema", input, name);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Reader>> OpenParquet(std::shared_ptr<arrow::Schema> declared,
                                            std::unique_ptr<ByteSource> source, const ReadOptions& options) {
  RETURN_IF_ARROW_ERROR(arrow::compute::Initialize());
  const std::string name = source->name();
  ASSIGN_OR_RETURN(LocalInput input, MakeLocal(source.get(), options.spill_folder, options.stop));
  if (input.bytes == 0)
    return std::make_unique<ParquetInputReader>(name, std::move(input), nullptr, std::move(declared),
                                                options);
  std::optional<std::vector<std::string>> columns;
  auto opened = columnar::SliceReader::OpenFile(input.path);
  if (opened.ok() && declared) {
    RETURN_IF_ERROR(CheckColumns(*(*opened)->schema(), *declared, options.strict_columns, name));
    columns.emplace();
    for (const auto& field : declared->fields()) {
      if ((*opened)->schema()->GetFieldIndex(field->name()) >= 0) columns->push_back(field->name());
    }
    opened = columnar::SliceReader::OpenFile(input.path, columns);
  }
  if (opened.ok() && (*opened)->schema()->num_fields() == 0 && !declared)
    return InvalidArgument("'{}' has no columns", name);
  if (!opened.ok()) return OfInput(opened.error(), name, input.path);
  return std::make_unique<ParquetInputReader>(name, std::move(input), std::move(*opened), std::move(declared),
                                              options);
}

}  // namespace sluice::read
