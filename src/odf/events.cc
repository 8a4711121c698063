#include "odf/events.h"

#include "odf/fields_internal.h"

namespace sluice::odf {
namespace {

template <class T>
std::string_view NameOfKind(uint8_t kind) {
  const auto& names = UnionOf<T>::kNames;
  return kind >= 1 && kind <= names.size() ? names[kind - 1] : std::string_view("unknown");
}

}  // namespace

std::string_view NameOf(ReadFormat format) { return NameOfKind<ReadStep>(static_cast<uint8_t>(format)); }
std::string_view NameOf(MergeKind kind) { return NameOfKind<MergeStrategy>(static_cast<uint8_t>(kind)); }
std::string_view NameOf(TypeKind kind) { return NameOfKind<DataType>(static_cast<uint8_t>(kind)); }

std::string_view KindNameOf(const MetadataEvent& event) {
  return NameOfKind<MetadataEvent>(UnionOf<MetadataEvent>::KindOf(event));
}

}  // namespace sluice::odf
