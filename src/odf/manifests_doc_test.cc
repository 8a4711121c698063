// docs/manifests.md is the contract with people who write manifests; this keeps it true and complete.

#include <fstream>
#include <set>
#include <sstream>

#include "base/testing/matchers.h"
#include "odf/fields_internal.h"
#include "odf/yaml.h"

namespace sluice::odf {
namespace {

using ::testing::HasSubstr;

std::string Document() {
  std::ifstream in(std::string(SLUICE_SOURCE_DIR) + "/docs/manifests.md");
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<std::string> YamlBlocks(const std::string& document) {
  constexpr std::string_view kFence = "```yaml\n";
  std::vector<std::string> blocks;
  for (size_t at = document.find(kFence); at != std::string::npos; at = document.find(kFence, at)) {
    at += kFence.size();
    const size_t end = document.find("```\n", at);
    blocks.push_back(document.substr(at, end - at));
    at = end;
  }
  return blocks;
}

// Visits every description once and notes the names in it: what the parser knows.
class NameCollector {
 public:
  template <class T>
  void operator()(std::string_view name, T&) {
    names_.emplace(name);
    Collect<T>();
  }
  void Extra(std::string_view name, std::optional<std::string>&) { names_.emplace(name); }
  void Blob(std::string_view name, std::optional<std::string>&) { names_.emplace(name); }

  template <class T>
  void Collect() {
    if constexpr (kIsOptional<T> || kIsVector<T>) {
      Collect<typename T::value_type>();
    } else if constexpr (IsUnion<T>) {
      static constexpr bool kNeedsOwner = !std::is_default_constructible_v<T>;
      if (!FirstTime<T>()) return;
      names_.emplace("kind");
      for (const auto name : UnionOf<T>::kNames) kinds_.emplace(name);
      if constexpr (kNeedsOwner) {
        SetAttachments event;
        T value{event.items};
        UnionOf<T>::Fields(*this, value);
      } else {
        for (size_t kind = 1; kind <= UnionOf<T>::kNames.size(); ++kind) {
          T value{};
          UnionOf<T>::SetKind(&value, static_cast<uint8_t>(kind));
          UnionOf<T>::Fields(*this, value);
        }
      }
    } else if constexpr (IsEnum<T>) {
      for (const auto name : EnumOf<T>::kNames) kinds_.emplace(name);
    } else if constexpr (requires(T& value) { Describe(*this, value); }) {
      if (!FirstTime<T>()) return;
      T value{};
      Describe(*this, value);
    }
  }

  const std::set<std::string>& names() const { return names_; }
  const std::set<std::string>& kinds() const { return kinds_; }

 private:
  template <class T>
  bool FirstTime() {
    static const char kIdentity = 0;
    return seen_.insert(&kIdentity).second;
  }

  std::set<const char*> seen_;
  std::set<std::string> names_;
  std::set<std::string> kinds_;
};

TEST(ManifestsDocTest, EveryExampleParses) {
  const auto blocks = YamlBlocks(Document());
  EXPECT_GT(blocks.size(), 15u);
  for (const auto& block : blocks) {
    if (block.find("\nversion:") != std::string::npos) {
      EXPECT_THAT(ParseManifests(block, "docs/manifests.md"), IsOk()) << block;
    } else {
      EXPECT_THAT(ParseEvent(block, "docs/manifests.md"), IsOk()) << block;
    }
  }
}

TEST(ManifestsDocTest, EveryFieldAndKindIsExplained) {
  NameCollector collector;
  collector.Collect<DatasetSnapshot>();
  collector.Collect<MetadataBlock>();
  EXPECT_GT(collector.names().size(), 90u);
  const std::string document = Document();
  for (const auto& name : collector.names()) EXPECT_THAT(document, HasSubstr("`" + name + "`"));
  for (const auto& kind : collector.kinds()) {
    // Widths in between the ends of `Int8` to `Int64` go without saying.
    if (kind.find("Int16") != std::string::npos || kind.find("Int32") != std::string::npos) continue;
    EXPECT_TRUE(document.find("`" + kind + "`") != std::string::npos ||
                document.find("### " + kind + "\n") != std::string::npos)
        << kind;
  }
}

TEST(ManifestsDocTest, EveryEventHasAnExample) {
  std::string examples;
  for (const auto& block : YamlBlocks(Document())) examples += block;
  for (const auto name : UnionOf<MetadataEvent>::kNames)
    EXPECT_THAT(examples, HasSubstr(fmt::format("kind: {}\n", name)));
}

}  // namespace
}  // namespace sluice::odf
