#include "read/testing/read_text.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <arrow/type.h>

#include <algorithm>
#include <cstring>

namespace sluice::read::testing {
namespace {

class DripSource final : public ByteSource {
 public:
  DripSource(std::string bytes, size_t piece) : bytes_(std::move(bytes)), piece_(piece) {}
  Result<size_t> Read(char* buffer, size_t size) override {
    const size_t n = std::min({size, piece_, bytes_.size() - position_});
    std::memcpy(buffer, bytes_.data() + position_, n);
    position_ += n;
    return n;
  }
  const std::string& name() const override { return name_; }

 private:
  std::string bytes_;
  size_t piece_;
  size_t position_ = 0;
  std::string name_ = "drip";
};

std::string SchemaText(const arrow::Schema* schema) {
  if (schema == nullptr) return "none";
  std::string text;
  for (const auto& field : schema->fields()) {
    if (!text.empty()) text += ", ";
    text += field->name() + " " + field->type()->ToString() + (field->nullable() ? "" : "!");
  }
  return text;
}

std::string RowText(const arrow::RecordBatch& batch, int64_t row) {
  std::string text;
  for (int c = 0; c < batch.num_columns(); ++c) {
    if (c > 0) text += "|";
    const auto scalar = batch.column(c)->GetScalar(row).ValueOrDie();
    text += scalar->is_valid ? scalar->ToString() : "·";
  }
  return text;
}

}  // namespace

Result<ReadOutcome> ReadSource(const odf::ReadStep& step, std::unique_ptr<ByteSource> source,
                               ReadOptions options) {
  ASSIGN_OR_RETURN(auto reader, OpenReader(step, std::move(source), options));
  return Drain(*reader);
}

Result<ReadOutcome> Drain(Reader& reader) {
  ReadOutcome outcome;
  outcome.schema = SchemaText(reader.schema().get());
  for (;;) {
    ASSIGN_OR_RETURN(auto batch, reader.Next());
    if (!batch) break;
    if (auto valid = batch->rows->ValidateFull(); !valid.ok()) return Internal("{}", valid.ToString());
    if (reader.schema() && !batch->rows->schema()->Equals(reader.schema(), true))
      return Internal("batch of another schema");
    for (int64_t row = 0; row < batch->rows->num_rows(); ++row)
      outcome.rows.push_back(RowText(*batch->rows, row));
    outcome.batches.push_back(batch->rows);
    for (auto& reject : batch->rejects) outcome.rejects.push_back(std::move(reject));
  }
  return outcome;
}

Result<ReadOutcome> ReadText(const odf::ReadStep& step, const std::string& text, ReadOptions options) {
  return ReadSource(step, MakeMemorySource(text, "input"), options);
}

odf::DataField Field(const std::string& name, odf::TypeKind kind, bool optional) {
  odf::DataType type = odf::DataType::Of(kind);
  if (optional) type = odf::DataType::Option(std::move(type));
  return {name, std::move(type), std::nullopt};
}

odf::ReadStep Step(odf::ReadFormat format, std::vector<odf::DataField> fields) {
  odf::ReadStep step;
  step.format = format;
  if (!fields.empty()) {
    step.schema.emplace();
    step.schema->fields = std::move(fields);
  }
  return step;
}

std::unique_ptr<ByteSource> MakeDripSource(std::string bytes, size_t piece) {
  return std::make_unique<DripSource>(std::move(bytes), piece);
}

}  // namespace sluice::read::testing
