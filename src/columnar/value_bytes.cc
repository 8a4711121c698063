#include "columnar/value_bytes_internal.h"

#include <arrow/array/data.h>
#include <arrow/buffer.h>
#include <arrow/extension_type.h>
#include <arrow/type.h>
#include <arrow/util/bit_block_counter.h>
#include <arrow/util/bit_util.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace sluice::columnar {
namespace {

static_assert(std::endian::native == std::endian::little, "values are hashed as they lie in memory");

using Kind = ColumnView::Kind;
using StringView = arrow::BinaryViewType::c_type;

constexpr size_t kLengthBytes = 8;
// Short values are copied as a whole register, whatever their length.
constexpr size_t kCopyBytes = 16;
constexpr size_t kOverrunBytes = 32;

template <class T>
T Load(const uint8_t* bytes, int64_t index) {
  T value;
  std::memcpy(&value, bytes + index * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

uint8_t* AppendLength(uint64_t length, uint8_t* out) {
  std::memcpy(out, &length, kLengthBytes);
  return out + kLengthBytes;
}

// `end`: of the memory that may be read.
inline uint8_t* AppendText(const uint8_t* text, size_t length, const uint8_t* end, uint8_t* out) {
  out = AppendLength(length, out);
  if (length <= kCopyBytes && static_cast<size_t>(end - text) >= kCopyBytes) {
    std::memcpy(out, text, kCopyBytes);
  } else if (length > 0) {
    std::memcpy(out, text, length);
  }
  return out + length;
}

// Calls emit(row in the buffers, out) -> out for valid rows and writes the zero byte of the others.
template <class Emit>
uint8_t* EncodeRows(const ColumnView& view, int64_t begin, int64_t rows, uint8_t* out, Emit emit) {
  const int64_t first = view.offset + begin;
  for (int64_t i = first; i < first + rows; ++i) {
    if (view.validity != nullptr && !arrow::bit_util::GetBit(view.validity, i)) {
      *out++ = 0;
    } else {
      out = emit(i, out);
    }
  }
  return out;
}

// ---- values of fixed width

template <int64_t width>
uint8_t* EncodeMixed(const ColumnView& view, int64_t first, int64_t rows, uint8_t* out) {
  for (int64_t i = first; i < first + rows; ++i) {
    const bool valid = arrow::bit_util::GetBit(view.validity, i);
    std::memcpy(out, view.values + i * width, width);
    out[0] = valid ? out[0] : 0;
    out += valid ? width : 1;
  }
  return out;
}

uint8_t* EncodeMixedOfWidth(const ColumnView& view, int64_t first, int64_t rows, uint8_t* out) {
  switch (view.width) {
    case 1:
      return EncodeMixed<1>(view, first, rows, out);
    case 2:
      return EncodeMixed<2>(view, first, rows, out);
    case 4:
      return EncodeMixed<4>(view, first, rows, out);
    case 8:
      return EncodeMixed<8>(view, first, rows, out);
    case 16:
      return EncodeMixed<16>(view, first, rows, out);
    default:
      return EncodeMixed<32>(view, first, rows, out);
  }
}

uint8_t* EncodeFixed(const ColumnView& view, int64_t begin, int64_t rows, uint8_t* out) {
  arrow::internal::OptionalBitBlockCounter blocks(view.validity, view.offset + begin, rows);
  for (int64_t row = begin; row < begin + rows;) {
    const arrow::internal::BitBlockCount block = blocks.NextBlock();
    const auto bytes = static_cast<size_t>(block.length * view.width);
    if (block.AllSet()) {
      std::memcpy(out, view.direct(row), bytes);
      out += bytes;
    } else if (block.NoneSet()) {
      std::memset(out, 0, static_cast<size_t>(block.length));
      out += block.length;
    } else {
      out = EncodeMixedOfWidth(view, view.offset + row, block.length, out);
    }
    row += block.length;
  }
  return out;
}

// ---- booleans: one byte a row, 0 null, 1 false, 2 true

// The lowest eight bits, each as one byte of 0 or 1.
uint64_t SpreadBits(uint8_t bits) {
  const uint64_t spread = (bits * 0x0101010101010101ULL) & 0x8040201008040201ULL;
  return (spread + 0x7F7F7F7F7F7F7F7FULL) >> 7 & 0x0101010101010101ULL;
}

uint8_t EightBits(const uint8_t* bitmap, int64_t at) {
  const int64_t byte = at / 8;
  const int shift = static_cast<int>(at % 8);
  if (shift == 0) return bitmap[byte];
  return static_cast<uint8_t>(bitmap[byte] >> shift | bitmap[byte + 1] << (8 - shift));
}

uint8_t* EncodeBool(const ColumnView& view, int64_t begin, int64_t rows, uint8_t* out) {
  const int64_t first = view.offset + begin;
  int64_t i = 0;
  for (; i + 8 <= rows; i += 8) {
    const uint64_t valid =
        view.validity == nullptr ? 0x0101010101010101ULL : SpreadBits(EightBits(view.validity, first + i));
    const uint64_t values = SpreadBits(EightBits(view.values, first + i));
    const uint64_t bytes = (0x0101010101010101ULL + values) & valid * 3;
    std::memcpy(out + i, &bytes, sizeof(bytes));
  }
  for (; i < rows; ++i) {
    const bool valid = view.validity == nullptr || arrow::bit_util::GetBit(view.validity, first + i);
    out[i] = valid ? (arrow::bit_util::GetBit(view.values, first + i) ? 2 : 1) : 0;
  }
  return out + rows;
}

// ---- values of variable width

template <class Offset>
uint8_t* EncodeBinary(const ColumnView& view, int64_t begin, int64_t rows, uint8_t* out) {
  return EncodeRows(view, begin, rows, out, [&](int64_t i, uint8_t* to) {
    const auto start = Load<Offset>(view.offsets, i);
    const auto end = Load<Offset>(view.offsets, i + 1);
    return AppendText(view.values + start, static_cast<size_t>(end - start), view.values_end, to);
  });
}

uint8_t* EncodeBinaryView(const ColumnView& view, int64_t begin, int64_t rows, uint8_t* out) {
  return EncodeRows(view, begin, rows, out, [&](int64_t i, uint8_t* to) {
    const auto text = Load<StringView>(view.values, i);
    const auto length = static_cast<size_t>(text.size());
    if (text.is_inline()) {
      to = AppendLength(length, to);
      std::memcpy(to, text.inlined.data.data(), text.inlined.data.size());
      return to + length;
    }
    const auto buffer = static_cast<size_t>(text.ref.buffer_index);
    return AppendText(view.view_buffers[buffer] + text.ref.offset, length, view.view_buffer_ends[buffer], to);
  });
}

uint8_t* EncodeFixedBinary(const ColumnView& view, int64_t begin, int64_t rows, uint8_t* out) {
  return EncodeRows(view, begin, rows, out, [&](int64_t i, uint8_t* to) {
    return AppendText(view.values + i * view.width, static_cast<size_t>(view.width), view.values_end, to);
  });
}

template <class Offset>
uint8_t* EncodeList(const ColumnView& view, int64_t begin, int64_t rows, uint8_t* out) {
  return EncodeRows(view, begin, rows, out, [&](int64_t i, uint8_t* to) {
    const int64_t start = Load<Offset>(view.offsets, i);
    const int64_t items = Load<Offset>(view.offsets, i + 1) - start;
    return EncodeValues(view.item[0], start, items, AppendLength(static_cast<uint64_t>(items), to));
  });
}

uint8_t* EncodeFixedList(const ColumnView& view, int64_t begin, int64_t rows, uint8_t* out) {
  return EncodeRows(view, begin, rows, out, [&](int64_t i, uint8_t* to) {
    return EncodeValues(view.item[0], i * view.width, view.width,
                        AppendLength(static_cast<uint64_t>(view.width), to));
  });
}

// ---- bounds, without the overrun

size_t ViewTextBytes(const ColumnView& view, int64_t begin, int64_t rows) {
  size_t bytes = 0;
  for (int64_t i = view.offset + begin; i < view.offset + begin + rows; ++i) {
    if (view.validity != nullptr && !arrow::bit_util::GetBit(view.validity, i)) continue;
    bytes += static_cast<size_t>(Load<StringView>(view.values, i).size());
  }
  return bytes;
}

// What the offsets say lies under the rows: start and size.
std::pair<int64_t, int64_t> RangeUnder(const ColumnView& view, int64_t begin, int64_t rows) {
  const int64_t first = view.offset + begin;
  if (view.kind == Kind::kFixedList) return {first * view.width, rows * view.width};
  if (view.kind == Kind::kBinary || view.kind == Kind::kList) {
    const int64_t start = Load<int32_t>(view.offsets, first);
    return {start, Load<int32_t>(view.offsets, first + rows) - start};
  }
  const auto start = Load<int64_t>(view.offsets, first);
  return {start, Load<int64_t>(view.offsets, first + rows) - start};
}

size_t BoundOf(const ColumnView& view, int64_t begin, int64_t rows) {
  if (rows == 0) return 0;
  const auto count = static_cast<size_t>(rows);
  switch (view.kind) {
    case Kind::kBool:
      return count;
    case Kind::kFixed:
      return count * static_cast<size_t>(view.width);
    case Kind::kFixedBinary:
      return count * (kLengthBytes + static_cast<size_t>(view.width));
    case Kind::kBinaryView:
      return count * kLengthBytes + ViewTextBytes(view, begin, rows);
    case Kind::kBinary:
    case Kind::kLargeBinary:
      return count * kLengthBytes + static_cast<size_t>(RangeUnder(view, begin, rows).second);
    case Kind::kList:
    case Kind::kLargeList:
    case Kind::kFixedList:
      break;
  }
  const auto [start, items] = RangeUnder(view, begin, rows);
  return count * kLengthBytes + BoundOf(view.item[0], start, items);
}

Kind KindOf(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::BOOL:
      return Kind::kBool;
    case arrow::Type::BINARY:
    case arrow::Type::STRING:
      return Kind::kBinary;
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::LARGE_STRING:
      return Kind::kLargeBinary;
    case arrow::Type::BINARY_VIEW:
    case arrow::Type::STRING_VIEW:
      return Kind::kBinaryView;
    case arrow::Type::FIXED_SIZE_BINARY:
      return Kind::kFixedBinary;
    case arrow::Type::LIST:
      return Kind::kList;
    case arrow::Type::LARGE_LIST:
      return Kind::kLargeList;
    case arrow::Type::FIXED_SIZE_LIST:
      return Kind::kFixedList;
    case arrow::Type::EXTENSION:
      return KindOf(*static_cast<const arrow::ExtensionType&>(type).storage_type());
    default:
      return Kind::kFixed;
  }
}

int64_t WidthOf(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::FIXED_SIZE_LIST:
      return static_cast<const arrow::FixedSizeListType&>(type).list_size();
    case arrow::Type::EXTENSION:
      return WidthOf(*static_cast<const arrow::ExtensionType&>(type).storage_type());
    default:
      return type.byte_width();
  }
}

const uint8_t* DataOf(const std::shared_ptr<arrow::Buffer>& buffer) {
  return buffer == nullptr ? nullptr : buffer->data();
}

const uint8_t* EndOf(const std::shared_ptr<arrow::Buffer>& buffer) {
  return buffer == nullptr ? nullptr : buffer->data() + buffer->size();
}

}  // namespace

