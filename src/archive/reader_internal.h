#pragma once

#include <clocale>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "archive/decompress.h"
#include "archive/libarchive.h"

namespace sluice::archive {

// Counts what goes in and out of a decompressor.
class Guard {
 public:
  Guard(std::string name, const Limits& limits) : name_(std::move(name)), limits_(limits) {}

  void In(uint64_t bytes) { in_ += bytes; }
  // Errors: kTooLarge over the limits.
  Status Out(uint64_t bytes);
  const std::string& name() const { return name_; }

 private:
  std::string name_;
  Limits limits_;
  uint64_t in_ = 0, out_ = 0;
};

struct FreeArchive {
  void operator()(::archive* a) const { Lib().read_free(a); }
};

// A libarchive reader over a stream of ours. After LoadLibArchive.
class StreamReader {
 public:
  StreamReader(ReadBytes input, Guard guard) : input_(std::move(input)), guard_(std::move(guard)) {}

  // The library's reader, for choosing filters and formats before Start.
  ::archive* get() const { return archive_.get(); }
  Status Start();
  // The next entry; null at the end.
  Result<archive_entry*> NextEntry();
  // Data of the present entry; 0 at its end.
  Result<size_t> Read(char* buffer, size_t size);
  Error LastError() const;
  const std::string& name() const { return guard_.name(); }

 private:
  static la_ssize_t OnRead(::archive*, void* user, const void** buffer);

  std::unique_ptr<::archive, FreeArchive> archive_{Lib().read_new()};
  ReadBytes input_;
  Guard guard_;
  std::vector<char> buffer_ = std::vector<char>(size_t{128} << 10);
  std::optional<Error> input_error_;
};

// The path of an entry as UTF-8 where the archive says so, else as stored.
std::string PathOf(archive_entry* entry);

// Nothing is written to an entry's path; but one that leads out of the archive was made to do harm.
bool LeadsOut(const std::string& path);

// While it lives, the library keeps names of entries that are not ASCII: it reads them by the thread's
// locale, and drops them in that of a program that has set none.
class TextLocale {
 public:
  TextLocale();
  ~TextLocale();
  TextLocale(const TextLocale&) = delete;
  TextLocale& operator=(const TextLocale&) = delete;

 private:
  locale_t before_;
};

// zlib formats: gzip with all members and their checksums, which libarchive does not compare, and deflate.
std::unique_ptr<ByteStream> Inflate(Codec codec, ReadBytes input, Guard guard);

}  // namespace sluice::archive
