#include "net/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/mutex.h"
#include "net/transport_internal.h"

namespace sluice::net {
namespace {

constexpr std::chrono::seconds kLookEvery{1};

struct CtxDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using CtxPointer = std::unique_ptr<SSL_CTX, CtxDeleter>;

std::string LastSslError() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "unknown reason" : reason;
}

// A file as it can be told from its successor.
struct Stamp {
  ino_t inode = 0;
  off_t bytes = 0;
  timespec changed{};
  bool operator==(const Stamp& other) const {
    return inode == other.inode && bytes == other.bytes && changed.tv_sec == other.changed.tv_sec &&
           changed.tv_nsec == other.changed.tv_nsec;
  }
};

Result<Stamp> StampOf(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) < 0) return FromErrno(errno, fmt::format("cannot read '{}'", path));
  return Stamp{info.st_ino, info.st_size, info.st_mtim};
}

// Sockets written with MSG_NOSIGNAL: OpenSSL's own would let a client that went away end the process.
int WriteQuietly(BIO* bio, const char* data, int size) {
  const int fd = static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio)));
  BIO_clear_retry_flags(bio);
  const ssize_t n = ::send(fd, data, static_cast<size_t>(size), MSG_NOSIGNAL);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(n);
}

int ReadQuietly(BIO* bio, char* data, int size) {
  const int fd = static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio)));
  BIO_clear_retry_flags(bio);
  const ssize_t n = ::recv(fd, data, static_cast<size_t>(size), 0);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) BIO_set_retry_read(bio);
  return static_cast<int>(n);
}

long Control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

struct MethodDeleter {
  void operator()(BIO_METHOD* method) const { BIO_meth_free(method); }
};
using MethodPointer = std::unique_ptr<BIO_METHOD, MethodDeleter>;

MethodPointer MakeMethod() {
  MethodPointer method(BIO_meth_new(BIO_TYPE_SOURCE_SINK | 101, "quiet socket"));
  if (method == nullptr) return nullptr;
  BIO_meth_set_write(method.get(), WriteQuietly);
  BIO_meth_set_read(method.get(), ReadQuietly);
  BIO_meth_set_ctrl(method.get(), Control);
  return method;
}

int ChooseProtocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                   unsigned int in_size, void*) {
  static constexpr unsigned char kHttp11[] = "\x08http/1.1";
  auto* chosen = const_cast<unsigned char**>(out);
  const int found = SSL_select_next_proto(chosen, out_size, kHttp11, sizeof(kHttp11) - 1, in, in_size);
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

Result<CtxPointer> LoadContext(const TlsFiles& files) {
  ERR_clear_error();
  CtxPointer context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr) return Internal("cannot set up TLS: {}", LastSslError());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
  // Without buffers an idle connection costs little.
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_alpn_select_cb(context.get(), ChooseProtocol, nullptr);
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) != 1) {
    return InvalidArgument("'{}' is not a PEM certificate: {}", files.certificate, LastSslError());
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return InvalidArgument("'{}' is not the PEM private key of '{}': {}", files.key, files.certificate,
                           LastSslError());
  }
  if (SSL_CTX_check_private_key(context.get()) != 1) {
    return InvalidArgument("the key '{}' does not belong to the certificate '{}'", files.key,
                           files.certificate);
  }
  return context;
}

class FileTlsContext final : public TlsContext {
 public:
  FileTlsContext(TlsFiles files, MethodPointer method)
      : files_(std::move(files)), method_(std::move(method)) {}

  Result<bool> Refresh() override {
    MutexLock lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (context_ != nullptr && now < looked_ + kLookEvery) return false;
    looked_ = now;
    ASSIGN_OR_RETURN(const Stamp certificate, StampOf(files_.certificate));
    ASSIGN_OR_RETURN(const Stamp key, StampOf(files_.key));
    if (context_ != nullptr && certificate == certificate_ && key == key_) return false;
    certificate_ = certificate;
    key_ = key;
    ASSIGN_OR_RETURN(context_, LoadContext(files_));
    return true;
  }

  SslPointer New(int fd) {
    MutexLock lock(mutex_);
    SslPointer ssl(SSL_new(context_.get()));
    BIO* bio = ssl == nullptr ? nullptr : BIO_new(method_.get());
    if (bio == nullptr) return nullptr;
    BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(fd)));
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl.get(), bio, bio);
    SSL_set_accept_state(ssl.get());
    return ssl;
  }

 private:
  const TlsFiles files_;
  const MethodPointer method_;
  Mutex mutex_;
  CtxPointer context_ GUARDED_BY(mutex_);
  Stamp certificate_ GUARDED_BY(mutex_);
  Stamp key_ GUARDED_BY(mutex_);
  std::chrono::steady_clock::time_point looked_ GUARDED_BY(mutex_);
};

}  // namespace

Result<std::unique_ptr<TlsContext>> TlsContext::Load(TlsFiles files) {
  MethodPointer method = MakeMethod();
  if (method == nullptr) return Internal("cannot set up TLS: {}", LastSslError());
  auto context = std::make_unique<FileTlsContext>(std::move(files), std::move(method));
  RETURN_IF_ERROR(context->Refresh());
  return std::unique_ptr<TlsContext>(std::move(context));
}

SslPointer NewServerSsl(TlsContext& context, int fd) { return static_cast<FileTlsContext&>(context).New(fd); }

}  // namespace sluice::net
