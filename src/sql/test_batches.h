#pragma once

#include <arrow/api.h>

#include <memory>
#include <string>
#include <vector>

#include "sql/engine.h"
#include "sql/preprocess.h"

// Small tables for the tests of this module.
namespace sluice::sql {

template <class Builder, class T>
std::shared_ptr<arrow::Array> MakeArray(const std::vector<T>& values) {
  Builder builder;
  EXPECT_TRUE(builder.AppendValues(values).ok());
  return builder.Finish().ValueOrDie();
}
inline std::shared_ptr<arrow::Array> Int64s(const std::vector<int64_t>& values) {
  return MakeArray<arrow::Int64Builder>(values);
}
inline std::shared_ptr<arrow::Array> Doubles(const std::vector<double>& values) {
  return MakeArray<arrow::DoubleBuilder>(values);
}
inline std::shared_ptr<arrow::Array> Texts(const std::vector<std::string>& values) {
  return MakeArray<arrow::StringBuilder>(values);
}

struct TestColumn {
  std::string name;
  std::shared_ptr<arrow::Array> values;
  bool nullable = true;
};

inline std::shared_ptr<arrow::RecordBatch> MakeBatch(const std::vector<TestColumn>& columns) {
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (const TestColumn& column : columns) {
    fields.push_back(arrow::field(column.name, column.values->type(), column.nullable));
    arrays.push_back(column.values);
  }
  return arrow::RecordBatch::Make(arrow::schema(fields), arrays[0]->length(), arrays);
}

inline std::shared_ptr<arrow::Scalar> CellOf(const RecordBatches& batches, int column, int64_t row = 0) {
  for (const auto& batch : batches) {
    if (row < batch->num_rows()) return batch->column(column)->GetScalar(row).ValueOrDie();
    row -= batch->num_rows();
  }
  return nullptr;
}

inline int64_t RowsOf(const RecordBatches& batches) {
  int64_t rows = 0;
  for (const auto& batch : batches) rows += batch->num_rows();
  return rows;
}

inline Result<RecordBatches> Collect(QueryResult& result) {
  RecordBatches out;
  while (true) {
    ASSIGN_OR_RETURN(auto batch, result.Next());
    if (batch == nullptr) return out;
    out.push_back(std::move(batch));
  }
}

inline TransformSpec OneStep(const std::string& engine, const std::string& query) {
  return {engine, {{"", query}}};
}

}  // namespace sluice::sql
