#include "index/rocks.h"

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <cerrno>
#include <cstring>

namespace sluice::index {
namespace {

constexpr size_t kBlockCacheBytes = 64 << 20;
constexpr size_t kWriteBufferBytes = 4 << 20;

// RocksDB's information log would be a new file at every opening.
class SilentLogger : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

bool SaysLocked(const std::string& message) {
  return message.find("lock hold by current process") != std::string::npos ||
         message.find("While lock file") != std::string::npos;
}

}  // namespace

Error FromRocksStatus(const rocksdb::Status& status, std::string_view what) {
  const std::string text = status.ToString();
  if (status.IsIOError() && SaysLocked(text)) {
    return MakeError(ErrorCode::kUnavailable, "the key index is held by another process: {}", text);
  }
  const bool file_limit = status.IsIOError() && text.find(std::strerror(EFBIG)) != std::string::npos;
  if (status.IsNoSpace() || status.IsMemoryLimit() || file_limit) {
    return MakeError(ErrorCode::kResourceExhausted, "{} the key index: {}", what, text);
  }
  // We always ask in the same way: what RocksDB then calls an invalid argument is a damaged file of its own.
  if (status.IsCorruption() || status.IsInvalidArgument()) {
    return Corruption("{} the key index: {}; its folder can be deleted, it is built again from the datasets",
                      what, text);
  }
  if (status.IsTimedOut()) return MakeError(ErrorCode::kTimeout, "{} the key index: {}", what, text);
  if (status.IsIOError() || status.IsBusy() || status.IsTryAgain()) {
    return MakeError(ErrorCode::kUnavailable, "{} the key index: {}", what, text);
  }
  return Internal("{} the key index: {}", what, text);
}

rocksdb::Options IndexOptions() {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(kBlockCacheBytes);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10, false));
  table.whole_key_filtering = true;
  // Filters and indexes stay with their open files, outside the cache: 10 bits a key, and a look-up of a new
  // key takes no lock.
  table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
  table.format_version = 5;
  table.checksum = rocksdb::kXXH3;

  rocksdb::Options options;
  options.create_if_missing = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.compression = rocksdb::kNoCompression;
  // Blocks are used where the kernel has them: a look-up among many keys copies nothing and needs no cache of
  // its own.
  options.allow_mmap_reads = true;
  options.write_buffer_size = kWriteBufferBytes;
  options.max_write_buffer_number = 3;
  // Look-ups of keys that are not in the buffers need not search them.
  options.memtable_prefix_bloom_size_ratio = 0.1;
  options.memtable_whole_key_filtering = true;
  options.max_total_wal_size = 4 * kWriteBufferBytes;
  options.level_compaction_dynamic_level_bytes = true;
  options.target_file_size_base = 32 << 20;
  options.max_open_files = 256;
  options.max_background_jobs = 2;
  // Each of sixteen threads would be started even for one file, and its failing to start ends the process.
  options.max_file_opening_threads = 1;
  options.avoid_flush_during_recovery = true;
  options.skip_stats_update_on_db_open = true;
  options.skip_checking_sst_file_sizes_on_db_open = true;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.keep_log_file_num = 1;
  options.info_log = std::make_shared<SilentLogger>();
  return options;
}

}  // namespace sluice::index
