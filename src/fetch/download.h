#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "fetch/fetch.h"
#include "fetch/savepoint.h"
#include "net/headers.h"

namespace sluice::fetch {

struct DownloadSpec {
  std::string url;
  std::string shown;     // the URL without secrets
  net::Headers headers;  // of the manifest
  std::string key;       // of the savepoint
  // Validators of what is in the dataset already; empty = none.
  std::string known_etag, known_last_modified;
  std::shared_ptr<Redactor> redactor;
};

// One HTTP download into a savepoint folder, in a thread of its own: retried with backoff, continued where it
// broke off when the server can tell that the content is still the same. What has arrived can be read while
// the rest is coming. Stops when destroyed, keeping the part. Its functions are for one thread.
class Download {
 public:
  enum class Start {
    kNotModified,  // what is in the dataset is what the server has
    kSaved,        // the savepoint's body is what the server has, or all that can be had
    kComing,       // a body is arriving
  };

  // What `context` points to must outlive the download.
  static Result<std::unique_ptr<Download>> Begin(DownloadSpec spec, const FetchContext& context);
  ~Download();
  Download(const Download&) = delete;
  Download& operator=(const Download&) = delete;

  // Waits for the first answer. Errors: those of the server or the way to it; see Fetch.
  Result<Start> WaitForStart();
  // Of the answer, or of the savepoint.
  DownloadInfo info() const;
  // Not empty when a savepoint was taken because the server could not be asked, or to save the download.
  std::string note() const;

  // The bytes as sent, from the beginning. Reading waits for what is to come. Errors of Read: those of the
  // download; kConflict when it had to begin anew meanwhile: open and read again.
  Result<std::unique_ptr<read::ByteSource>> Open();
  // Whether it has begun anew since Open was called last.
  bool HasChanged() const;
  // Waits for the end. The info is then complete.
  Status WaitForEnd();
  // After what came next refused it: waits a little for the end, so that the bytes are there to be looked at
  // again, and marks them.
  void Refuse();
  // Ends it: nobody wants what is to come, nor what came.
  void Abandon();

  struct Shared;

 private:
  explicit Download(std::shared_ptr<Shared> shared);
  std::shared_ptr<Shared> shared_;
};

}  // namespace sluice::fetch
