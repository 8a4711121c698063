// Reads blocks of versions 2 and 3. Nothing is trusted: every offset, vtable and length is checked against
// the buffer, scalars are copied out because version 2 does not align its structs, nesting is limited, and
// the work done is limited by the size of the block although offsets could share one object a million times.

#include <cstring>

#include "odf/codec.h"
#include "odf/fields_internal.h"
#include "odf/text_internal.h"
#include "odf/timestamp_internal.h"

namespace sluice::odf {
namespace {

constexpr int kMaxTableDepth = 64;

// One FlatBuffers buffer and the first error met in it; after an error every method says false.
class Buffer {
 public:
  explicit Buffer(std::string_view bytes) : bytes_(bytes), budget_(bytes.size() * 2 + (64 << 10)) {}

  bool failed() const { return error_.has_value(); }
  Error TakeError() { return std::move(*error_); }

  bool Fail(Error error) {
    if (!error_) error_ = std::move(error);
    return false;
  }
  template <class... Args>
  bool FailCorrupt(fmt::format_string<Args...> format, Args&&... args) {
    return Fail(
        Corruption("not a valid metadata block: {}", fmt::format(format, std::forward<Args>(args)...)));
  }

  bool Fits(size_t at, size_t size) const { return at <= bytes_.size() && size <= bytes_.size() - at; }

  template <class T>
  bool Load(size_t at, T* value) {
    if (!Fits(at, sizeof(T))) return FailCorrupt("byte {} is beyond its end at {}", at, bytes_.size());
    std::memcpy(value, bytes_.data() + at, sizeof(T));
    return true;
  }

  // The object that the offset at `at` points to.
  bool Follow(size_t at, size_t* target) {
    uint32_t distance;
    if (!Load(at, &distance)) return false;
    if (distance < 4 || !Fits(at, size_t{distance} + 4))
      return FailCorrupt("offset {} at byte {}", distance, at);
    *target = at + distance;
    return true;
  }

  // Items of `item_size` bytes after a count at `at`.
  bool LoadVector(size_t at, size_t item_size, size_t* first, size_t* count) {
    uint32_t length;
    if (!Load(at, &length)) return false;
    *first = at + 4;
    *count = length;
    if (!Fits(*first, size_t{length} * item_size)) return FailCorrupt("length {} at byte {}", length, at);
    return Spend(4 + size_t{length} * item_size);
  }

  bool LoadBytes(size_t at, std::string_view* bytes) {
    size_t first, count;
    if (!LoadVector(at, 1, &first, &count)) return false;
    *bytes = bytes_.substr(first, count);
    return true;
  }

  bool Spend(size_t cost) {
    if (cost > budget_) return FailCorrupt("its parts together are larger than the whole");
    budget_ -= cost;
    return true;
  }

  bool Enter() {
    return ++depth_ <= kMaxTableDepth || FailCorrupt("nested deeper than {} tables", kMaxTableDepth);
  }
  void Leave() { --depth_; }

 private:
  std::string_view bytes_;
  size_t budget_;
  int depth_ = 0;
  std::optional<Error> error_;
};

// Visits the fields of the table at `at`, slot after slot.
class TableDecoder {
 public:
  TableDecoder(Buffer& buffer, size_t at) : buffer_(buffer), at_(at) {
    if (buffer_.Enter()) Open();
  }
  ~TableDecoder() { buffer_.Leave(); }
  TableDecoder(const TableDecoder&) = delete;
  TableDecoder& operator=(const TableDecoder&) = delete;

  template <class T>
  void operator()(std::string_view name, T& value) {
    if constexpr (kIsOptional<T>) {
      typename T::value_type read{};
      if (Get(name, read)) value = std::move(read);
    } else if (!Get(name, value) && !kHasDefault<T> && !buffer_.failed()) {
      buffer_.FailCorrupt("required field '{}' is missing", name);
    }
  }

  void Extra(std::string_view name, std::optional<std::string>& json) {
    size_t at, table;
    if (!Find(&at) || !buffer_.Follow(at, &table)) return;
    TableDecoder attributes(buffer_, table);
    std::string entries;
    attributes("entries", entries);
    if (!buffer_.failed()) json = std::move(entries);
  }

  void Blob(std::string_view, std::optional<std::string>& bytes) {
    size_t at, vector;
    std::string_view view;
    if (Find(&at) && buffer_.Follow(at, &vector) && buffer_.LoadBytes(vector, &view))
      bytes = std::string(view);
  }

 private:
  template <class T>
  static constexpr bool kHasDefault = std::is_integral_v<T> || IsEnum<T>;

  void Open() {
    int32_t distance;
    if (!buffer_.Load(at_, &distance) || !buffer_.Spend(4)) return;
    const int64_t vtable = static_cast<int64_t>(at_) - distance;
    uint16_t size, table_size;
    if (vtable < 0) {
      buffer_.FailCorrupt("vtable of the table at byte {} lies before the start", at_);
      return;
    }
    vtable_ = static_cast<size_t>(vtable);
    if (!buffer_.Load(vtable_, &size) || !buffer_.Load(vtable_ + 2, &table_size)) return;
    if (size < 4 || size % 2 != 0 || table_size < 4 || !buffer_.Fits(vtable_, size) ||
        !buffer_.Fits(at_, table_size)) {
      buffer_.FailCorrupt("vtable at byte {}", vtable_);
      return;
    }
    slot_count_ = (size - 4u) / 2;
  }

  // Position of the next slot's field; false when absent.
  bool Find(size_t* at) {
    const size_t slot = next_slot_++;
    if (buffer_.failed() || slot >= slot_count_) return false;
    uint16_t offset;
    if (!buffer_.Load(vtable_ + 4 + 2 * slot, &offset) || offset == 0) return false;
    *at = at_ + offset;
    return true;
  }

