#pragma once

#include <chrono>
#include <cstdint>

namespace sluice::server {

// What one call may cost, and how much of it runs at the same time.
struct Limits {
  uint64_t query_rows = 1'000'000;
  uint64_t query_bytes = 256 << 20;  // of a result as it is written; over 1 MiB it waits on disk
  int64_t query_memory_bytes = 256 << 20;
  std::chrono::milliseconds query_time{30'000};
  // Calls that read much (queries, verification) run on threads of their own, so that pushes never wait for
  // them; when so many wait already, one more is answered 503.
  int long_calls = 3;
  int waiting_long_calls = 16;
  int short_calls = 3;  // changes of metadata, history, transfer
  int waiting_short_calls = 256;
  std::chrono::milliseconds change_wait{30'000};  // of a change of metadata, for what was taken before it
  uint64_t upload_bytes = 50 << 20;
  uint64_t waiting_upload_bytes = uint64_t{4} << 30;  // of all files that wait for their ingestion
  std::chrono::seconds upload_lifetime{3600};
};

}  // namespace sluice::server
