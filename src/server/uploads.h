#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace sluice::server {

// What an upload token says; sealed with a key of this node, so that nobody else can have said it.
struct Upload {
  std::string id;
  std::string account;  // of who asked for it; nobody else may use it
  std::string file_name, content_type;
  uint64_t content_length = 0;
  int64_t expires = 0;  // seconds since 1970
};

struct UploadOptions {
  std::chrono::seconds lifetime{3600};
  uint64_t max_total_bytes = 4ull << 30;  // of files that wait
};

// Files sent ahead of their ingestion (odf-ingest.md 6.4), in `.sluice/uploads`, removed when their token
// expires. Thread-safe.
class Uploads {
 public:
  virtual ~Uploads() = default;
  // `root` is the workspace's. Makes the key (`upload-key`, mode 0600) when there is none, and
  // removes what has expired. Errors: kPermissionDenied for a key that others may read.
  static Result<std::unique_ptr<Uploads>> Open(const std::string& root, const Clock& clock,
                                               const UploadOptions& options);

  // A token for a file to come; id and expiry are filled in. Errors: kUnavailable when too much waits.
  virtual Result<std::string> Prepare(Upload upload) = 0;
  // Errors: kInvalidArgument for a token that is not ours; kUnauthenticated for one that has expired.
  virtual Result<Upload> Check(const std::string& token) const = 0;
  // Durable when it returns; a repeat replaces. Errors: kInvalidArgument when the length is not the declared
  // one.
  virtual Status Store(const Upload& upload, const std::string& bytes) = 0;
  // Errors: kNotFound when nothing was uploaded.
  virtual Result<std::string> Load(const Upload& upload) const = 0;
};

// The field `name` of a `multipart/form-data` body. Errors: kInvalidArgument for bad framing and for a body
// without it.
Result<std::string> MultipartField(const std::string& content_type, const std::string& body,
                                   const std::string& name);

}  // namespace sluice::server
