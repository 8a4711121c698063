#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "odf/yaml_tree_internal.h"

namespace sluice::odf {
namespace {

bool IsDigits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string_view WithoutSign(std::string_view text) {
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) text.remove_prefix(1);
  return text;
}

// [sign] (digits [. [digits]] | . digits) [e [sign] digits]
bool IsFloat(std::string_view text) {
  text = WithoutSign(text);
  const size_t exponent = text.find_first_of("eE");
  if (exponent != std::string_view::npos) {
    if (!IsDigits(WithoutSign(text.substr(exponent + 1)))) return false;
    text = text.substr(0, exponent);
  }
  const size_t dot = text.find('.');
  if (dot == std::string_view::npos) return IsDigits(text);
  const std::string_view whole = text.substr(0, dot);
  const std::string_view fraction = text.substr(dot + 1);
  return (IsDigits(whole) && (fraction.empty() || IsDigits(fraction))) ||
         (whole.empty() && IsDigits(fraction));
}

bool IsOneOf(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

// The shortest digits that read back as `value`, laid out as the reference does: plain up to 16 digits before
// the point and 5 zeros after it, with `.0` when whole, else with an exponent.
std::string FloatText(double value) {
  if (value == 0) return std::signbit(value) ? "-0.0" : "0.0";
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::abs(value),
                                 std::chars_format::scientific)
                       .ptr;
  const std::string_view shortest(buffer.data(), static_cast<size_t>(end - buffer.data()));
  const size_t e = shortest.find('e');
  std::string digits(shortest.substr(0, 1));
  if (e > 2) digits += shortest.substr(2, e - 2);
  const int exponent = std::stoi(std::string(shortest.substr(e + 1)));
  const int count = static_cast<int>(digits.size());
  const int point = exponent + 1;  // digits before the decimal point
  std::string text;
  if (count <= point && point <= 16) {
    text = digits + std::string(static_cast<size_t>(point - count), '0') + ".0";
  } else if (point > 0 && point <= 16) {
    text = digits.substr(0, static_cast<size_t>(point)) + "." + digits.substr(static_cast<size_t>(point));
  } else if (point > -5 && point <= 0) {
    text = "0." + std::string(static_cast<size_t>(-point), '0') + digits;
  } else {
    text = digits.substr(0, 1) + (count > 1 ? "." + digits.substr(1) : "") + "e" + std::to_string(exponent);
  }
  return value < 0 ? "-" + text : text;
}

Result<std::string> NumberText(std::string_view text, ScalarKind kind) {
  std::string_view digits = text.front() == '+' ? text.substr(1) : text;
  if (kind == ScalarKind::kInteger) {
    int64_t integer;
    uint64_t natural;
    const char* end = digits.data() + digits.size();
    if (const auto r = std::from_chars(digits.data(), end, integer); r.ec == std::errc() && r.ptr == end) {
      return std::to_string(integer);
    }
    if (const auto r = std::from_chars(digits.data(), end, natural); r.ec == std::errc() && r.ptr == end) {
      return std::to_string(natural);
    }
  }
  double value = 0;
  const auto r = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (r.ec != std::errc()) return InvalidArgument("number '{}' is out of range", text);
  return FloatText(value);
}

std::string JsonString(std::string_view text) {
  // Bytes that are not UTF-8 become replacement characters; manifests and blocks hold none.
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

class JsonWriter {
 public:
  JsonWriter(bool sorted, bool pretty) : sorted_(sorted), pretty_(pretty) {}

  Status Write(const YamlNode& node) {
    switch (node.kind) {
      case YamlNode::Kind::kNull:
        out_ += "null";
        return {};
      case YamlNode::Kind::kScalar:
        return Scalar(node);
      case YamlNode::Kind::kSequence:
      case YamlNode::Kind::kMapping:
        return Collection(node);
    }
    return {};
  }
  std::string Take() { return std::move(out_); }

 private:
  Status Scalar(const YamlNode& node) {
    const ScalarKind kind = node.plain ? KindOfScalar(node.text) : ScalarKind::kString;
    switch (kind) {
      case ScalarKind::kNull:
        out_ += "null";
        break;
      case ScalarKind::kBool:
        out_ += node.text.front() == 't' || node.text.front() == 'T' ? "true" : "false";
        break;
      case ScalarKind::kInteger:
      case ScalarKind::kFloat: {
        ASSIGN_OR_RETURN(const std::string number, NumberText(node.text, kind));
        out_ += number;
        break;
      }
      case ScalarKind::kString:
        out_ += JsonString(node.text);
        break;
    }
    return {};
  }

  Status Collection(const YamlNode& node) {
    std::vector<size_t> order(node.items.size());
    std::iota(order.begin(), order.end(), 0);
    if (sorted_ && node.is_mapping()) {
      std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return node.keys[a] < node.keys[b]; });
    }
    out_ += node.is_mapping() ? '{' : '[';
    ++depth_;
    for (size_t i = 0; i < order.size(); ++i) {
      if (i > 0) out_ += ',';
      Break();
      if (node.is_mapping()) out_ += JsonString(node.keys[order[i]]) + (pretty_ ? ": " : ":");
      RETURN_IF_ERROR(Write(node.items[order[i]]));
    }
    --depth_;
    if (!order.empty()) Break();
    out_ += node.is_mapping() ? '}' : ']';
    return {};
  }

  void Break() {
    if (pretty_) out_.append("\n").append(depth_ * 2, ' ');
  }

  bool sorted_;
  bool pretty_;
  size_t depth_ = 0;
  std::string out_;
};

Result<YamlNode> FromJson(const nlohmann::ordered_json& json, int depth) {
  if (depth > kMaxYamlDepth) return InvalidArgument("nested deeper than {} levels", kMaxYamlDepth);
  if (json.is_null()) return YamlNode();
  if (json.is_string()) return YamlNode::Text(json.get_ref<const std::string&>());
  if (json.is_number_float()) return YamlNode::Plain(FloatText(json.get<double>()));
  YamlNode node = json.is_object() ? YamlNode::Mapping() : YamlNode::Sequence();
  if (!json.is_structured()) return YamlNode::Plain(json.dump());
  for (const auto& [key, value] : json.items()) {
    ASSIGN_OR_RETURN(YamlNode child, FromJson(value, depth + 1));
    if (json.is_object()) node.keys.push_back(key);
    node.items.push_back(std::move(child));
  }
  return node;
}

}  // namespace

ScalarKind KindOfScalar(std::string_view text) {
  if (IsOneOf(text, {"", "~", "null", "Null", "NULL"})) return ScalarKind::kNull;
  if (IsOneOf(text, {"true", "True", "TRUE", "false", "False", "FALSE"})) return ScalarKind::kBool;
  if (IsDigits(WithoutSign(text))) return ScalarKind::kInteger;
  if (IsFloat(text)) return ScalarKind::kFloat;
  return ScalarKind::kString;
}

Result<YamlNode> ParseJson(std::string_view json) {
  const auto parsed = nlohmann::ordered_json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return InvalidArgument("the text is not valid JSON");
  return FromJson(parsed, 1);
}

Result<std::string> CanonicalJson(const YamlNode& node) {
  JsonWriter writer(/*sorted=*/true, /*pretty=*/false);
  RETURN_IF_ERROR(writer.Write(node));
  return writer.Take();
}

std::string PrettyJson(const YamlNode& node) {
  JsonWriter writer(/*sorted=*/false, /*pretty=*/true);
  const Status written = writer.Write(node);
  return written.ok() ? writer.Take() + "\n" : std::string();
}

}  // namespace sluice::odf
