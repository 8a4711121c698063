#include "columnar/keys.h"

#include <arrow/api.h>
#include <arrow/compute/api.h>
#include <arrow/util/checked_cast.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstring>
#include <limits>
#include <numeric>

#include "columnar/arrow_status.h"

namespace sluice::columnar {
namespace {

using arrow::internal::checked_cast;

// Where the next byte of each row goes.
struct Target {
  char* base;
  uint32_t* cursors;
};

template <class T>
char* PutBigEndian(char* out, T value) {
  for (int shift = static_cast<int>(sizeof(T)) * 8 - 8; shift >= 0; shift -= 8) {
    *out++ = static_cast<char>(value >> shift & 0xff);
  }
  return out;
}
inline char* PutBigEndian(char* out, uint64_t value) {
  value = __builtin_bswap64(value);
  std::memcpy(out, &value, sizeof(value));
  return out + sizeof(value);
}
inline char* PutBigEndian(char* out, uint32_t value) {
  value = __builtin_bswap32(value);
  std::memcpy(out, &value, sizeof(value));
  return out + sizeof(value);
}

template <std::unsigned_integral T>
struct UnsignedBits {
  static constexpr int kBytes = sizeof(T);
  static char* Put(char* out, const uint8_t* value) {
    T bits;
    std::memcpy(&bits, value, sizeof(T));
    return PutBigEndian(out, bits);
  }
};

template <std::unsigned_integral T>
struct SignedBits {
  static constexpr int kBytes = sizeof(T);
  static char* Put(char* out, const uint8_t* value) {
    T bits;
    std::memcpy(&bits, value, sizeof(T));
    return PutBigEndian(out, static_cast<T>(bits ^ T{1} << (sizeof(T) * 8 - 1)));
  }
};

// `kInfinity` = bits of +infinity; what is above it without the sign is NaN.
template <std::unsigned_integral T, T kInfinity>
struct FloatBits {
  static constexpr int kBytes = sizeof(T);
  static constexpr T kSign = T{1} << (sizeof(T) * 8 - 1);
  static char* Put(char* out, const uint8_t* value) {
    T bits;
    std::memcpy(&bits, value, sizeof(T));
    const T magnitude = bits & static_cast<T>(~kSign);
    if (magnitude > kInfinity) {
      bits = std::numeric_limits<T>::max();
    } else if (magnitude == 0) {
      bits = kSign;
    } else {
      bits = (bits & kSign) != 0 ? static_cast<T>(~bits) : static_cast<T>(bits | kSign);
    }
    return PutBigEndian(out, bits);
  }
};

template <int kWidth>
struct DecimalBits {
  static constexpr int kBytes = kWidth;
  static char* Put(char* out, const uint8_t* value) {
    for (int i = 0; i < kWidth; ++i) out[i] = static_cast<char>(value[kWidth - 1 - i]);
    out[0] = static_cast<char>(out[0] ^ 0x80);
    return out + kWidth;
  }
};

// The two passes over one column: sizes, then bytes.
class ColumnWriter {
 public:
  explicit ColumnWriter(std::shared_ptr<arrow::Array> array) : array_(std::move(array)) {}
  virtual ~ColumnWriter() = default;
  virtual void AddSizes(uint32_t* sizes) const = 0;
  virtual void Write(const Target& target) const = 0;

  bool MayHaveNulls() const { return array_->null_count() != 0; }
  const arrow::Array& array() const { return *array_; }

 protected:
  std::shared_ptr<arrow::Array> array_;
};

template <class Bits>
class FixedWriter : public ColumnWriter {
 public:
  using ColumnWriter::ColumnWriter;

  void AddSizes(uint32_t* sizes) const override {
    const int64_t rows = array_->length();
    if (!MayHaveNulls()) {
      for (int64_t i = 0; i < rows; ++i) sizes[i] += 1 + Bits::kBytes;
    } else {
      for (int64_t i = 0; i < rows; ++i) sizes[i] += array_->IsNull(i) ? 1 : 1 + Bits::kBytes;
    }
  }

