#include "index/sorted_files.h"

#include <rocksdb/sst_file_writer.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <thread>

#include "index/rocks.h"

namespace sluice::index {
namespace {

namespace fs = std::filesystem;

constexpr size_t kReadBytes = 1 << 20;
constexpr size_t kParallelRows = 200'000;
// What sorting needs per entry beside its bytes: offsets, an item of the sort, an index.
constexpr int64_t kEntryBytes = 28;

// Writes entries in key order to files of at most about `file_bytes`.
class FileSequence {
 public:
  FileSequence(const SortedFilesOptions& options, std::string name)
      : options_(options), name_(std::move(name)) {
    key_ = options.prefix;
  }

  Status Put(std::string_view key, std::string_view value) {
    if (writer_ == nullptr) {
      // They are searched next, and so stay in the page cache.
      writer_ = std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(), IndexOptions(), nullptr,
                                                         /*invalidate_page_cache=*/false);
      files_.push_back(fmt::format("{}/{}-{}.sst", options_.folder, name_, files_.size()));
      RETURN_IF_ROCKS_ERROR(writer_->Open(files_.back()), "writing a file of");
      bytes_ = 0;
    }
    key_.resize(options_.prefix.size());
    key_.append(key);
    RETURN_IF_ROCKS_ERROR(writer_->Put(key_, ToSlice(value)), "writing a file of");
    bytes_ += static_cast<int64_t>(key.size() + value.size());
    return bytes_ >= options_.file_bytes ? Finish() : OkStatus();
  }

  Status Finish() {
    if (writer_ == nullptr) return OkStatus();
    RETURN_IF_ROCKS_ERROR(writer_->Finish(), "writing a file of");
    writer_.reset();
    return OkStatus();
  }

  const std::vector<std::string>& files() const { return files_; }

 private:
  const SortedFilesOptions& options_;
  std::string name_;
  std::string key_;
  std::unique_ptr<rocksdb::SstFileWriter> writer_;
  int64_t bytes_ = 0;
  std::vector<std::string> files_;
};

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

Result<File> OpenRun(const std::string& path, const char* mode) {
  File file(std::fopen(path.c_str(), mode));
  if (file == nullptr) return FromErrno(errno, fmt::format("opening '{}'", path));
  std::setvbuf(file.get(), nullptr, _IOFBF, kReadBytes);
  return file;
}

// A run: { key bytes(4) value bytes(4) key value }..., in the machine's byte order.
Status WriteEntry(std::FILE* file, std::string_view key, std::string_view value, const std::string& path) {
  const uint32_t sizes[2] = {static_cast<uint32_t>(key.size()), static_cast<uint32_t>(value.size())};
  if (std::fwrite(sizes, sizeof(sizes), 1, file) != 1 ||
      std::fwrite(key.data(), 1, key.size(), file) != key.size() ||
      std::fwrite(value.data(), 1, value.size(), file) != value.size()) {
    return FromErrno(errno, fmt::format("writing '{}'", path));
  }
  return OkStatus();
}

class RunReader {
 public:
  static Result<RunReader> Open(const std::string& path) {
    ASSIGN_OR_RETURN(File file, OpenRun(path, "rb"));
    return RunReader(std::move(file), path);
  }

  // False at the end.
  Result<bool> Next() {
    uint32_t sizes[2];
    const size_t read = std::fread(sizes, 1, sizeof(sizes), file_.get());
    if (read == 0 && std::feof(file_.get()) != 0) return false;
    key_.resize(sizes[0]);
    value_.resize(sizes[1]);
    if (read != sizeof(sizes) || std::fread(key_.data(), 1, key_.size(), file_.get()) != key_.size() ||
        std::fread(value_.data(), 1, value_.size(), file_.get()) != value_.size()) {
      return MakeError(ErrorCode::kUnavailable, "reading '{}': cut short", path_);
    }
    return true;
  }
  const std::string& key() const { return key_; }
  const std::string& value() const { return value_; }

 private:
  RunReader(File file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}

  File file_;
  std::string path_;
  std::string key_;
  std::string value_;
};

// Calls `put` for the last entry of each key, in key order, of the positions [begin, end) of `order`. No key
// crosses the borders.
template <class Put>
Status ForEachLast(const columnar::PackedBytes& keys, const std::vector<uint32_t>& order, size_t begin,
                   size_t end, const Put& put) {
  for (size_t i = begin; i < end; ++i) {
    if (i + 1 < end && keys[order[i]] == keys[order[i + 1]]) continue;
    RETURN_IF_ERROR(put(order[i]));
  }
  return OkStatus();
}

}  // namespace

SortedFiles::SortedFiles(SortedFilesOptions options) : options_(std::move(options)) {}

SortedFiles::~SortedFiles() {
  std::error_code ignored;
  if (folder_made_) fs::remove_all(options_.folder, ignored);
}

