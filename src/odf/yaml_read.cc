// From the tree of a manifest to events. One visitor of fields_internal.h reads every object; it notes which
// names the description asked for, so that what is left over is known to be a mistake.

#include <algorithm>

#include "multiformats/multibase.h"
#include "odf/fields_internal.h"
#include "odf/type_text_internal.h"
#include "odf/yaml.h"
#include "odf/yaml_tree_internal.h"

namespace sluice::odf {
namespace {

// Where in the document a value stands: `content.metadata[1].read`.
struct Path {
  const Path* parent = nullptr;
  std::string_view name;
  std::optional<size_t> index;

  std::string ToString() const {
    std::string text = parent ? parent->ToString() : std::string();
    if (index) return fmt::format("{}[{}]", text, *index);
    return text.empty() || name.empty() ? text + std::string(name) : fmt::format("{}.{}", text, name);
  }
};

// What all readers of one document share. The first error stays.
struct Context {
  std::string_view origin;
  std::optional<Error> error;
  int type_depth = 0;

  bool failed() const { return error.has_value(); }
  bool Fail(const YamlNode& node, const Path& path, std::string_view what) {
    if (error) return false;
    const std::string place = path.ToString();
    const std::string line = node.line > 0 ? fmt::format("{}:{}", origin, node.line) : std::string(origin);
    error = InvalidArgument("{}: {}{}{}", line, place, place.empty() ? "" : ": ", what);
    return false;
  }
};

std::string_view WhatIs(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kScalar:
      return "a single value";
    case YamlNode::Kind::kSequence:
      return "a list";
    case YamlNode::Kind::kMapping:
      return "an object";
  }
  return "nothing";
}

template <class T>
bool Read(Context& context, const YamlNode& node, const Path& path, T& value);

// Visits the fields of one object. Call Finish() after the description.
class ObjectReader {
 public:
  // `tagged`: the object also has `kind`, read by the caller.
  ObjectReader(Context& context, const YamlNode& node, const Path& path, bool tagged)
      : context_(context), node_(node), path_(path) {
    if (tagged) known_.emplace_back("kind");
  }

  template <class T>
  void operator()(std::string_view name, T& value) {
    const YamlNode* child = Take(name);
    const Path path{&path_, name, std::nullopt};
    if constexpr (kIsOptional<T>) {
      if (!child || child->is_null()) return;
      typename T::value_type read{};
      if (Read(context_, *child, path, read)) value = std::move(read);
    } else if (!child) {
      missing_.emplace_back(name);
    } else {
      Read(context_, *child, path, value);
    }
  }

  void Extra(std::string_view name, std::optional<std::string>& json) {
    const YamlNode* child = Take(name);
    if (!child || child->is_null()) return;
    const Path path{&path_, name, std::nullopt};
    if (!child->is_mapping()) {
      context_.Fail(*child, path, fmt::format("an object of attributes is wanted, not {}", WhatIs(*child)));
      return;
    }
    if (child->items.empty()) return;
    auto text = CanonicalJson(*child);
    if (!text.ok()) {
      context_.Fail(*child, path, text.error().message());
      return;
    }
    json = *std::move(text);
  }

  void Blob(std::string_view name, std::optional<std::string>& bytes) {
    std::optional<std::string> text;
    (*this)(name, text);
    if (!text) return;
    auto decoded = multiformats::DecodeBase64(*text);
    if (!decoded.ok()) {
      context_.Fail(node_, Path{&path_, name, std::nullopt}, decoded.error().message());
      return;
    }
    bytes = *std::move(decoded);
  }

  // A field that the caller reads.
  const YamlNode* TakeRequired(std::string_view name) {
    const YamlNode* child = Take(name);
    if (!child) missing_.emplace_back(name);
    return child;
  }