ColumnView ViewOf(const arrow::ArrayData& data) {
  ColumnView view;
  view.kind = KindOf(*data.type);
  view.offset = data.offset;
  if (data.GetNullCount() > 0) view.validity = DataOf(data.buffers[0]);
  switch (view.kind) {
    case Kind::kFixed:
    case Kind::kFixedBinary:
      view.width = WidthOf(*data.type);
      [[fallthrough]];
    case Kind::kBool:
      view.values = DataOf(data.buffers[1]);
      view.values_end = EndOf(data.buffers[1]);
      break;
    case Kind::kBinary:
    case Kind::kLargeBinary:
      view.offsets = DataOf(data.buffers[1]);
      view.values = DataOf(data.buffers[2]);
      view.values_end = EndOf(data.buffers[2]);
      break;
    case Kind::kBinaryView:
      view.values = DataOf(data.buffers[1]);
      for (size_t i = 2; i < data.buffers.size(); ++i) {
        view.view_buffers.push_back(DataOf(data.buffers[i]));
        view.view_buffer_ends.push_back(EndOf(data.buffers[i]));
      }
      break;
    case Kind::kFixedList:
      view.width = WidthOf(*data.type);
      view.item.push_back(ViewOf(*data.child_data[0]));
      break;
    case Kind::kList:
    case Kind::kLargeList:
      view.offsets = DataOf(data.buffers[1]);
      view.item.push_back(ViewOf(*data.child_data[0]));
      break;
  }
  return view;
}

size_t EncodedBound(const ColumnView& view, int64_t begin, int64_t rows) {
  return BoundOf(view, begin, rows) + kOverrunBytes;
}

uint8_t* EncodeValues(const ColumnView& view, int64_t begin, int64_t rows, uint8_t* out) {
  if (rows == 0) return out;
  switch (view.kind) {
    case Kind::kFixed:
      return EncodeFixed(view, begin, rows, out);
    case Kind::kBool:
      return EncodeBool(view, begin, rows, out);
    case Kind::kBinary:
      return EncodeBinary<int32_t>(view, begin, rows, out);
    case Kind::kLargeBinary:
      return EncodeBinary<int64_t>(view, begin, rows, out);
    case Kind::kBinaryView:
      return EncodeBinaryView(view, begin, rows, out);
    case Kind::kFixedBinary:
      return EncodeFixedBinary(view, begin, rows, out);
    case Kind::kList:
      return EncodeList<int32_t>(view, begin, rows, out);
    case Kind::kLargeList:
      return EncodeList<int64_t>(view, begin, rows, out);
    case Kind::kFixedList:
      return EncodeFixedList(view, begin, rows, out);
  }
  return out;
}

}  // namespace sluice::columnar
