#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "log/log.h"
#include "log/segment.h"

// A log whose file was overwritten somewhere, by anything: it is refused, or gives records that were
// appended, in their order and from the first on, and takes another one. Input: the place (2 bytes), then
// what stands there.
namespace {

using sluice::log::Log;
using sluice::log::LogOptions;
using sluice::log::Record;

const std::vector<std::string> kPayloads = {"first", "", std::string(300, 'x'), "last"};
constexpr LogOptions Options() { return {.segment_bytes = 2048}; }

struct Folder {
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "log-fuzz-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file() const { return path + "/" + sluice::log::SegmentFileName(1); }
  std::string path;
};

std::string BytesOfALog() {
  const Folder folder;
  auto log = Log::Open(folder.path, Options());
  if (!log.ok()) std::abort();
  for (const auto& payload : kPayloads) {
    if (!(*log)->Append(1, payload).ok()) std::abort();
  }
  log->reset();  // as a crash leaves it
  std::ifstream file(folder.file(), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Of the records; aborts at one that was never appended.
size_t CountRecords(const Log& log, const std::string& added) {
  size_t count = 0;
  bool has_added = false;
  const auto status = log.Replay(log.begin(), [&](const Record& record) -> sluice::Status {
    const bool is_next = count < kPayloads.size() && record.payload == kPayloads[count];
    if (!is_next && (added.empty() || has_added || record.payload != added)) std::abort();
    if (!is_next) has_added = true;
    if (is_next && !has_added) ++count;
    return {};
  });
  if (!status.ok() || (!added.empty() && !has_added)) std::abort();
  return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string pristine = BytesOfALog();
  if (size < 3) return 0;
  const size_t place = (size_t{data[0]} << 8 | data[1]) % pristine.size();
  std::string bytes = pristine;
  const size_t count = std::min(size - 2, bytes.size() - place);
  std::copy_n(reinterpret_cast<const char*>(data) + 2, count,
              bytes.begin() + static_cast<std::ptrdiff_t>(place));
  const Folder folder;
  std::ofstream(folder.file(), std::ios::binary) << bytes;
  auto log = Log::Open(folder.path, Options());
  if (!log.ok()) return 0;
  const size_t before = CountRecords(**log, "");
  const std::string added = "one more";
  if (!(*log)->Append(2, added).ok()) std::abort();
  log->reset();
  log = Log::Open(folder.path, Options());
  if (!log.ok() || CountRecords(**log, added) != before) std::abort();
  return 0;
}
