#pragma once

#include <rocksdb/options.h>
#include <rocksdb/status.h>

#include <string_view>

#include "base/result.h"

// Our settings of RocksDB and the boundary between its errors and ours.
namespace sluice::index {

inline rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
inline std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

// Lock held -> kUnavailable; disk full -> kResourceExhausted; damaged -> kCorruption; other input and output
// -> kUnavailable; else kInternal. `what` names the call.
Error FromRocksStatus(const rocksdb::Status& status, std::string_view what);

// Opening is cheap (no info log, no statistics, files opened when first asked), memory small (64 MiB of block
// cache, buffers of 4 MiB, 10 bits a key for filters).
rocksdb::Options IndexOptions();

}  // namespace sluice::index

#define RETURN_IF_ROCKS_ERROR(expr, what)                                 \
  do {                                                                    \
    if (auto sluice_rocks_status = (expr); !sluice_rocks_status.ok()) {   \
      return ::sluice::index::FromRocksStatus(sluice_rocks_status, what); \
    }                                                                     \
  } while (false)
