#include "sql/arrow_result.h"

#include <arrow/api.h>
#include <arrow/c/bridge.h>
#include <arrow/compute/api.h>
#include <arrow/extension_type.h>

#include "columnar/arrow_status.h"
#include "sql/names.h"

namespace sluice::sql {
namespace {

// The type a column of type `type` gets outside: same layout, other names and zones.
std::shared_ptr<arrow::DataType> OuterType(const std::shared_ptr<arrow::DataType>& type) {
  auto outer_field = [](const std::shared_ptr<arrow::Field>& field) {
    return arrow::field(DecodeName(field->name()), OuterType(field->type()), field->nullable());
  };
  switch (type->id()) {
    case arrow::Type::EXTENSION:
      return OuterType(static_cast<const arrow::ExtensionType&>(*type).storage_type());
    case arrow::Type::TIMESTAMP:
      return arrow::timestamp(static_cast<const arrow::TimestampType&>(*type).unit(), "UTC");
    case arrow::Type::STRUCT: {
      arrow::FieldVector fields;
      for (const auto& field : type->fields()) fields.push_back(outer_field(field));
      return arrow::struct_(std::move(fields));
    }
    case arrow::Type::LIST:
      return arrow::list(arrow::field("item", OuterType(type->field(0)->type())));
    case arrow::Type::FIXED_SIZE_LIST:
      return arrow::fixed_size_list(arrow::field("item", OuterType(type->field(0)->type())),
                                    static_cast<const arrow::FixedSizeListType&>(*type).list_size());
    case arrow::Type::MAP: {
      const auto& map = static_cast<const arrow::MapType&>(*type);
      return arrow::map(OuterType(map.key_type()), OuterType(map.item_type()));
    }
    default:
      return type;
  }
}

std::shared_ptr<arrow::ArrayData> Retype(const arrow::ArrayData& data,
                                         const std::shared_ptr<arrow::DataType>& type) {
  auto out = data.Copy();
  out->type = type;
  for (size_t i = 0; i < out->child_data.size(); ++i) {
    out->child_data[i] = Retype(*out->child_data[i], type->field(static_cast<int>(i))->type());
  }
  return out;
}

// Integers of 128 bits arrive as decimals of scale 0.
Result<std::shared_ptr<arrow::Array>> Narrow(const arrow::Array& array, bool is_signed,
                                             const std::string& column, ErrorCode overflow_code) {
  const auto& decimals = static_cast<const arrow::Decimal128Array&>(array);
  auto overflow = [&](int64_t row) {
    return MakeError(overflow_code,
                     "value {} of column '{}' does not fit 64 bits; cast it to a decimal or double",
                     arrow::Decimal128(decimals.GetValue(row)).ToIntegerString(), column);
  };
  auto build = [&](auto builder) -> Result<std::shared_ptr<arrow::Array>> {
    using Number = typename decltype(builder)::value_type;
    RETURN_IF_ARROW_ERROR(builder.Reserve(array.length()));
    for (int64_t row = 0; row < array.length(); ++row) {
      if (array.IsNull(row)) {
        builder.UnsafeAppendNull();
        continue;
      }
      arrow::Decimal128 wide(decimals.GetValue(row));
      auto number = static_cast<Number>(wide.low_bits());
      int64_t extension = std::is_signed_v<Number> && static_cast<int64_t>(wide.low_bits()) < 0 ? -1 : 0;
      if (wide.high_bits() != extension) return overflow(row);
      builder.UnsafeAppend(number);
    }
    return columnar::ToResult(builder.Finish());
  };
  if (is_signed) return build(arrow::Int64Builder());
  return build(arrow::UInt64Builder());
}

Result<std::shared_ptr<arrow::Array>> AsText(const arrow::Array& array) {
  return columnar::ToResult(arrow::MakeArrayOfNull(arrow::utf8(), array.length()));
}

bool HasCounterpart(duckdb_type id) {
  switch (id) {
    case DUCKDB_TYPE_INTERVAL:
    case DUCKDB_TYPE_UNION:
    case DUCKDB_TYPE_BIT:
    case DUCKDB_TYPE_BIGNUM:
    case DUCKDB_TYPE_TIME_TZ:
    case DUCKDB_TYPE_INVALID:
    case DUCKDB_TYPE_ANY:
      return false;
    default:
      return true;
  }
}

}  // namespace

Result<ResultShape> ResultShape::Make(duckdb_connection connection, duckdb_prepared_statement statement) {
  ResultShape shape;
  idx_t count = duckdb_prepared_statement_column_count(statement);
  std::vector<LogicalType> owned;
  std::vector<duckdb_logical_type> types;
  std::vector<const char*> names;
  std::vector<duckdb_type> ids;
  for (idx_t i = 0; i < count; ++i) {
    const char* name = duckdb_prepared_statement_column_name(statement, i);
    shape.columns_.push_back({DecodeName(name), Fix::kRetype, nullptr});
    duckdb_free(const_cast<char*>(name));
    owned.emplace_back(duckdb_prepared_statement_column_logical_type(statement, i));
    types.push_back(owned.back().get());
    ids.push_back(duckdb_get_type_id(types.back()));
    if (!HasCounterpart(ids.back())) {
      return Unsupported(
          "column '{}' of the result has a type that cannot be stored; cast it to text or a number",
          shape.columns_.back().name);
    }
  }
  for (const Column& column : shape.columns_) names.push_back(column.name.c_str());
  ArrowOptions options;
  duckdb_connection_get_arrow_options(connection, options.out());
  ArrowSchema exported{};
  ErrorData error(duckdb_to_arrow_schema(options.get(), types.data(), names.data(), count, &exported));
  if (error && duckdb_error_data_has_error(error.get())) {
    return Unsupported("{}", DecodeMessage(duckdb_error_data_message(error.get())));
  }
  ASSIGN_OR_RETURN_ARROW(shape.raw_, arrow::ImportSchema(&exported));
  arrow::FieldVector fields;
  for (size_t i = 0; i < shape.columns_.size(); ++i) {
    Column& column = shape.columns_[i];
    std::shared_ptr<arrow::DataType> raw = shape.raw_->field(static_cast<int>(i))->type();
    if (ids[i] == DUCKDB_TYPE_HUGEINT || ids[i] == DUCKDB_TYPE_UHUGEINT) {
      column.fix = Fix::kNarrow;
      column.type = ids[i] == DUCKDB_TYPE_HUGEINT ? arrow::int64() : arrow::uint64();
    } else if (ids[i] == DUCKDB_TYPE_SQLNULL || raw->id() == arrow::Type::NA) {
      column.fix = Fix::kText;
      column.type = arrow::utf8();
    } else if (raw->id() == arrow::Type::DICTIONARY) {
      column.fix = Fix::kDecode;
      column.type = static_cast<const arrow::DictionaryType&>(*raw).value_type();
    } else {
      column.type = OuterType(raw);
    }
    fields.push_back(arrow::field(column.name, column.type));
  }
  shape.schema_ = arrow::schema(std::move(fields));
  return shape;
}

Result<std::shared_ptr<arrow::RecordBatch>> ResultShape::Convert(duckdb_arrow_options options,
                                                                 duckdb_data_chunk chunk,
                                                                 ErrorCode overflow_code) const {
  ArrowArray exported{};
  ErrorData error(duckdb_data_chunk_to_arrow(options, chunk, &exported));
  if (error && duckdb_error_data_has_error(error.get())) {
    return Internal("{}", DecodeMessage(duckdb_error_data_message(error.get())));
  }
  ASSIGN_OR_RETURN_ARROW(auto batch, arrow::ImportRecordBatch(&exported, raw_));
  arrow::ArrayVector arrays;
  for (size_t i = 0; i < columns_.size(); ++i) {
    const Column& column = columns_[i];
    std::shared_ptr<arrow::Array> array = batch->column(static_cast<int>(i));
    switch (column.fix) {
      case Fix::kNarrow: {
        bool is_signed = column.type->id() == arrow::Type::INT64;
        ASSIGN_OR_RETURN(array, Narrow(*array, is_signed, column.name, overflow_code));
        break;
      }
      case Fix::kText: {
        ASSIGN_OR_RETURN(array, AsText(*array));
        break;
      }
      case Fix::kDecode: {
        ASSIGN_OR_RETURN_ARROW(array, arrow::compute::Cast(*array, column.type));
        break;
      }
      case Fix::kRetype:
        array = arrow::MakeArray(Retype(*array->data(), column.type));
        break;
    }
    arrays.push_back(std::move(array));
  }
  return arrow::RecordBatch::Make(schema_, batch->num_rows(), std::move(arrays));
}

}  // namespace sluice::sql