Status SortedFiles::MakeFolder() {
  if (folder_made_) return OkStatus();
  std::error_code error;
  fs::create_directories(options_.folder, error);
  if (error) return FromErrno(error.value(), fmt::format("making '{}'", options_.folder));
  folder_made_ = true;
  return OkStatus();
}

Status SortedFiles::Add(std::string_view key, std::string_view value_head, std::string_view value_tail) {
  keys_.Append(key);
  values_.data.append(value_head);
  values_.Append(value_tail);
  memory_bytes_ += static_cast<int64_t>(key.size() + value_head.size() + value_tail.size()) + kEntryBytes;
  return memory_bytes_ >= options_.run_bytes ? Spill() : OkStatus();
}

Status SortedFiles::Spill() {
  if (keys_.size() == 0) return OkStatus();
  RETURN_IF_ERROR(MakeFolder());
  const std::string path = fmt::format("{}/run-{}", options_.folder, runs_.size());
  ASSIGN_OR_RETURN(File file, OpenRun(path, "wb"));
  runs_.push_back(path);
  const std::vector<uint32_t> order = columnar::SortedOrder(keys_);
  RETURN_IF_ERROR(ForEachLast(keys_, order, 0, order.size(), [&](uint32_t i) {
    return WriteEntry(file.get(), keys_[i], values_[i], path);
  }));
  if (std::fflush(file.get()) != 0) return FromErrno(errno, fmt::format("writing '{}'", path));
  keys_.Clear();
  values_.Clear();
  memory_bytes_ = 0;
  return OkStatus();
}

Status SortedFiles::WriteFromMemory() {
  const std::vector<uint32_t> order = columnar::SortedOrder(keys_);
  const size_t count = order.size();
  const size_t parts = count >= kParallelRows ? static_cast<size_t>(std::max(1, options_.threads)) : 1;
  std::vector<size_t> borders{0};
  for (size_t part = 1; part < parts; ++part) {
    size_t border = std::max(borders.back(), count * part / parts);
    while (border > 0 && border < count && keys_[order[border - 1]] == keys_[order[border]]) ++border;
    borders.push_back(border);
  }
  borders.push_back(count);

  std::vector<Status> results(parts);
  std::vector<FileSequence> sequences;
  for (size_t part = 0; part < parts; ++part) sequences.emplace_back(options_, fmt::format("part-{}", part));
  const auto write = [&](size_t part) {
    results[part] = ForEachLast(keys_, order, borders[part], borders[part + 1],
                                [&](uint32_t i) { return sequences[part].Put(keys_[i], values_[i]); });
    if (results[part].ok()) results[part] = sequences[part].Finish();
  };
  {
    std::vector<std::jthread> threads;
    for (size_t part = 1; part < parts; ++part) threads.emplace_back(write, part);
    write(0);
  }
  for (size_t part = 0; part < parts; ++part) {
    RETURN_IF_ERROR(results[part]);
    files_.insert(files_.end(), sequences[part].files().begin(), sequences[part].files().end());
  }
  return OkStatus();
}

Status SortedFiles::WriteFromRuns() {
  std::vector<RunReader> readers;
  // The heap's top is the smallest key and, of equal ones, the latest run.
  std::vector<size_t> heap;
  const auto after = [&](size_t a, size_t b) {
    const int compared = readers[a].key().compare(readers[b].key());
    return compared != 0 ? compared > 0 : a < b;
  };
  for (const std::string& path : runs_) {
    ASSIGN_OR_RETURN(RunReader reader, RunReader::Open(path));
    readers.push_back(std::move(reader));
    ASSIGN_OR_RETURN(const bool more, readers.back().Next());
    if (more) heap.push_back(readers.size() - 1);
  }
  std::make_heap(heap.begin(), heap.end(), after);
  FileSequence files(options_, "merged");
  std::string last_key;
  bool first = true;
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), after);
    RunReader& reader = readers[heap.back()];
    if (first || reader.key() != last_key) {
      RETURN_IF_ERROR(files.Put(reader.key(), reader.value()));
      last_key = reader.key();
      first = false;
    }
    ASSIGN_OR_RETURN(const bool more, reader.Next());
    if (more) {
      std::push_heap(heap.begin(), heap.end(), after);
    } else {
      heap.pop_back();
    }
  }
  RETURN_IF_ERROR(files.Finish());
  files_ = files.files();
  return OkStatus();
}

Status SortedFiles::Finish() {
  if (runs_.empty() && keys_.size() == 0) return OkStatus();
  RETURN_IF_ERROR(MakeFolder());
  Status written;
  if (runs_.empty()) {
    written = WriteFromMemory();
  } else {
    RETURN_IF_ERROR(Spill());
    written = WriteFromRuns();
  }
  keys_ = {};
  values_ = {};
  return written;
}

}  // namespace sluice::index