  // An unknown field explains a missing one more often than not, so it is told first.
  bool Finish() {
    for (const auto& key : node_.keys) {
      if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
      const auto near = NearNames(key, known_);
      return context_.Fail(
          *node_.Find(key), path_,
          fmt::format("unknown field '{}'{}; fields here: {}", key,
                      near.empty() ? "" : fmt::format(", did you mean '{}'", JoinNames(near, "' or '")),
                      known_.empty() ? "none" : JoinNames(known_)));
    }
    if (!missing_.empty()) {
      return context_.Fail(node_, path_,
                           fmt::format("required field '{}' is missing", JoinNames(missing_, "', '")));
    }
    return !context_.failed();
  }

 private:
  const YamlNode* Take(std::string_view name) {
    known_.emplace_back(name);
    return context_.failed() ? nullptr : node_.Find(name);
  }

  Context& context_;
  const YamlNode& node_;
  const Path& path_;
  std::vector<std::string> known_;
  std::vector<std::string> missing_;
};

// --- single values ---

bool WantScalar(Context& context, const YamlNode& node, const Path& path, std::string_view what) {
  return node.is_scalar() ||
         context.Fail(node, path, fmt::format("{} is wanted, not {}", what, WhatIs(node)));
}

bool ReadValue(Context& context, const YamlNode& node, const Path& path, std::string& value) {
  if (!WantScalar(context, node, path, "text")) return false;
  value = node.text;
  return true;
}

bool ReadValue(Context& context, const YamlNode& node, const Path& path, bool& value) {
  if (!WantScalar(context, node, path, "true or false")) return false;
  if (!node.plain || KindOfScalar(node.text) != ScalarKind::kBool) {
    return context.Fail(node, path, fmt::format("'{}' is neither true nor false", node.text));
  }
  value = node.text.front() == 't' || node.text.front() == 'T';
  return true;
}

template <class T>
  requires std::is_integral_v<T>
bool ReadValue(Context& context, const YamlNode& node, const Path& path, T& value) {
  if (!WantScalar(context, node, path, "a number")) return false;
  const auto number = node.plain ? ParseNumber<T>(node.text) : std::nullopt;
  if (!number) {
    return context.Fail(node, path,
                        fmt::format("'{}' is not a whole number from {} to {}", node.text,
                                    std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
  }
  value = *number;
  return true;
}

// Values with a parser of their own that takes the text.
template <class T>
bool ReadParsed(Context& context, const YamlNode& node, const Path& path, T& value,
                Result<T> (*parse)(std::string_view), std::string_view what) {
  if (!WantScalar(context, node, path, what)) return false;
  auto parsed = parse(node.text);
  if (!parsed.ok()) return context.Fail(node, path, parsed.error().message());
  value = *std::move(parsed);
  return true;
}

bool ReadValue(Context& context, const YamlNode& node, const Path& path, Multihash& value) {
  return ReadParsed(context, node, path, value, &Multihash::Parse, "a hash");
}
bool ReadValue(Context& context, const YamlNode& node, const Path& path, DatasetId& value) {
  return ReadParsed(context, node, path, value, &DatasetId::Parse, "a dataset id");
}
bool ReadValue(Context& context, const YamlNode& node, const Path& path, Instant& value) {
  return ReadParsed(context, node, path, value, &ParseInstant, "a time");
}

// --- unions ---

// A list under `schema` is the DDL form of old manifests, which is called `ddlSchema` today.
YamlNode WithoutLegacyNames(const YamlNode& node) {
  YamlNode renamed = node;
  const YamlNode* schema = renamed.Find("schema");
  if (schema && schema->is_sequence() && !renamed.Find("ddlSchema")) {
    renamed.keys[static_cast<size_t>(schema - renamed.items.data())] = "ddlSchema";
  }
  return renamed;
}

template <class T>
bool ReadFields(Context& context, const YamlNode& node, const Path& path, T& value) {
  ObjectReader reader(context, node, path, /*tagged=*/true);
  UnionOf<T>::Fields(reader, value);
  return reader.Finish();
}

template <class T>
bool ReadKind(Context& context, const YamlNode& kind, const Path& path, T& value) {
  const auto& names = UnionOf<T>::kNames;
  const auto index = FindName(kind.text, names);
  if (!index) return context.Fail(kind, path, UnknownName(UnionOf<T>::kWhat, kind.text, names));
  UnionOf<T>::SetKind(&value, static_cast<uint8_t>(*index + 1));
  return true;
}

template <class T>
bool ReadShortForm(Context& context, const YamlNode& node, const Path& path, T& value) {
  if constexpr (std::is_same_v<T, DataType>) {
    auto type = ParseTypeText(node.text, context.type_depth);
    if (!type.ok()) return context.Fail(node, path, type.error().message());
    value = *std::move(type);
    return true;
  } else {
    if (!ReadKind(context, node, path, value)) return false;
    YamlNode nothing = YamlNode::Mapping();
    nothing.line = node.line;
    return ReadFields(context, nothing, path, value);
  }
}

template <class T>
bool ReadUnion(Context& context, const YamlNode& node, const Path& path, T& value) {
  const auto& union_names = UnionOf<T>::kNames;
  if (UnionOf<T>::kShortForm && node.is_scalar()) return ReadShortForm(context, node, path, value);
  const YamlNode* kind = node.is_mapping() ? node.Find("kind") : nullptr;
  if (!kind || !kind->is_scalar()) {
    const std::string choices = JoinNames(std::vector<std::string>(union_names.begin(), union_names.end()));
    return context.Fail(node, path,
                        fmt::format("an object with 'kind' is wanted{}; one of: {}",
                                    node.is_mapping() ? "" : fmt::format(", not {}", WhatIs(node)), choices));
  }
  if (!ReadKind(context, *kind, path, value)) return false;
  if constexpr (std::is_same_v<T, ReadStep>)
    return ReadFields(context, WithoutLegacyNames(node), path, value);
  return ReadFields(context, node, path, value);
}

bool ReadType(Context& context, const YamlNode& node, const Path& path, DataType& value) {
  if (++context.type_depth > kMaxTypeDepth) {
    return context.Fail(node, path, fmt::format("types nested deeper than {} levels", kMaxTypeDepth));
  }
  const bool read = ReadUnion(context, node, path, value);
  --context.type_depth;
  return read;
}

// --- dispatch ---

template <class T>
bool ReadList(Context& context, const YamlNode& node, const Path& path, std::vector<T>& items) {
  if (!node.is_sequence())
    return context.Fail(node, path, fmt::format("a list is wanted, not {}", WhatIs(node)));
  items.reserve(node.items.size());
  for (size_t i = 0; i < node.items.size(); ++i) {
    if (!Read(context, node.items[i], Path{&path, {}, i}, items.emplace_back())) return false;
  }
  return true;
}

template <class T>
bool ReadEnum(Context& context, const YamlNode& node, const Path& path, T& value) {
  if (!WantScalar(context, node, path, EnumOf<T>::kWhat)) return false;
  const auto index = FindName(node.text, EnumOf<T>::kNames);
  if (!index) return context.Fail(node, path, UnknownName(EnumOf<T>::kWhat, node.text, EnumOf<T>::kNames));
  value = static_cast<T>(*index);
  return true;
}

template <class T>
bool Read(Context& context, const YamlNode& node, const Path& path, T& value) {
  if (context.failed()) return false;
  if constexpr (std::is_same_v<T, DataType>) {
    return ReadType(context, node, path, value);
  } else if constexpr (IsUnion<T>) {
    return ReadUnion(context, node, path, value);
  } else if constexpr (IsEnum<T>) {
    return ReadEnum(context, node, path, value);
  } else if constexpr (kIsVector<T>) {
    return ReadList(context, node, path, value);
  } else if constexpr (requires { ReadValue(context, node, path, value); }) {
    return ReadValue(context, node, path, value);
  } else {
    if (!node.is_mapping())
      return context.Fail(node, path, fmt::format("an object is wanted, not {}", WhatIs(node)));
    ObjectReader reader(context, node, path, /*tagged=*/false);
    Describe(reader, value);
    return reader.Finish();
  }
}

// A value without an envelope.
template <class T>
Result<T> ReadDocument(const YamlNode& node, std::string_view origin) {
  Context context{origin, std::nullopt, 0};
  T value{};
  if (!Read(context, node, Path(), value)) return *std::move(context.error);
  return value;
}

// --- envelopes ---

constexpr std::array<std::string_view, 3> kManifestKinds = {"DatasetSnapshot", "MetadataEvent",
                                                            "MetadataBlock"};

struct Envelope {
  std::string kind;
  uint32_t version = 0;
  const YamlNode* content = nullptr;
};

bool CheckVersion(Context& context, const YamlNode& node, const Envelope& envelope) {
  const bool is_block = envelope.kind == "MetadataBlock";
  if (is_block ? envelope.version == 2 || envelope.version == 3 : envelope.version == 1) return true;
  return context.Fail(node, Path{nullptr, "version", std::nullopt},
                      fmt::format("{} of version {} is not known; {} is", envelope.kind, envelope.version,
                                  is_block ? "2 or 3" : "1"));
}

bool ReadEnvelope(Context& context, const YamlNode& node, Envelope* envelope) {
  const Path root;
  if (!node.is_mapping()) {
    return context.Fail(
        node, root, fmt::format("an object with kind, version and content is wanted, not {}", WhatIs(node)));
  }
  ObjectReader reader(context, node, root, /*tagged=*/false);
  reader("kind", envelope->kind);
  reader("version", envelope->version);
  envelope->content = reader.TakeRequired("content");
  if (!reader.Finish()) return false;
  if (std::find(kManifestKinds.begin(), kManifestKinds.end(), envelope->kind) == kManifestKinds.end()) {
    return context.Fail(*node.Find("kind"), Path{nullptr, "kind", std::nullopt},
                        UnknownName("manifest kind", envelope->kind, kManifestKinds));
  }
  return CheckVersion(context, *node.Find("version"), *envelope);
}

template <class T>
Result<Manifest> ReadContent(Context& context, const YamlNode& content) {
  T value{};
  if (!Read(context, content, Path{nullptr, "content", std::nullopt}, value))
    return *std::move(context.error);
  return Manifest(std::move(value));
}

Result<Manifest> ReadManifest(const YamlNode& node, std::string_view origin) {
  Context context{origin, std::nullopt, 0};
  Envelope envelope;
  if (!ReadEnvelope(context, node, &envelope)) return *std::move(context.error);
  if (envelope.kind == "DatasetSnapshot") return ReadContent<DatasetSnapshot>(context, *envelope.content);
  if (envelope.kind == "MetadataEvent") return ReadContent<MetadataEvent>(context, *envelope.content);
  return ReadContent<MetadataBlock>(context, *envelope.content);
}

}  // namespace

Result<std::vector<Manifest>> ParseManifests(std::string_view text, std::string_view origin) {
  ASSIGN_OR_RETURN(const std::vector<YamlNode> documents, ParseYaml(text, origin));
  if (documents.empty()) return InvalidArgument("{}: there is no manifest in it", origin);
  std::vector<Manifest> manifests;
  for (const auto& document : documents) {
    ASSIGN_OR_RETURN(Manifest manifest, ReadManifest(document, origin));
    manifests.push_back(std::move(manifest));
  }
  return manifests;
}

Result<MetadataEvent> ParseEvent(std::string_view text, std::string_view origin) {
  ASSIGN_OR_RETURN(const std::vector<YamlNode> documents, ParseYaml(text, origin));
  if (documents.size() != 1)
    return InvalidArgument("{}: one event is wanted, not {}", origin, documents.size());
  return ReadDocument<MetadataEvent>(documents[0], origin);
}

Result<DataSchema> ParseSchemaJson(std::string_view json) {
  ASSIGN_OR_RETURN(const YamlNode tree, ParseJson(json));
  return ReadDocument<DataSchema>(tree, "schema");
}

}  // namespace sluice::odf
