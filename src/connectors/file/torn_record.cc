#include "connectors/file/torn_record.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace sluice::connectors {
namespace {

constexpr uint64_t kPiece = 64 << 10;
constexpr uint64_t kLongestRecord = 256 << 20;

// Tells JSON that only lacks its end from text that is none.
class EndSeeker : public nlohmann::json::json_sax_t {
 public:
  explicit EndSeeker(size_t size) : size_(size) {}
  bool lacks_its_end() const { return lacks_its_end_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) override {
    lacks_its_end_ = position > size_;
    return false;
  }

 private:
  const size_t size_;
  bool lacks_its_end_ = false;
};

bool LacksItsEnd(std::string_view text) {
  EndSeeker seeker(text.size());
  nlohmann::json::sax_parse(text, &seeker);
  return seeker.lacks_its_end();
}

// Where in the file's last bytes, `tail`, its last record begins; npos when it began before them.
size_t LastBeginning(std::string_view tail, bool begins_the_file, bool is_pretty) {
  if (is_pretty) {
    // The line's own end may be what is missing.
    if (tail.ends_with("\n{")) return tail.size() - 1;
    const size_t found = tail.rfind("\n{\n");
    if (found != std::string_view::npos) return found + 1;
  } else {
    const size_t found = tail.rfind('\n');
    if (found != std::string_view::npos) return found + 1;
  }
  return begins_the_file ? 0 : std::string_view::npos;
}

}  // namespace

Result<uint64_t> EndOfWholeRecords(const storage::File& file, uint64_t end, bool is_pretty) {
  const std::string_view whole = is_pretty ? "}\n" : "\n";
  const uint64_t looked_at = std::min<uint64_t>(end, whole.size());
  ASSIGN_OR_RETURN(const std::string last, file.ReadSome(end - looked_at, looked_at));
  if (last == whole || last.empty()) return end;
  for (uint64_t size = kPiece; size <= kLongestRecord; size *= 4) {
    const uint64_t start = end - std::min(end, size);
    ASSIGN_OR_RETURN(const std::string tail, file.ReadSome(start, end - start));
    const size_t beginning = LastBeginning(tail, start == 0, is_pretty);
    if (beginning == std::string::npos) continue;
    const auto record = std::string_view(tail).substr(beginning);
    return record.starts_with('{') && LacksItsEnd(record) ? start + beginning : end;
  }
  return end;
}

}  // namespace sluice::connectors
