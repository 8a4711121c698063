#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::gateway {

// Numbers little-endian, texts with a length before them.
class ByteWriter {
 public:
  template <class T>
  void Number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void Text(std::string_view text) {
    Number(static_cast<uint32_t>(text.size()));
    bytes_.append(text);
  }
  void Raw(const void* data, size_t size) { bytes_.append(static_cast<const char*>(data), size); }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// What ByteWriter wrote. After the first read past the end everything is zero and `ok` false.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  template <class T>
  T Number() {
    T value{};
    Raw(&value, sizeof value);
    return value;
  }
  std::string_view Text() {
    const auto size = Number<uint32_t>();
    if (size > rest_.size()) {
      ok_ = false;
      return {};
    }
    auto text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return text;
  }
  void Raw(void* data, size_t size) {
    if (size > rest_.size()) {
      ok_ = false;
      rest_ = {};
      std::memset(data, 0, size);
      return;
    }
    std::memcpy(data, rest_.data(), size);
    rest_.remove_prefix(size);
  }
  std::string_view rest() const { return rest_; }
  bool ok() const { return ok_; }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace sluice::gateway
