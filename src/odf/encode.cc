// Writes blocks as FlatBuffers, back to front as that format's builders do: children first, so that every
// offset points forward and is known when it is written. One visitor of fields_internal.h serves all tables.
// The order of bytes is that of odf-metadata.md 4.4; block hashes depend on it.

#include <cstring>
#include <memory>

#include "odf/codec.h"
#include "odf/fields_internal.h"
#include "odf/timestamp_internal.h"

namespace sluice::odf {
namespace {

// Distance from the end of the buffer to the start of an object: stays valid while bytes are put in front.
using Ref = uint32_t;

// What goes into one slot of a table. Absent when size == 0.
struct Slot {
  uint8_t size = 0;
  uint8_t align = 1;
  bool is_ref = false;
  Ref ref = 0;
  std::array<char, 16> bytes{};

  static Slot OfRef(Ref ref) { return Slot{4, 4, true, ref, {}}; }
  template <class T>
  static Slot OfScalar(T value) {
    Slot slot{sizeof(T), sizeof(T), false, 0, {}};
    std::memcpy(slot.bytes.data(), &value, sizeof(T));
    return slot;
  }
};

class Builder {
 public:
  // Version 2 wrote timestamps without their alignment.
  explicit Builder(bool aligned_structs) : struct_align_(aligned_structs ? 4 : 1) {}

  uint8_t struct_align() const { return struct_align_; }
  Ref used() const { return static_cast<Ref>(buffer_.size() - free_); }

  Ref PushString(std::string_view text) {
    Align(text.size() + 1, 4);
    Prepend("", 1);
    Prepend(text.data(), text.size());
    return PushScalar(static_cast<uint32_t>(text.size()));
  }

  Ref PushBytes(std::string_view bytes) {
    Align(bytes.size(), 4);
    Prepend(bytes.data(), bytes.size());
    return PushScalar(static_cast<uint32_t>(bytes.size()));
  }

  Ref PushRefs(const std::vector<Ref>& refs) {
    Align(refs.size() * 4, 4);
    for (size_t i = refs.size(); i-- > 0;) PushRef(refs[i]);
    return PushScalar(static_cast<uint32_t>(refs.size()));
  }

  Ref PushTable(const std::vector<Slot>& slots) {
    const Ref start = used();
    std::vector<Ref> positions(slots.size(), 0);
    size_t present = 0;
    for (size_t i = 0; i < slots.size(); ++i) {
      if (slots[i].size == 0) continue;
      positions[i] = slots[i].is_ref ? PushRef(slots[i].ref) : PushInline(slots[i]);
      present = i + 1;
    }
    const Ref table = PushScalar<int32_t>(0);
    std::vector<uint16_t> vtable = {static_cast<uint16_t>(4 + 2 * present),
                                    static_cast<uint16_t>(table - start)};
    for (size_t i = 0; i < present; ++i) {
      vtable.push_back(positions[i] == 0 ? uint16_t{0} : static_cast<uint16_t>(table - positions[i]));
    }
    const int32_t distance = static_cast<int32_t>(FindOrPushVtable(vtable)) - static_cast<int32_t>(table);
    std::memcpy(End() - table, &distance, sizeof(distance));
    return table;
  }

  std::string Finish(Ref root) {
    Align(4, max_align_);
    PushRef(root);
    return buffer_.substr(free_);
  }

 private:
  char* End() { return buffer_.data() + buffer_.size(); }

  void Prepend(const void* bytes, size_t size) {
    if (size > free_) {
      std::string grown(std::max(buffer_.size() * 2, buffer_.size() + size + 256), '\0');
      std::memcpy(grown.data() + grown.size() - used(), buffer_.data() + free_, used());
      free_ += grown.size() - buffer_.size();
      buffer_ = std::move(grown);
    }
    free_ -= size;
    if (size > 0) std::memcpy(buffer_.data() + free_, bytes, size);
  }

  // Pads so that after `size` more bytes the buffer's front is a multiple of `align` from its end.
  void Align(size_t size, size_t align) {
    max_align_ = std::max(max_align_, align);
    static constexpr char kZeros[8] = {};
    Prepend(kZeros, (align - (used() + size) % align) % align);
  }

  template <class T>
  Ref PushScalar(T value) {
    Align(sizeof(T), sizeof(T));
    Prepend(&value, sizeof(T));
    return used();
  }

  Ref PushInline(const Slot& slot) {
    Align(slot.size, slot.align);
    Prepend(slot.bytes.data(), slot.size);
    return used();
  }

  Ref PushRef(Ref target) {
    Align(4, 4);
    return PushScalar(static_cast<uint32_t>(used() + 4 - target));
  }