  void Write(const Target& target) const override {
    const arrow::ArrayData& data = *array_->data();
    const int64_t rows = data.length;
    if (rows == 0) return;
    const uint8_t* values = data.buffers[1]->data() + data.offset * Bits::kBytes;
    const bool nulls = MayHaveNulls();
    for (int64_t i = 0; i < rows; ++i) {
      char* out = target.base + target.cursors[i];
      if (nulls && array_->IsNull(i)) {
        *out = 0;
        target.cursors[i] += 1;
        continue;
      }
      *out = 1;
      Bits::Put(out + 1, values + i * Bits::kBytes);
      target.cursors[i] += 1 + Bits::kBytes;
    }
  }
};

class BooleanWriter : public ColumnWriter {
 public:
  using ColumnWriter::ColumnWriter;

  void AddSizes(uint32_t* sizes) const override {
    for (int64_t i = 0; i < array_->length(); ++i) sizes[i] += array_->IsNull(i) ? 1 : 2;
  }
  void Write(const Target& target) const override {
    const auto& values = checked_cast<const arrow::BooleanArray&>(*array_);
    for (int64_t i = 0; i < values.length(); ++i) {
      char* out = target.base + target.cursors[i];
      const bool null = values.IsNull(i);
      *out = null ? 0 : 1;
      if (!null) out[1] = values.Value(i) ? 1 : 0;
      target.cursors[i] += null ? 1 : 2;
    }
  }
};

class FixedBinaryWriter : public ColumnWriter {
 public:
  using ColumnWriter::ColumnWriter;

  void AddSizes(uint32_t* sizes) const override {
    const uint32_t width = checked_cast<const arrow::FixedSizeBinaryArray&>(*array_).byte_width();
    for (int64_t i = 0; i < array_->length(); ++i) sizes[i] += array_->IsNull(i) ? 1 : 1 + width;
  }
  void Write(const Target& target) const override {
    const auto& values = checked_cast<const arrow::FixedSizeBinaryArray&>(*array_);
    const uint32_t width = values.byte_width();
    for (int64_t i = 0; i < values.length(); ++i) {
      char* out = target.base + target.cursors[i];
      const bool null = values.IsNull(i);
      *out = null ? 0 : 1;
      if (!null) std::memcpy(out + 1, values.GetValue(i), width);
      target.cursors[i] += null ? 1 : 1 + width;
    }
  }
};

// Also counts zero bytes, which are written as two.
template <class ArrayType>
class BinaryWriter : public ColumnWriter {
 public:
  using ColumnWriter::ColumnWriter;

  void AddSizes(uint32_t* sizes) const override {
    const auto& values = checked_cast<const ArrayType&>(*array_);
    for (int64_t i = 0; i < values.length(); ++i) {
      if (values.IsNull(i)) {
        sizes[i] += 1;
        continue;
      }
      const std::string_view value = values.GetView(i);
      const size_t zeros = value.find('\0') == std::string_view::npos
                               ? 0
                               : static_cast<size_t>(std::count(value.begin(), value.end(), '\0'));
      sizes[i] += static_cast<uint32_t>(3 + value.size() + zeros);
    }
  }

  void Write(const Target& target) const override {
    const auto& values = checked_cast<const ArrayType&>(*array_);
    for (int64_t i = 0; i < values.length(); ++i) {
      char* out = target.base + target.cursors[i];
      if (values.IsNull(i)) {
        *out = 0;
        target.cursors[i] += 1;
        continue;
      }
      *out++ = 1;
      out = PutEscaped(out, values.GetView(i));
      *out++ = 0;
      *out++ = 0;
      target.cursors[i] = static_cast<uint32_t>(out - target.base);
    }
  }

 private:
  static char* PutEscaped(char* out, std::string_view value) {
    for (size_t zero = value.find('\0'); zero != std::string_view::npos; zero = value.find('\0')) {
      std::memcpy(out, value.data(), zero + 1);
      out += zero + 1;
      *out++ = static_cast<char>(0xff);
      value.remove_prefix(zero + 1);
    }
    if (!value.empty()) std::memcpy(out, value.data(), value.size());
    return out + value.size();
  }
};

class NullWriter : public ColumnWriter {
 public:
  using ColumnWriter::ColumnWriter;

