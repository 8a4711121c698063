#pragma once

#include <memory>
#include <string>

#include "base/result.h"

namespace sluice::net {

// PEM files: the certificate with its chain, and its private key.
struct TlsFiles {
  std::string certificate;
  std::string key;
};

// What a listener presents: TLS 1.2 and 1.3 with one certificate. Files that changed are read again, when
// they are good and belong together; otherwise what was read before stays. Thread-safe.
class TlsContext {
 public:
  virtual ~TlsContext() = default;
  // Errors: kNotFound, kInvalidArgument for files that are no certificate and key, or not of one another.
  static Result<std::unique_ptr<TlsContext>> Load(TlsFiles files);

  // Looks at the files, at most once a second. True when a new certificate was taken. Errors: as Load; once
  // for each change of the files.
  virtual Result<bool> Refresh() = 0;
};

}  // namespace sluice::net
