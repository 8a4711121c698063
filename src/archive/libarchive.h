#pragma once

#include <archive.h>
#include <archive_entry.h>

#include "base/result.h"

namespace sluice::archive {

// libarchive's functions, of a library that is loaded when something is unpacked: with the eight libraries
// that it brings, a program that unpacks nothing would take longer to start.
struct LibArchive {
  decltype(&archive_read_new) read_new;
  decltype(&archive_read_free) read_free;
  decltype(&archive_read_support_filter_zstd) support_zstd;
  decltype(&archive_read_support_filter_xz) support_xz;
  decltype(&archive_read_support_filter_bzip2) support_bzip2;
  decltype(&archive_read_support_format_raw) support_raw;
  decltype(&archive_read_support_format_tar) support_tar;
  decltype(&archive_read_support_format_zip_seekable) support_zip_seekable;
  decltype(&archive_read_open2) read_open;
  decltype(&archive_read_open_filename) read_open_filename;
  decltype(&archive_read_next_header) read_next_header;
  decltype(&archive_read_data) read_data;
  decltype(&archive_filter_code) filter_code;
  decltype(&archive_set_error) set_error;
  decltype(&archive_error_string) error_string;
  decltype(&archive_entry_filetype) entry_filetype;
  decltype(&archive_entry_pathname) entry_pathname;
  decltype(&archive_entry_pathname_utf8) entry_pathname_utf8;
  decltype(&archive_entry_size) entry_size;
  decltype(&archive_entry_is_data_encrypted) entry_is_data_encrypted;
};

// Errors: kUnavailable when the library is not there, or is another version. Thread-safe.
Status LoadLibArchive();
// After LoadLibArchive has succeeded.
const LibArchive& Lib();

}  // namespace sluice::archive
