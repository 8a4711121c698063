#include "archive/libarchive.h"

#include <dlfcn.h>

#include <type_traits>

namespace sluice::archive {
namespace {

Result<LibArchive> Load() {
  void* library = ::dlopen(SLUICE_LIBARCHIVE_LIBRARY, RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr)
    return MakeError(ErrorCode::kUnavailable, "the library that unpacks cannot be loaded: {}", ::dlerror());
  const char* missing = nullptr;
  auto find = [&](const char* name, auto* function) {
    void* found = ::dlsym(library, name);
    if (found == nullptr) missing = name;
    *function = reinterpret_cast<std::remove_pointer_t<decltype(function)>>(found);
  };
  LibArchive lib{};
  find("archive_read_new", &lib.read_new);
  find("archive_read_free", &lib.read_free);
  find("archive_read_support_filter_zstd", &lib.support_zstd);
  find("archive_read_support_filter_xz", &lib.support_xz);
  find("archive_read_support_filter_bzip2", &lib.support_bzip2);
  find("archive_read_support_format_raw", &lib.support_raw);
  find("archive_read_support_format_tar", &lib.support_tar);
  find("archive_read_support_format_zip_seekable", &lib.support_zip_seekable);
  find("archive_read_open2", &lib.read_open);
  find("archive_read_open_filename", &lib.read_open_filename);
  find("archive_read_next_header", &lib.read_next_header);
  find("archive_read_data", &lib.read_data);
  find("archive_filter_code", &lib.filter_code);
  find("archive_set_error", &lib.set_error);
  find("archive_error_string", &lib.error_string);
  find("archive_entry_filetype", &lib.entry_filetype);
  find("archive_entry_pathname", &lib.entry_pathname);
  find("archive_entry_pathname_utf8", &lib.entry_pathname_utf8);
  find("archive_entry_size", &lib.entry_size);
  find("archive_entry_is_data_encrypted", &lib.entry_is_data_encrypted);
  if (missing != nullptr) {
    return MakeError(ErrorCode::kUnavailable, "the library that unpacks ({}) has no '{}'",
                     SLUICE_LIBARCHIVE_LIBRARY, missing);
  }
  return lib;
}

const Result<LibArchive>& TheLibrary() {
  static const Result<LibArchive> kLibrary = Load();
  return kLibrary;
}

}  // namespace

Status LoadLibArchive() {
  const auto& library = TheLibrary();
  return library.ok() ? OkStatus() : Status(library.error());
}

const LibArchive& Lib() { return *TheLibrary(); }

}  // namespace sluice::archive