  // True when the field is present and was read.
  template <class T>
  bool Get(std::string_view name, T& value) {
    size_t at;
    if constexpr (IsUnion<T>) {
      return GetUnion(name, value);
    } else if constexpr (IsEnum<T>) {
      std::underlying_type_t<T> number{};
      if (!Get(name, number)) return false;
      if (number < 0 || static_cast<size_t>(number) >= EnumOf<T>::kNames.size()) {
        return buffer_.Fail(Unsupported("{} {} is not known to this version", EnumOf<T>::kWhat, number));
      }
      value = static_cast<T>(number);
      return true;
    } else if constexpr (std::is_same_v<T, bool>) {
      uint8_t byte;
      if (!Find(&at) || !buffer_.Load(at, &byte)) return false;
      value = byte != 0;
      return true;
    } else if constexpr (std::is_integral_v<T>) {
      return Find(&at) && buffer_.Load(at, &value);
    } else if constexpr (std::is_same_v<T, Instant>) {
      std::array<char, 16> bytes;
      if (!Find(&at) || !buffer_.Load(at, &bytes)) return false;
      const auto instant = FromTimestampBytes(bytes.data());
      if (!instant) return buffer_.FailCorrupt("time in field '{}'", name);
      value = *instant;
      return true;
    } else {
      size_t target;
      return Find(&at) && buffer_.Follow(at, &target) && Read(name, target, value);
    }
  }

  template <class T>
  bool GetUnion(std::string_view name, T& value) {
    size_t kind_at, value_at, table;
    const bool has_kind = Find(&kind_at);
    const bool has_value = Find(&value_at);
    uint8_t kind = 0;
    if (has_kind && !buffer_.Load(kind_at, &kind)) return false;
    if (kind == 0 || buffer_.failed()) return false;
    if (kind > UnionOf<T>::kNames.size()) {
      return buffer_.Fail(
          Unsupported("{} with discriminant {} is not known to this version", UnionOf<T>::kWhat, int{kind}));
    }
    if (!has_value) return buffer_.FailCorrupt("field '{}' has a kind and no value", name);
    if (!buffer_.Follow(value_at, &table)) return false;
    UnionOf<T>::SetKind(&value, kind);
    TableDecoder variant(buffer_, table);
    if (!buffer_.failed()) UnionOf<T>::Fields(variant, value);
    return !buffer_.failed();
  }

  bool Read(std::string_view name, size_t at, std::string& text) {
    std::string_view bytes;
    if (!buffer_.LoadBytes(at, &bytes)) return false;
    if (!IsUtf8(bytes)) return buffer_.FailCorrupt("field '{}' is not UTF-8", name);
    text = std::string(bytes);
    return true;
  }

  template <class T>
    requires(std::is_same_v<T, Multihash> || std::is_same_v<T, DatasetId>)
  bool Read(std::string_view name, size_t at, T& value) {
    std::string_view bytes;
    if (!buffer_.LoadBytes(at, &bytes)) return false;
    auto parsed = T::FromBytes(bytes);
    if (!parsed.ok()) return buffer_.FailCorrupt("field '{}': {}", name, parsed.error().message());
    value = *std::move(parsed);
    return true;
  }

  bool Read(std::string_view, size_t at, PrepStep& step) {
    TableDecoder wrapper(buffer_, at);
    wrapper("value", step);
    return !buffer_.failed();
  }

  template <class T>
  bool Read(std::string_view name, size_t at, std::vector<T>& items) {
    size_t first, count;
    if (!buffer_.LoadVector(at, 4, &first, &count)) return false;
    for (size_t i = 0; i < count; ++i) {
      size_t target;
      if (!buffer_.Follow(first + 4 * i, &target) || !Read(name, target, items.emplace_back())) return false;
    }
    return true;
  }

  template <class T>
  bool Read(std::string_view, size_t at, T& table) {
    TableDecoder decoder(buffer_, at);
    if (!buffer_.failed()) Describe(decoder, table);
    return !buffer_.failed();
  }

  Buffer& buffer_;
  size_t at_;
  size_t vtable_ = 0;
  size_t slot_count_ = 0;
  size_t next_slot_ = 0;
};

struct Envelope {
  int64_t kind = 0;
  int32_t version = 0;
  std::optional<std::string> content;
};

template <class A>
void Describe(A& v, Envelope& x) {
  v("kind", x.kind);
  v("version", x.version);
  v.Blob("content", x.content);
}

// Reads the root table of `bytes`.
template <class T>
Result<T> ReadRoot(std::string_view bytes) {
  Buffer buffer(bytes);
  T value;
  size_t root;
  if (buffer.Follow(0, &root)) {
    TableDecoder table(buffer, root);
    if (!buffer.failed()) Describe(table, value);
  }
  if (buffer.failed()) return buffer.TakeError();
  return value;
}

}  // namespace

Result<MetadataBlock> DecodeBlock(std::string_view bytes) {
  if (bytes.size() > kMaxBlockBytes) {
    return Corruption("a metadata block of {} bytes is over the limit of {}", bytes.size(), kMaxBlockBytes);
  }
  ASSIGN_OR_RETURN(const Envelope envelope, ReadRoot<Envelope>(bytes));
  if (envelope.kind != kManifestKind) {
    return Corruption("not a metadata block: kind {:#x} instead of {:#x}", envelope.kind, kManifestKind);
  }
  if (envelope.version != 2 && envelope.version != kBlockVersion) {
    return Unsupported("metadata block version {}: this program reads 2 and {}", envelope.version,
                       kBlockVersion);
  }
  if (!envelope.content) return Corruption("not a valid metadata block: it has no content");
  return ReadRoot<MetadataBlock>(*envelope.content);
}

}  // namespace sluice::odf
