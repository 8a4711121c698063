#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "odf/text_internal.h"
#include "odf/yaml_tree_internal.h"

namespace sluice::odf {
namespace {

// What aliases may blow a text up to.
constexpr size_t kMaxNodes = 500000;
constexpr size_t kMaxTextBytes = 4 * kMaxManifestBytes;

// Builds trees from the parser's events. The first error stays; what follows it is ignored.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::string_view origin) : origin_(origin) {}

  std::optional<Error>& error() { return error_; }
  std::vector<YamlNode> TakeDocuments() { return std::move(documents_); }

  void OnDocumentStart(const YAML::Mark&) override {
    stack_.clear();
    anchors_.clear();
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    YamlNode node;
    node.plain = true;
    Finish(Located(std::move(node), mark), anchor, mark);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) return Fail(mark, "an alias inside of what it names");
    if (!Spend(found->second, mark)) return;
    Finish(found->second, 0, mark);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (tag != "?" && tag != "!" && !tag.empty() && tag != "tag:yaml.org,2002:str") {
      return Fail(mark, fmt::format("tag '{}' is not supported", tag));
    }
    const bool plain = tag == "?" || tag.empty();
    YamlNode node = plain ? YamlNode::Plain(value) : YamlNode::Text(value);
    if (plain && KindOfScalar(value) == ScalarKind::kNull) node = YamlNode();
    Finish(Located(std::move(node), mark), anchor, mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Start(YamlNode::Sequence(), anchor, mark);
  }
  void OnSequenceEnd() override { End(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Start(YamlNode::Mapping(), anchor, mark);
  }
  void OnMapEnd() override { End(); }

 private:
  struct Open {
    YamlNode node;
    YAML::anchor_t anchor;
    YAML::Mark mark;
    std::optional<std::string> key;
    int key_line = 0;
  };

  static YamlNode Located(YamlNode node, const YAML::Mark& mark) {
    node.line = mark.line + 1;
    return node;
  }

  void Fail(const YAML::Mark& mark, std::string_view what) {
    if (!error_) error_ = InvalidArgument("{}:{}: {}", origin_, mark.line + 1, what);
  }

  bool Spend(const YamlNode& node, const YAML::Mark& mark) {
    ++nodes_;
    text_bytes_ += node.text.size();
    for (const auto& key : node.keys) text_bytes_ += key.size();
    if (nodes_ > kMaxNodes || text_bytes_ > kMaxTextBytes) {
      Fail(mark, "the document has too many values");
      return false;
    }
    return std::all_of(node.items.begin(), node.items.end(),
                       [&](const auto& item) { return Spend(item, mark); });
  }

  void Start(YamlNode node, YAML::anchor_t anchor, const YAML::Mark& mark) {
    if (error_) return;
    if (stack_.size() >= static_cast<size_t>(kMaxYamlDepth)) {
      return Fail(mark, fmt::format("nested deeper than {} levels", kMaxYamlDepth));
    }
    stack_.push_back({Located(std::move(node), mark), anchor, mark, std::nullopt, 0});
  }

  void End() {
    if (error_ || stack_.empty()) return;
    Open open = std::move(stack_.back());
    stack_.pop_back();
    Finish(std::move(open.node), open.anchor, open.mark);
  }

  // Hands a complete value to the collection around it, or makes it a document.
  void Finish(YamlNode node, YAML::anchor_t anchor, const YAML::Mark& mark) {
    if (error_ || (!node.is_sequence() && !node.is_mapping() && !Spend(node, mark))) return;
    if (anchor != 0) {
      if (!Spend(node, mark)) return;
      anchors_[anchor] = node;
    }
    if (stack_.empty()) {
      if (!node.is_null()) documents_.push_back(std::move(node));
      return;
    }
    Open& parent = stack_.back();
    if (parent.node.is_sequence()) {
      parent.node.items.push_back(std::move(node));
    } else if (parent.key) {
      parent.node.keys.push_back(*std::move(parent.key));
      parent.node.key_lines.push_back(parent.key_line);
      parent.node.items.push_back(std::move(node));
      parent.key.reset();
    } else {
      SetKey(&parent, node, mark);
    }
  }

  void SetKey(Open* parent, const YamlNode& key, const YAML::Mark& mark) {
    if (!key.is_scalar()) return Fail(mark, "a key must be text");
    const auto& keys = parent->node.keys;
    // Long mappings (attributes, at most) are rare; the usual one has a dozen keys.
    if (std::find(keys.begin(), keys.end(), key.text) != keys.end()) {
      return Fail(mark, fmt::format("key '{}' is given twice", key.text));
    }
    if (keys.size() >= 4096) return Fail(mark, "an object with more than 4096 keys");
    parent->key = key.text;
    parent->key_line = mark.line + 1;
  }

  std::string origin_;
  std::optional<Error> error_;
  std::vector<Open> stack_;
  std::map<YAML::anchor_t, YamlNode> anchors_;
  std::vector<YamlNode> documents_;
  size_t nodes_ = 0;
  size_t text_bytes_ = 0;
};

// JSON writes what lies beyond U+FFFF as a pair, `\\ud83d\\ude00`, which YAML does not know; `\\U0001f600` it
// does. `json` is valid JSON.
std::string WithoutSurrogates(std::string_view json) {
  const auto unit_at = [&](size_t at) -> uint32_t {
    if (json.substr(at, 2) != "\\u" || at + 6 > json.size()) return 0;
    uint32_t unit = 0;
    std::from_chars(json.data() + at + 2, json.data() + at + 6, unit, 16);
    return unit;
  };
  std::string yaml;
  for (size_t at = 0; at < json.size();) {
    if (json[at] != '\\') {
      yaml += json[at++];
      continue;
    }
    const uint32_t high = unit_at(at), low = unit_at(at + 6);
    if (high >= 0xd800 && high < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
      yaml += fmt::format("\\U{:08x}", 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
      at += 12;
    } else {
      yaml += json.substr(at, 2);
      at += 2;
    }
  }
  return yaml;
}

}  // namespace

YamlNode YamlNode::Text(std::string_view text) {
  YamlNode node;
  node.kind = Kind::kScalar;
  node.text = std::string(text);
  return node;
}

YamlNode YamlNode::Plain(std::string text) {
  YamlNode node;
  node.kind = Kind::kScalar;
  node.plain = true;
  node.text = std::move(text);
  return node;
}

YamlNode YamlNode::Sequence() {
  YamlNode node;
  node.kind = Kind::kSequence;
  return node;
}

YamlNode YamlNode::Mapping() {
  YamlNode node;
  node.kind = Kind::kMapping;
  return node;
}

const YamlNode* YamlNode::Find(std::string_view key) const {
  const auto found = std::find(keys.begin(), keys.end(), key);
  return found == keys.end() ? nullptr : &items[static_cast<size_t>(found - keys.begin())];
}

void YamlNode::Add(std::string_view key, YamlNode value) {
  keys.emplace_back(key);
  items.push_back(std::move(value));
}

Result<std::vector<YamlNode>> ParseYaml(std::string_view text, std::string_view origin) {
  if (text.size() > kMaxManifestBytes) {
    return InvalidArgument("{}: {} bytes are over the limit of {}", origin, text.size(), kMaxManifestBytes);
  }
  if (!IsUtf8(text)) return InvalidArgument("{}: the text is not UTF-8", origin);
  TreeBuilder builder(origin);
  try {
    const bool is_json = nlohmann::json::accept(text);
    std::istringstream stream{is_json ? WithoutSurrogates(text) : std::string(text)};
    YAML::Parser parser(stream);
    while (!builder.error() && parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& e) {
    return InvalidArgument("{}:{}: {}", origin, e.mark.line + 1, e.msg);
  } catch (const std::exception& e) {
    return InvalidArgument("{}: {}", origin, e.what());
  }
  if (builder.error()) return *std::move(builder.error());
  return builder.TakeDocuments();
}

}  // namespace sluice::odf
