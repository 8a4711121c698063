#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/instant.h"
#include "base/result.h"

namespace sluice::fetch {

// What is known of kept content, finished or not: of a download, or of what was made of one.
struct DownloadInfo {
  std::string key;  // of the fetch that it answers
  Instant fetched_at;
  std::string etag, last_modified;  // as the server sent them; empty = not sent
  std::string media_type, content_encoding;
  uint64_t total_bytes = 0;  // as announced, or, when finished, as received; 0 = not known
  std::string hash;          // of a finished one
  bool refused = false;      // what came after fetching could not use it

  // What `If-Range` may be asked with: a strong ETag, else the date. Empty = neither.
  std::string StrongValidator() const;
  bool HasValidator() const { return !etag.empty() || !last_modified.empty(); }
};

// Writes what is known of the content at `path` beside it, as `path.json`.
Status SaveInfo(const std::string& path, const DownloadInfo& info);
// Takes it away; false when it is still there.
bool DropInfo(const std::string& path);
// What is known of the complete content at `path`, read through to see that it is whole; nothing when it is
// not there, damaged, or for another key.
std::optional<DownloadInfo> LoadWhole(const std::string& path, const std::string& key);

// Runs over content: XXH3, 128 bits, as 32 hexadecimal digits. Thread-compatible.
class ContentHash {
 public:
  ContentHash();
  ~ContentHash();
  void Update(std::string_view bytes);
  std::string Hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The folder that keeps one source's downloads until they are committed (odf-ingest.md 5.3): `body` with
// `body.json` is complete, `partial` with `partial.json` is to be continued. Nothing here is synced: a body
// is believed when its hash fits, a part only within one run of the machine. One process at a time.
class Savepoint {
 public:
  // Makes the folder.
  static Result<Savepoint> Open(const std::string& folder);

  // The complete download for `key`, read through to see that it is whole; anything else is removed.
  std::optional<DownloadInfo> LoadBody(const std::string& key) const;
  // The part that may be continued for `key`.
  std::optional<DownloadInfo> LoadPart(const std::string& key) const;

  Status SavePart(const DownloadInfo& info) const;
  // The part is complete: becomes the body.
  Status Finish(const DownloadInfo& info) const;
  Status SaveBody(const DownloadInfo& info) const;
  void DropPart() const;
  void DropBody() const;

  std::string body_path() const { return folder_ + "/body"; }
  std::string part_path() const { return folder_ + "/partial"; }

 private:
  explicit Savepoint(std::string folder) : folder_(std::move(folder)) {}
  std::string folder_;
};

}  // namespace sluice::fetch