  void AddSizes(uint32_t* sizes) const override {
    for (int64_t i = 0; i < array_->length(); ++i) sizes[i] += 1;
  }
  void Write(const Target& target) const override {
    for (int64_t i = 0; i < array_->length(); ++i) target.base[target.cursors[i]++] = 0;
  }
};

template <class Writer>
std::unique_ptr<ColumnWriter> New(std::shared_ptr<arrow::Array> array) {
  return std::make_unique<Writer>(std::move(array));
}

struct TypeRow {
  arrow::Type::type type;
  std::unique_ptr<ColumnWriter> (*make)(std::shared_ptr<arrow::Array>);
};

constexpr TypeRow kTypes[] = {
    {arrow::Type::NA, New<NullWriter>},
    {arrow::Type::BOOL, New<BooleanWriter>},
    {arrow::Type::INT8, New<FixedWriter<SignedBits<uint8_t>>>},
    {arrow::Type::INT16, New<FixedWriter<SignedBits<uint16_t>>>},
    {arrow::Type::INT32, New<FixedWriter<SignedBits<uint32_t>>>},
    {arrow::Type::INT64, New<FixedWriter<SignedBits<uint64_t>>>},
    {arrow::Type::UINT8, New<FixedWriter<UnsignedBits<uint8_t>>>},
    {arrow::Type::UINT16, New<FixedWriter<UnsignedBits<uint16_t>>>},
    {arrow::Type::UINT32, New<FixedWriter<UnsignedBits<uint32_t>>>},
    {arrow::Type::UINT64, New<FixedWriter<UnsignedBits<uint64_t>>>},
    {arrow::Type::HALF_FLOAT, New<FixedWriter<FloatBits<uint16_t, 0x7c00>>>},
    {arrow::Type::FLOAT, New<FixedWriter<FloatBits<uint32_t, 0x7f800000>>>},
    {arrow::Type::DOUBLE, New<FixedWriter<FloatBits<uint64_t, 0x7ff0000000000000>>>},
    {arrow::Type::DATE32, New<FixedWriter<SignedBits<uint32_t>>>},
    {arrow::Type::DATE64, New<FixedWriter<SignedBits<uint64_t>>>},
    {arrow::Type::TIME32, New<FixedWriter<SignedBits<uint32_t>>>},
    {arrow::Type::TIME64, New<FixedWriter<SignedBits<uint64_t>>>},
    {arrow::Type::TIMESTAMP, New<FixedWriter<SignedBits<uint64_t>>>},
    {arrow::Type::DURATION, New<FixedWriter<SignedBits<uint64_t>>>},
    {arrow::Type::DECIMAL32, New<FixedWriter<SignedBits<uint32_t>>>},
    {arrow::Type::DECIMAL64, New<FixedWriter<SignedBits<uint64_t>>>},
    {arrow::Type::DECIMAL128, New<FixedWriter<DecimalBits<16>>>},
    {arrow::Type::DECIMAL256, New<FixedWriter<DecimalBits<32>>>},
    {arrow::Type::FIXED_SIZE_BINARY, New<FixedBinaryWriter>},
    {arrow::Type::STRING, New<BinaryWriter<arrow::BinaryArray>>},
    {arrow::Type::BINARY, New<BinaryWriter<arrow::BinaryArray>>},
    {arrow::Type::LARGE_STRING, New<BinaryWriter<arrow::LargeBinaryArray>>},
    {arrow::Type::LARGE_BINARY, New<BinaryWriter<arrow::LargeBinaryArray>>},
    {arrow::Type::STRING_VIEW, New<BinaryWriter<arrow::BinaryViewArray>>},
    {arrow::Type::BINARY_VIEW, New<BinaryWriter<arrow::BinaryViewArray>>},
};

const TypeRow* FindType(arrow::Type::type type) {
  const auto* row =
      std::find_if(std::begin(kTypes), std::end(kTypes), [&](const TypeRow& r) { return r.type == type; });
  return row == std::end(kTypes) ? nullptr : row;
}

// Dictionaries are keys by their values.
const arrow::DataType& ValueType(const arrow::DataType& type) {
  if (type.id() != arrow::Type::DICTIONARY) return type;
  return *checked_cast<const arrow::DictionaryType&>(type).value_type();
}

Result<std::unique_ptr<ColumnWriter>> MakeWriter(std::shared_ptr<arrow::Array> array) {
  if (array->type_id() == arrow::Type::DICTIONARY) {
    const auto& dictionary = checked_cast<const arrow::DictionaryArray&>(*array);
    ASSIGN_OR_RETURN_ARROW(array, arrow::compute::Take(*dictionary.dictionary(), *dictionary.indices()));
  }
  const TypeRow* row = FindType(array->type_id());
  if (row == nullptr) return Unsupported("a column of type {} cannot be a key", array->type()->ToString());
  return row->make(std::move(array));
}

// The first bytes of an entry after a prefix that all share, as a number that compares like them.
uint64_t LeadingBytes(std::string_view entry, size_t skip) {
  uint64_t leading = 0;
  if (entry.size() > skip)
    std::memcpy(&leading, entry.data() + skip, std::min<size_t>(8, entry.size() - skip));
  return __builtin_bswap64(leading);
}

size_t SharedPrefix(const PackedBytes& entries) {
  const std::string_view first = entries[0];
  size_t shared = first.size();
  for (size_t i = 1; i < entries.size() && shared > 0; ++i) {
    const std::string_view entry = entries[i];
    shared = std::min(shared, entry.size());
    if (std::memcmp(first.data(), entry.data(), shared) == 0) continue;
    shared = static_cast<size_t>(
        std::mismatch(first.begin(), first.begin() + static_cast<ptrdiff_t>(shared), entry.begin()).first -
        first.begin());
  }
  return shared;
}

}  // namespace

Result<KeyEncoder> KeyEncoder::Make(const arrow::Schema& schema, const std::vector<std::string>& columns) {
  KeyEncoder encoder;
  for (const std::string& name : columns) {
    const int index = schema.GetFieldIndex(name);
    if (index < 0) {
      return InvalidArgument("no column '{}' for the key; the columns are '{}'", name,
                             fmt::join(schema.field_names(), "', '"));
    }
    const arrow::DataType& type = *schema.field(index)->type();
    if (FindType(ValueType(type).id()) == nullptr) {
      return Unsupported("column '{}' of type {} cannot be a key", name, type.ToString());
    }
    encoder.columns_.push_back(index);
  }
  return encoder;
}

Status KeyEncoder::Encode(const arrow::RecordBatch& batch, PackedBytes* out,
                          std::vector<bool>* null_rows) const {
  const size_t rows = static_cast<size_t>(batch.num_rows());
  if (null_rows != nullptr) null_rows->assign(rows, false);
  std::vector<std::unique_ptr<ColumnWriter>> writers;
  std::vector<uint32_t> cursors(rows, 0);  // sizes first
  for (int column : columns_) {
    if (column >= batch.num_columns()) return Internal("the batch has no column {} for the key", column);
    ASSIGN_OR_RETURN(std::unique_ptr<ColumnWriter> writer, MakeWriter(batch.column(column)));
    writer->AddSizes(cursors.data());
    if (null_rows != nullptr && writer->MayHaveNulls()) {
      for (size_t i = 0; i < rows; ++i) {
        if (writer->array().IsNull(static_cast<int64_t>(i))) (*null_rows)[i] = true;
      }
    }
    writers.push_back(std::move(writer));
  }
  const uint64_t start = out->data.size();
  const uint64_t total = std::accumulate(cursors.begin(), cursors.end(), start);
  if (total > std::numeric_limits<uint32_t>::max()) {
    return MakeError(ErrorCode::kResourceExhausted, "the keys of one batch take more than 4 GiB");
  }
  out->data.resize(total);
  const size_t first = out->offsets.size();
  out->offsets.resize(first + rows);
  uint32_t offset = static_cast<uint32_t>(start);
  for (size_t i = 0; i < rows; ++i) {
    const uint32_t size = cursors[i];
    cursors[i] = offset;
    offset += size;
    out->offsets[first + i] = offset;
  }
  for (const auto& writer : writers) writer->Write({out->data.data(), cursors.data()});
  return OkStatus();
}

std::vector<uint32_t> SortedOrder(const PackedBytes& entries) {
  const size_t count = entries.size();
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  size_t sorted = 1;
  while (sorted < count && entries[sorted - 1] <= entries[sorted]) ++sorted;
  if (sorted >= count) return order;

  struct Item {
    uint64_t leading;
    uint32_t index;
  };
  const size_t skip = SharedPrefix(entries);
  std::vector<Item> items(count);
  for (size_t i = 0; i < count; ++i) items[i] = {LeadingBytes(entries[i], skip), static_cast<uint32_t>(i)};
  std::sort(items.begin(), items.end(), [&](const Item& a, const Item& b) {
    if (a.leading != b.leading) return a.leading < b.leading;
    const int compared = entries[a.index].compare(entries[b.index]);
    return compared != 0 ? compared < 0 : a.index < b.index;
  });
  for (size_t i = 0; i < count; ++i) order[i] = items[i].index;
  return order;
}

}  // namespace sluice::columnar