  Ref FindOrPushVtable(const std::vector<uint16_t>& vtable) {
    for (const auto& [known, position] : vtables_) {
      if (known == vtable) return position;
    }
    Prepend(vtable.data(), vtable.size() * sizeof(uint16_t));
    vtables_.emplace_back(vtable, used());
    return used();
  }

  std::string buffer_;
  size_t free_ = 0;  // unused bytes at the front of buffer_
  size_t max_align_ = 1;
  uint8_t struct_align_;
  std::vector<std::pair<std::vector<uint16_t>, Ref>> vtables_;
};

// Visits the fields of one table; children are written as they are met, the table itself by Finish().
class TableEncoder {
 public:
  explicit TableEncoder(Builder& builder) : builder_(builder) {}

  template <class T>
  void operator()(std::string_view, const T& value) {
    if constexpr (kIsOptional<T>) {
      using Value = typename T::value_type;
      if (value) {
        Put(*value, /*elide_zero=*/false);
      } else {
        slots_.resize(slots_.size() + (IsUnion<Value> ? 2 : 1));
      }
    } else {
      Put(value, /*elide_zero=*/true);
    }
  }

  void Extra(std::string_view, const std::optional<std::string>& json) {
    if (!json) return Add(Slot());
    TableEncoder attributes(builder_);
    attributes("entries", *json);
    Add(Slot::OfRef(attributes.Finish()));
  }

  void Blob(std::string_view, const std::optional<std::string>& bytes) {
    Add(bytes ? Slot::OfRef(builder_.PushBytes(*bytes)) : Slot());
  }

  Ref Finish() { return builder_.PushTable(slots_); }

 private:
  void Add(Slot slot) { slots_.push_back(slot); }

  template <class T>
  Ref PushVariant(const T& value) {
    TableEncoder table(builder_);
    UnionOf<T>::Fields(table, value);
    return table.Finish();
  }

  template <class T>
  void Put(const T& value, bool elide_zero) {
    if constexpr (IsUnion<T>) {
      const Ref variant = PushVariant(value);
      Add(Slot::OfScalar(UnionOf<T>::KindOf(value)));
      Add(Slot::OfRef(variant));
    } else if constexpr (IsEnum<T>) {
      Put(static_cast<std::underlying_type_t<T>>(value), elide_zero);
    } else if constexpr (std::is_same_v<T, bool>) {
      Put(static_cast<uint8_t>(value), elide_zero);
    } else if constexpr (std::is_integral_v<T>) {
      Add(elide_zero && value == 0 ? Slot() : Slot::OfScalar(value));
    } else if constexpr (std::is_same_v<T, Instant>) {
      Slot slot{16, builder_.struct_align(), false, 0, ToTimestampBytes(value)};
      Add(slot);
    } else {
      Add(Slot::OfRef(PushObject(value)));
    }
  }

  Ref PushObject(const std::string& text) { return builder_.PushString(text); }
  Ref PushObject(const Multihash& hash) { return builder_.PushBytes(hash.ToBytes()); }
  Ref PushObject(const DatasetId& id) { return builder_.PushBytes(id.ToBytes()); }
  // A vector of unions is a vector of tables that wrap one each.
  Ref PushObject(const PrepStep& step) {
    TableEncoder wrapper(builder_);
    wrapper("value", step);
    return wrapper.Finish();
  }
  template <class T>
  Ref PushObject(const std::vector<T>& items) {
    std::vector<Ref> refs;
    refs.reserve(items.size());
    for (const auto& item : items) refs.push_back(PushObject(item));
    return builder_.PushRefs(refs);
  }
  template <class T>
  Ref PushObject(const T& table) {
    TableEncoder encoder(builder_);
    Describe(encoder, table);
    return encoder.Finish();
  }

  Builder& builder_;
  std::vector<Slot> slots_;
};

std::string Encode(const MetadataBlock& block, int32_t version) {
  const bool aligned = version >= 3;
  Builder content(aligned);
  TableEncoder root(content);
  Describe(root, block);
  const std::string content_bytes = content.Finish(root.Finish());

  Builder manifest(aligned);
  const Ref payload = manifest.PushBytes(content_bytes);
  return manifest.Finish(
      manifest.PushTable({Slot::OfScalar(kManifestKind), Slot::OfScalar(version), Slot::OfRef(payload)}));
}

}  // namespace

Result<std::string> EncodeBlock(const MetadataBlock& block) {
  std::string bytes = Encode(block, kBlockVersion);
  if (const auto again = DecodeBlock(bytes); !again.ok()) {
    return InvalidArgument("an event {} like this cannot be stored, because it could not be read back: {}",
                           KindNameOf(block.event), again.error().message());
  }
  return bytes;
}

std::string EncodeBlockV2(const MetadataBlock& block) { return Encode(block, 2); }

}  // namespace sluice::odf
