// From events to the tree of a manifest: another visitor of fields_internal.h.

#include "multiformats/multibase.h"
#include "odf/codec.h"
#include "odf/fields_internal.h"
#include "odf/yaml.h"
#include "odf/yaml_tree_internal.h"

namespace sluice::odf {
namespace {

template <class T>
YamlNode TreeOf(const T& value);

class ObjectWriter {
 public:
  template <class T>
  void operator()(std::string_view name, const T& value) {
    if constexpr (kIsOptional<T>) {
      if (value) node_.Add(name, TreeOf(*value));
    } else {
      node_.Add(name, TreeOf(value));
    }
  }
  // Attributes of a block that are no JSON are shown as the text they are.
  void Extra(std::string_view name, const std::optional<std::string>& json) {
    if (!json) return;
    auto tree = ParseJson(*json);
    node_.Add(name, tree.ok() ? *std::move(tree) : YamlNode::Text(*json));
  }
  void Blob(std::string_view name, const std::optional<std::string>& bytes) {
    if (bytes) node_.Add(name, YamlNode::Text(multiformats::EncodeBase64(*bytes)));
  }
  void Kind(std::string_view name) { node_.Add("kind", YamlNode::Text(name)); }

  YamlNode Take() { return std::move(node_); }

 private:
  YamlNode node_ = YamlNode::Mapping();
};

template <class T>
std::string_view NameOfKind(const T& value) {
  const auto& names = UnionOf<T>::kNames;
  const size_t kind = UnionOf<T>::KindOf(value);
  return kind >= 1 && kind <= names.size() ? names[kind - 1] : std::string_view("Unknown");
}

template <class T>
std::string_view NameOfEnum(T value) {
  const auto& names = EnumOf<T>::kNames;
  const auto index = static_cast<size_t>(value);
  return index < names.size() ? names[index] : std::string_view("Unknown");
}

template <class T>
YamlNode TreeOf(const T& value) {
  if constexpr (IsUnion<T>) {
    ObjectWriter object;
    object.Kind(NameOfKind(value));
    UnionOf<T>::Fields(object, value);
    return object.Take();
  } else if constexpr (IsEnum<T>) {
    return YamlNode::Text(NameOfEnum(value));
  } else if constexpr (kIsVector<T>) {
    YamlNode list = YamlNode::Sequence();
    for (const auto& item : value) list.items.push_back(TreeOf(item));
    return list;
  } else if constexpr (std::is_same_v<T, bool>) {
    return YamlNode::Plain(value ? "true" : "false");
  } else if constexpr (std::is_integral_v<T>) {
    return YamlNode::Plain(std::to_string(value));
  } else if constexpr (std::is_same_v<T, std::string>) {
    return YamlNode::Text(value);
  } else if constexpr (std::is_same_v<T, Instant>) {
    return YamlNode::Text(FormatInstant(value));
  } else if constexpr (std::is_same_v<T, Multihash> || std::is_same_v<T, DatasetId>) {
    return YamlNode::Text(value.ToString());
  } else {
    ObjectWriter object;
    Describe(object, value);
    return object.Take();
  }
}

template <class T>
std::string ManifestText(std::string_view kind, int version, const T& content) {
  YamlNode manifest = YamlNode::Mapping();
  manifest.Add("kind", YamlNode::Text(kind));
  manifest.Add("version", YamlNode::Plain(std::to_string(version)));
  manifest.Add("content", TreeOf(content));
  return EmitYaml(manifest);
}

}  // namespace

std::string ToYaml(const DatasetSnapshot& snapshot) { return ManifestText("DatasetSnapshot", 1, snapshot); }
std::string ToYaml(const MetadataEvent& event) { return ManifestText("MetadataEvent", 1, event); }
std::string ToYaml(const MetadataBlock& block) { return ManifestText("MetadataBlock", kBlockVersion, block); }
std::string ToYaml(const DataSchema& schema) { return EmitYaml(TreeOf(schema)); }
std::string ToJson(const DataSchema& schema) { return PrettyJson(TreeOf(schema)); }
std::string ToJson(const MetadataBlock& block) { return PrettyJson(TreeOf(block)); }

}  // namespace sluice::odf
