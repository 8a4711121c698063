#include <arrow/api.h>
#include <arrow/util/checked_cast.h>

#include <cstring>
#include <limits>
#include <numeric>

#include "columnar/arrow_status.h"
#include "columnar/keys.h"

namespace sluice::columnar {
namespace {

using arrow::internal::checked_cast;

struct Reader {
  const char* next;
  const char* end;

  size_t left() const { return static_cast<size_t>(end - next); }
};

uint32_t VarintSize(uint64_t value) {
  uint32_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}
char* PutVarint(char* out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) *out++ = static_cast<char>(value | 0x80);
  *out++ = static_cast<char>(value);
  return out;
}
bool GetVarint(Reader* in, uint64_t* value) {
  *value = 0;
  for (int shift = 0; shift < 64 && in->next != in->end; shift += 7) {
    const uint64_t byte = static_cast<uint8_t>(*in->next++);
    *value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool BitAt(const char* bitmap, size_t i) { return (bitmap[i / 8] >> (i % 8) & 1) != 0; }
void SetBit(char* bitmap, size_t i) { bitmap[i / 8] = static_cast<char>(bitmap[i / 8] | 1 << (i % 8)); }
size_t BitmapSize(size_t bits) { return (bits + 7) / 8; }

arrow::Status Truncated() { return arrow::Status::SerializationError("a stored row is cut short"); }

// One type: single values for what is nested, whole columns for the rows' own fields. Null values are the
// callers' matter.
class ValueCodec {
 public:
  virtual ~ValueCodec() = default;
  virtual uint64_t Size(const arrow::Array& values, int64_t i) const = 0;
  virtual char* Put(const arrow::Array& values, int64_t i, char* out) const = 0;
  virtual arrow::Status Get(Reader* in, arrow::ArrayBuilder* builder) const = 0;

  // The same for a column, skipping nulls. Flat types override these with loops of their own.
  virtual void AddSizes(const arrow::Array& values, uint64_t* sizes) const {
    for (int64_t i = 0; i < values.length(); ++i) {
      if (!values.IsNull(i)) sizes[i] += Size(values, i);
    }
  }
  virtual void PutColumn(const arrow::Array& values, char** outs) const {
    for (int64_t i = 0; i < values.length(); ++i) {
      if (!values.IsNull(i)) outs[i] = Put(values, i, outs[i]);
    }
  }
  virtual arrow::Status GetColumn(const std::vector<std::string_view>& rows, size_t column, Reader* ins,
                                  arrow::ArrayBuilder* builder) const {
    for (size_t i = 0; i < rows.size(); ++i) {
      if (BitAt(rows[i].data(), column)) {
        ARROW_RETURN_NOT_OK(builder->AppendNull());
      } else {
        ARROW_RETURN_NOT_OK(Get(&ins[i], builder));
      }
    }
    return arrow::Status::OK();
  }
};

// `Derived` has non-virtual SizeOf, PutOne, GetOne over the concrete classes, so that the column loops call
// nothing virtual.
template <class Derived, class ArrayType, class BuilderType>
class FlatCodec : public ValueCodec {
 public:
  uint64_t Size(const arrow::Array& values, int64_t i) const final {
    return self().SizeOf(checked_cast<const ArrayType&>(values), i);
  }
  char* Put(const arrow::Array& values, int64_t i, char* out) const final {
    return self().PutOne(checked_cast<const ArrayType&>(values), i, out);
  }
  arrow::Status Get(Reader* in, arrow::ArrayBuilder* builder) const final {
    return self().GetOne(in, checked_cast<BuilderType*>(builder));
  }
  void AddSizes(const arrow::Array& values, uint64_t* sizes) const final {
    const auto& typed = checked_cast<const ArrayType&>(values);
    for (int64_t i = 0; i < typed.length(); ++i) {
      if (!typed.IsNull(i)) sizes[i] += self().SizeOf(typed, i);
    }
  }
  void PutColumn(const arrow::Array& values, char** outs) const final {
    const auto& typed = checked_cast<const ArrayType&>(values);
    for (int64_t i = 0; i < typed.length(); ++i) {
      if (!typed.IsNull(i)) outs[i] = self().PutOne(typed, i, outs[i]);
    }
  }
  arrow::Status GetColumn(const std::vector<std::string_view>& rows, size_t column, Reader* ins,
                          arrow::ArrayBuilder* builder) const final {
    auto* typed = checked_cast<BuilderType*>(builder);
    for (size_t i = 0; i < rows.size(); ++i) {
      if (BitAt(rows[i].data(), column)) {
        ARROW_RETURN_NOT_OK(typed->AppendNull());
      } else {
        ARROW_RETURN_NOT_OK(self().GetOne(&ins[i], typed));
      }
    }
    return arrow::Status::OK();
  }

 private:
  const Derived& self() const { return static_cast<const Derived&>(*this); }
};

template <class Type>
class NumberCodec final : public FlatCodec<NumberCodec<Type>, typename arrow::TypeTraits<Type>::ArrayType,
                                           typename arrow::TypeTraits<Type>::BuilderType> {
 public:
  using Array = typename arrow::TypeTraits<Type>::ArrayType;
  using Builder = typename arrow::TypeTraits<Type>::BuilderType;
  using Value = typename Type::c_type;

  static uint64_t SizeOf(const Array&, int64_t) { return sizeof(Value); }
  static char* PutOne(const Array& values, int64_t i, char* out) {
    const Value value = values.raw_values()[i];
    std::memcpy(out, &value, sizeof(Value));
    return out + sizeof(Value);
  }
  static arrow::Status GetOne(Reader* in, Builder* builder) {
    if (in->left() < sizeof(Value)) return Truncated();
    Value value;
    std::memcpy(&value, in->next, sizeof(Value));
    in->next += sizeof(Value);
    return builder->Append(value);
  }
};

class BooleanCodec final : public FlatCodec<BooleanCodec, arrow::BooleanArray, arrow::BooleanBuilder> {
 public:
  static uint64_t SizeOf(const arrow::BooleanArray&, int64_t) { return 1; }
  static char* PutOne(const arrow::BooleanArray& values, int64_t i, char* out) {
    *out = values.Value(i) ? 1 : 0;
    return out + 1;
  }
  static arrow::Status GetOne(Reader* in, arrow::BooleanBuilder* builder) {
    if (in->left() < 1) return Truncated();
    return builder->Append(*in->next++ != 0);
  }
};

// Decimals too.
class FixedCodec final
    : public FlatCodec<FixedCodec, arrow::FixedSizeBinaryArray, arrow::FixedSizeBinaryBuilder> {
 public:
  explicit FixedCodec(size_t width) : width_(width) {}
  uint64_t SizeOf(const arrow::FixedSizeBinaryArray&, int64_t) const { return width_; }
  char* PutOne(const arrow::FixedSizeBinaryArray& values, int64_t i, char* out) const {
    if (width_ != 0) std::memcpy(out, values.GetValue(i), width_);
    return out + width_;
  }
  arrow::Status GetOne(Reader* in, arrow::FixedSizeBinaryBuilder* builder) const {
    if (in->left() < width_) return Truncated();
    const auto* value = reinterpret_cast<const uint8_t*>(in->next);
    in->next += width_;
    return builder->Append(value);
  }

 private:
  size_t width_;
};

template <class ArrayType, class BuilderType>
class BytesCodec final : public FlatCodec<BytesCodec<ArrayType, BuilderType>, ArrayType, BuilderType> {
 public:
  static uint64_t SizeOf(const ArrayType& values, int64_t i) {
    const uint64_t size = values.GetView(i).size();
    return VarintSize(size) + size;
  }
  static char* PutOne(const ArrayType& values, int64_t i, char* out) {
    const std::string_view value = values.GetView(i);
    out = PutVarint(out, value.size());
    if (!value.empty()) std::memcpy(out, value.data(), value.size());
    return out + value.size();
  }
  static arrow::Status GetOne(Reader* in, BuilderType* builder) {
    uint64_t size = 0;
    if (!GetVarint(in, &size) || in->left() < size) return Truncated();
    const std::string_view value(in->next, size);
    in->next += size;
    return builder->Append(value);
  }
};

class NullCodec final : public ValueCodec {
 public:
  uint64_t Size(const arrow::Array&, int64_t) const override { return 0; }
  char* Put(const arrow::Array&, int64_t, char* out) const override { return out; }
  arrow::Status Get(Reader*, arrow::ArrayBuilder* builder) const override { return builder->AppendNull(); }
};

template <class ArrayType, class BuilderType>
class ListCodec final : public ValueCodec {
 public:
  explicit ListCodec(std::unique_ptr<ValueCodec> item) : item_(std::move(item)) {}

  uint64_t Size(const arrow::Array& values, int64_t i) const override {
    const auto& list = checked_cast<const ArrayType&>(values);
    const arrow::Array& items = *list.values();
    const int64_t start = list.value_offset(i);
    const int64_t count = list.value_length(i);
    uint64_t size = VarintSize(static_cast<uint64_t>(count)) + BitmapSize(static_cast<size_t>(count));
    for (int64_t j = start; j < start + count; ++j) {
      if (!items.IsNull(j)) size += item_->Size(items, j);
    }
    return size;
  }

  char* Put(const arrow::Array& values, int64_t i, char* out) const override {
    const auto& list = checked_cast<const ArrayType&>(values);
    const arrow::Array& items = *list.values();
    const int64_t start = list.value_offset(i);
    const int64_t count = list.value_length(i);
    out = PutVarint(out, static_cast<uint64_t>(count));
    char* nulls = out;
    const size_t bitmap = BitmapSize(static_cast<size_t>(count));
    std::memset(nulls, 0, bitmap);
    out += bitmap;
    for (int64_t j = 0; j < count; ++j) {
      if (items.IsNull(start + j)) {
        SetBit(nulls, static_cast<size_t>(j));
      } else {
        out = item_->Put(items, start + j, out);
      }
    }
    return out;
  }

  arrow::Status Get(Reader* in, arrow::ArrayBuilder* builder) const override {
    auto* list = checked_cast<BuilderType*>(builder);
    uint64_t count = 0;
    if (!GetVarint(in, &count) || count / 8 > in->left()) return Truncated();
    const size_t bitmap = BitmapSize(count);
    if (bitmap > in->left()) return Truncated();
    const char* nulls = in->next;
    in->next += bitmap;
    ARROW_RETURN_NOT_OK(list->Append());
    for (size_t j = 0; j < count; ++j) {
      if (BitAt(nulls, j)) {
        ARROW_RETURN_NOT_OK(list->value_builder()->AppendNull());
      } else {
        ARROW_RETURN_NOT_OK(item_->Get(in, list->value_builder()));
      }
    }
    return arrow::Status::OK();
  }

 private:
  std::unique_ptr<ValueCodec> item_;
};

class StructCodec final : public ValueCodec {
 public:
  explicit StructCodec(std::vector<std::unique_ptr<ValueCodec>> fields) : fields_(std::move(fields)) {}

  uint64_t Size(const arrow::Array& values, int64_t i) const override {
    const auto& record = checked_cast<const arrow::StructArray&>(values);
    uint64_t size = BitmapSize(fields_.size());
    for (size_t f = 0; f < fields_.size(); ++f) {
      const arrow::Array& field = *record.field(static_cast<int>(f));
      if (!field.IsNull(i)) size += fields_[f]->Size(field, i);
    }
    return size;
  }

  char* Put(const arrow::Array& values, int64_t i, char* out) const override {
    const auto& record = checked_cast<const arrow::StructArray&>(values);
    char* nulls = out;
    std::memset(nulls, 0, BitmapSize(fields_.size()));
    out += BitmapSize(fields_.size());
    for (size_t f = 0; f < fields_.size(); ++f) {
      const arrow::Array& field = *record.field(static_cast<int>(f));
      if (field.IsNull(i)) {
        SetBit(nulls, f);
      } else {
        out = fields_[f]->Put(field, i, out);
      }
    }
    return out;
  }

  arrow::Status Get(Reader* in, arrow::ArrayBuilder* builder) const override {
    auto* record = checked_cast<arrow::StructBuilder*>(builder);
    const size_t bitmap = BitmapSize(fields_.size());
    if (in->left() < bitmap) return Truncated();
    const char* nulls = in->next;
    in->next += bitmap;
    ARROW_RETURN_NOT_OK(record->Append());
    for (size_t f = 0; f < fields_.size(); ++f) {
      arrow::ArrayBuilder* field = record->field_builder(static_cast<int>(f));
      if (BitAt(nulls, f)) {
        ARROW_RETURN_NOT_OK(field->AppendNull());
      } else {
        ARROW_RETURN_NOT_OK(fields_[f]->Get(in, field));
      }
    }
    return arrow::Status::OK();
  }

 private:
  std::vector<std::unique_ptr<ValueCodec>> fields_;
};

using CodecPtr = std::unique_ptr<ValueCodec>;

template <class Codec>
CodecPtr New() {
  return std::make_unique<Codec>();
}

struct TypeRow {
  arrow::Type::type type;
  CodecPtr (*make)();
};

constexpr TypeRow kFlatTypes[] = {
    {arrow::Type::NA, New<NullCodec>},
    {arrow::Type::BOOL, New<BooleanCodec>},
    {arrow::Type::INT8, New<NumberCodec<arrow::Int8Type>>},
    {arrow::Type::INT16, New<NumberCodec<arrow::Int16Type>>},
    {arrow::Type::INT32, New<NumberCodec<arrow::Int32Type>>},
    {arrow::Type::INT64, New<NumberCodec<arrow::Int64Type>>},
    {arrow::Type::UINT8, New<NumberCodec<arrow::UInt8Type>>},
    {arrow::Type::UINT16, New<NumberCodec<arrow::UInt16Type>>},
    {arrow::Type::UINT32, New<NumberCodec<arrow::UInt32Type>>},
    {arrow::Type::UINT64, New<NumberCodec<arrow::UInt64Type>>},
    {arrow::Type::HALF_FLOAT, New<NumberCodec<arrow::HalfFloatType>>},
    {arrow::Type::FLOAT, New<NumberCodec<arrow::FloatType>>},
    {arrow::Type::DOUBLE, New<NumberCodec<arrow::DoubleType>>},
    {arrow::Type::DATE32, New<NumberCodec<arrow::Date32Type>>},
    {arrow::Type::DATE64, New<NumberCodec<arrow::Date64Type>>},
    {arrow::Type::TIME32, New<NumberCodec<arrow::Time32Type>>},
    {arrow::Type::TIME64, New<NumberCodec<arrow::Time64Type>>},
    {arrow::Type::TIMESTAMP, New<NumberCodec<arrow::TimestampType>>},
    {arrow::Type::DURATION, New<NumberCodec<arrow::DurationType>>},
    {arrow::Type::STRING, New<BytesCodec<arrow::BinaryArray, arrow::BinaryBuilder>>},
    {arrow::Type::BINARY, New<BytesCodec<arrow::BinaryArray, arrow::BinaryBuilder>>},
    {arrow::Type::LARGE_STRING, New<BytesCodec<arrow::LargeBinaryArray, arrow::LargeBinaryBuilder>>},
    {arrow::Type::LARGE_BINARY, New<BytesCodec<arrow::LargeBinaryArray, arrow::LargeBinaryBuilder>>},
    {arrow::Type::STRING_VIEW, New<BytesCodec<arrow::BinaryViewArray, arrow::BinaryViewBuilder>>},
    {arrow::Type::BINARY_VIEW, New<BytesCodec<arrow::BinaryViewArray, arrow::BinaryViewBuilder>>},
};

Result<CodecPtr> MakeCodec(const arrow::DataType& type);

template <class Array, class Builder>
Result<CodecPtr> MakeListCodec(const arrow::DataType& type) {
  ASSIGN_OR_RETURN(CodecPtr item, MakeCodec(*type.field(0)->type()));
  return CodecPtr(std::make_unique<ListCodec<Array, Builder>>(std::move(item)));
}

Result<CodecPtr> MakeCodec(const arrow::DataType& type) {
  for (const TypeRow& row : kFlatTypes) {
    if (row.type == type.id()) return row.make();
  }
  switch (type.id()) {
    case arrow::Type::FIXED_SIZE_BINARY:
    case arrow::Type::DECIMAL32:
    case arrow::Type::DECIMAL64:
    case arrow::Type::DECIMAL128:
    case arrow::Type::DECIMAL256:
      return CodecPtr(
          std::make_unique<FixedCodec>(checked_cast<const arrow::FixedSizeBinaryType&>(type).byte_width()));
    case arrow::Type::LIST:
      return MakeListCodec<arrow::ListArray, arrow::ListBuilder>(type);
    case arrow::Type::LARGE_LIST:
      return MakeListCodec<arrow::LargeListArray, arrow::LargeListBuilder>(type);
    case arrow::Type::FIXED_SIZE_LIST:
      return MakeListCodec<arrow::FixedSizeListArray, arrow::FixedSizeListBuilder>(type);
    case arrow::Type::STRUCT: {
      std::vector<CodecPtr> fields;
      for (const auto& field : type.fields()) {
        ASSIGN_OR_RETURN(CodecPtr codec, MakeCodec(*field->type()));
        fields.push_back(std::move(codec));
      }
      return CodecPtr(std::make_unique<StructCodec>(std::move(fields)));
    }
    default:
      return Unsupported("rows of type {} cannot be kept", type.ToString());
  }
}

}  // namespace

struct RowCodec::Impl {
  std::vector<CodecPtr> columns;
};

Result<RowCodec> RowCodec::Make(std::shared_ptr<arrow::Schema> schema) {
  auto impl = std::make_shared<Impl>();
  for (const auto& field : schema->fields()) {
    Result<CodecPtr> codec = MakeCodec(*field->type());
    if (!codec.ok()) return std::move(codec).error().With(fmt::format("column '{}'", field->name()));
    impl->columns.push_back(std::move(codec).value());
  }
  RowCodec result;
  result.schema_ = std::move(schema);
  result.impl_ = std::move(impl);
  return result;
}

Status RowCodec::Encode(const arrow::RecordBatch& batch, PackedBytes* out) const {
  const auto& columns = impl_->columns;
  if (static_cast<size_t>(batch.num_columns()) != columns.size()) {
    return InvalidArgument("rows of {} columns do not fit a schema of {}", batch.num_columns(),
                           columns.size());
  }
  const size_t rows = static_cast<size_t>(batch.num_rows());
  const size_t bitmap = BitmapSize(columns.size());
  std::vector<uint64_t> sizes(rows, bitmap);
  for (size_t c = 0; c < columns.size(); ++c) {
    const arrow::Array& values = *batch.column(static_cast<int>(c));
    if (!values.type()->Equals(*schema_->field(static_cast<int>(c))->type())) {
      return InvalidArgument("column '{}' has type {} instead of {}",
                             schema_->field(static_cast<int>(c))->name(), values.type()->ToString(),
                             schema_->field(static_cast<int>(c))->type()->ToString());
    }
    columns[c]->AddSizes(values, sizes.data());
  }
  const uint64_t start = out->data.size();
  const uint64_t total = std::accumulate(sizes.begin(), sizes.end(), start);
  if (total > std::numeric_limits<uint32_t>::max()) {
    return MakeError(ErrorCode::kResourceExhausted, "the rows of one batch take more than 4 GiB");
  }
  out->data.resize(total);  // zeros: nothing is null yet
  std::vector<char*> outs(rows);
  uint64_t offset = start;
  for (size_t i = 0; i < rows; ++i) {
    outs[i] = out->data.data() + offset + bitmap;
    offset += sizes[i];
    out->offsets.push_back(static_cast<uint32_t>(offset));
  }
  const size_t first = out->offsets.size() - 1 - rows;
  for (size_t c = 0; c < columns.size(); ++c) {
    const arrow::Array& values = *batch.column(static_cast<int>(c));
    if (values.null_count() != 0) {
      for (size_t i = 0; i < rows; ++i) {
        if (values.IsNull(static_cast<int64_t>(i))) SetBit(out->data.data() + out->offsets[first + i], c);
      }
    }
    columns[c]->PutColumn(values, outs.data());
  }
  return OkStatus();
}

Result<std::shared_ptr<arrow::RecordBatch>> RowCodec::Decode(
    const std::vector<std::string_view>& rows) const {
  const auto& columns = impl_->columns;
  const size_t bitmap = BitmapSize(columns.size());
  std::vector<Reader> readers;
  readers.reserve(rows.size());
  for (std::string_view row : rows) {
    if (row.size() < bitmap) return Corruption("a stored row is cut short");
    readers.push_back({row.data() + bitmap, row.data() + row.size()});
  }
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  for (size_t c = 0; c < columns.size(); ++c) {
    std::unique_ptr<arrow::ArrayBuilder> builder;
    const auto& type = schema_->field(static_cast<int>(c))->type();
    RETURN_IF_ARROW_ERROR(arrow::MakeBuilder(arrow::default_memory_pool(), type, &builder));
    RETURN_IF_ARROW_ERROR(builder->Reserve(static_cast<int64_t>(rows.size())));
    const arrow::Status read = columns[c]->GetColumn(rows, c, readers.data(), builder.get());
    if (read.IsSerializationError()) return Corruption("{}", read.message());
    RETURN_IF_ARROW_ERROR(read);
    std::shared_ptr<arrow::Array> array;
    RETURN_IF_ARROW_ERROR(builder->Finish(&array));
    arrays.push_back(std::move(array));
  }
  for (const Reader& reader : readers) {
    if (reader.next != reader.end) return Corruption("a stored row has {} bytes too many", reader.left());
  }
  return arrow::RecordBatch::Make(schema_, static_cast<int64_t>(rows.size()), std::move(arrays));
}

}  // namespace sluice::columnar
