#include "odf/testing/random_event.h"

#include <random>

#include "odf/fields_internal.h"

namespace sluice::odf::testing {
namespace {

constexpr std::array<std::string_view, 44> kPieces = {"a",
                                                      "b c",
                                                      " ",
                                                      "\n",
                                                      "\t",
                                                      "\n\n",
                                                      ":",
                                                      ": ",
                                                      "#",
                                                      " #",
                                                      "-",
                                                      "- ",
                                                      "'",
                                                      "\"",
                                                      "\\",
                                                      "{",
                                                      "}",
                                                      "[",
                                                      "]",
                                                      ",",
                                                      "&x",
                                                      "*x",
                                                      "!t",
                                                      "|",
                                                      ">",
                                                      "%",
                                                      "@",
                                                      "`",
                                                      "~",
                                                      "null",
                                                      "true",
                                                      "no",
                                                      "12",
                                                      "1e3",
                                                      "0x1f",
                                                      "1:30",
                                                      "...",
                                                      "---",
                                                      "\xc3\xa4",
                                                      "\xe2\x80\xa8",
                                                      "\xf0\x9f\x90\x9f",
                                                      "\x01",
                                                      "\r",
                                                      "\x7f"};

constexpr std::array<std::string_view, 6> kAttributes = {
    R"({"a.b/c":1})",
    R"({"kamu.dev/archetype":"Collection"})",
    R"({"x":{"deep":[1,-2,0.5,1e30,true,null,"t: #"]},"y":[]})",
    R"({"opendatafabric.org/description":"line\nline \"quoted\" \\"})",
    "{\"null\":\"null\",\"\xc3\xa4\":{}}",
    R"({"n":18446744073709551615,"z":[[1],[[],{}]]})"};

class RandomFill {
 public:
  explicit RandomFill(uint32_t seed) : random_(seed) {}

  template <class T>
  void operator()(std::string_view, T& value) {
    Fill(value);
  }
  void Extra(std::string_view, std::optional<std::string>& json) {
    if (Chance(3)) json = std::string(kAttributes[Below(kAttributes.size())]);
  }
  void Blob(std::string_view, std::optional<std::string>& bytes) {
    if (!Chance(2)) return;
    bytes.emplace();
    for (size_t i = Below(20); i > 0; --i) bytes->push_back(static_cast<char>(random_()));
  }

  template <class T>
  void Fill(T& value) {
    if constexpr (kIsOptional<T>) {
      if (Chance(2)) Fill(value.emplace());
    } else if constexpr (IsUnion<T>) {
      FillUnion(value);
    } else if constexpr (IsEnum<T>) {
      value = static_cast<T>(Below(EnumOf<T>::kNames.size()));
    } else if constexpr (std::is_same_v<T, bool>) {
      value = Chance(2);
    } else if constexpr (std::is_integral_v<T>) {
      value = Chance(3)   ? T{0}
              : Chance(2) ? static_cast<T>(Below(100))
                          : static_cast<T>(random_() * 0x9e3779b97f4a7c15u);
    } else if constexpr (kIsVector<T>) {
      value.resize(depth_ > 6 ? 0 : Below(4));
      for (auto& item : value) Fill(item);
    } else {
      FillObject(value);
    }
  }

 private:
  size_t Below(size_t bound) { return random_() % bound; }
  bool Chance(size_t one_in) { return Below(one_in) == 0; }

  template <class T>
  void FillUnion(T& value) {
    const size_t count = UnionOf<T>::kNames.size();
    ++depth_;
    // Past some depth types take the last kind, which is a plain one.
    UnionOf<T>::SetKind(
        &value, static_cast<uint8_t>(depth_ > 8 && std::is_same_v<T, DataType> ? count : Below(count) + 1));
    UnionOf<T>::Fields(*this, value);
    --depth_;
  }

  template <class T>
  void FillObject(T& value) {
    Describe(*this, value);
  }
  void FillObject(std::string& text) {
    for (size_t i = Below(6); i > 0; --i) text += kPieces[Below(kPieces.size())];
  }
  void FillObject(Multihash& hash) {
    static constexpr std::array kCodes = {multiformats::HashCode::kSha2_256,
                                          multiformats::HashCode::kSha3_256,
                                          multiformats::HashCode::kArrow0Sha3_256};
    Multihash::Digest digest;
    for (auto& byte : digest) byte = static_cast<uint8_t>(random_());
    hash = Multihash(kCodes[Below(kCodes.size())], digest);
  }
  void FillObject(DatasetId& id) {
    DatasetId::Key key;
    for (auto& byte : key) byte = static_cast<uint8_t>(random_());
    id = DatasetId(key);
  }
  void FillObject(Instant& instant) {
    instant.seconds = static_cast<int64_t>(random_() * 50ull) - 60000000000;  // years 68 to 6870
    instant.nanoseconds = Chance(2) ? 0 : Chance(2) ? 250000000 : static_cast<uint32_t>(Below(1000000000));
  }

  std::mt19937 random_;
  int depth_ = 0;
};

}  // namespace

MetadataEvent RandomEvent(uint32_t seed) {
  MetadataEvent event;
  RandomFill(seed).Fill(event);
  return event;
}

}  // namespace sluice::odf::testing
