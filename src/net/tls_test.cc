#include "net/tls.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/testing/matchers.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/testing/raw_client.h"

namespace sluice::net {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

// A self-signed certificate for 127.0.0.1 with its key.
void WriteCertificate(const fs::path& certificate_path, const fs::path& key_path, long serial) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("127.0.0.1"),
                             -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_sign(certificate, key, EVP_sha256());
  FILE* file = std::fopen(certificate_path.c_str(), "w");
  PEM_write_X509(file, certificate);
  std::fclose(file);
  file = std::fopen(key_path.c_str(), "w");
  PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

class EchoHandler final : public HttpHandler {
 public:
  HttpResponse Handle(HttpRequest& request) override { return TextResponse(200, request.body); }
  BodyPlan PlanBody(const HttpRequest&) override { return {.max_bytes = 16 << 20}; }
};

// A TLS client that takes any certificate.
class TlsClient {
 public:
  explicit TlsClient(uint16_t port, int max_version = TLS1_3_VERSION) {
    context_ = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(context_, 0);
    SSL_CTX_set_min_proto_version(context_, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context_, max_version);
    bio_ = BIO_new_ssl_connect(context_);
    BIO_set_conn_hostname(bio_, fmt::format("127.0.0.1:{}", port).c_str());
    is_connected_ = BIO_do_connect(bio_) == 1 && BIO_do_handshake(bio_) == 1;
  }
  ~TlsClient() {
    BIO_free_all(bio_);
    SSL_CTX_free(context_);
  }
  bool is_connected() const { return is_connected_; }
  long serial() {
    SSL* ssl = nullptr;
    BIO_get_ssl(bio_, &ssl);
    X509* certificate = SSL_get1_peer_certificate(ssl);
    const long serial = ASN1_INTEGER_get(X509_get_serialNumber(certificate));
    X509_free(certificate);
    return serial;
  }
  std::string Exchange(const std::string& request) {
    size_t sent = 0;
    std::string answer;
    while (sent < request.size()) {
      const int n = BIO_write(bio_, request.data() + sent, static_cast<int>(request.size() - sent));
      if (n <= 0) return "(not sent)";
      sent += static_cast<size_t>(n);
    }
    char bytes[16384];
    for (int n = 0; (n = BIO_read(bio_, bytes, sizeof(bytes))) > 0;)
      answer.append(bytes, static_cast<size_t>(n));
    return answer;
  }

 private:
  SSL_CTX* context_;
  BIO* bio_;
  bool is_connected_ = false;
};

class TlsTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    WriteCertificate(files_.certificate, files_.key, 1);
  }
  void TearDown() override {
    server_.reset();
    fs::remove_all(folder_);
  }
  void Start() {
    options_.on_notice = [this](const std::string& notice) {
      std::lock_guard lock(mutex_);
      notices_.push_back(notice);
    };
    auto server = HttpServer::Start({{.tls = files_}}, handler_, options_);
    ASSERT_THAT(server, IsOk());
    server_ = std::move(*server);
  }
  uint16_t port() { return server_->endpoints()[0].port; }

  const fs::path folder_ = fs::temp_directory_path() / fmt::format("sluice-tls-{}", getpid());
  const TlsFiles files_{folder_ / "cert.pem", folder_ / "key.pem"};
  EchoHandler handler_;
  HttpServerOptions options_;
  std::unique_ptr<HttpServer> server_;
  std::mutex mutex_;
  std::vector<std::string> notices_;
};

TEST_F(TlsTest, ServesLargeBodiesBothWays) {
  Start();
  EXPECT_THAT(server_->url(), StartsWith("https://127.0.0.1:"));
  std::string body(5'000'000, '\0');
  for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 31 % 251);
  const std::string answer = TlsClient(port()).Exchange(
      fmt::format("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                  body.size()) +
      body);
  ASSERT_GT(answer.size(), body.size());
  EXPECT_TRUE(answer.ends_with(body));
}

TEST_F(TlsTest, SpeaksNothingOlderThanTls12) {
  Start();
  EXPECT_FALSE(TlsClient(port(), TLS1_1_VERSION).is_connected());
  EXPECT_TRUE(TlsClient(port(), TLS1_2_VERSION).is_connected());
  RawClient clear(server_->endpoints()[0]);
  clear.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  clear.ReadAll();  // whatever it is, the server lives
  EXPECT_TRUE(TlsClient(port()).is_connected());
}

TEST_F(TlsTest, TakesNewFilesAndKeepsGoodOnes) {
  Start();
  EXPECT_EQ(TlsClient(port()).serial(), 1);
  WriteCertificate(files_.certificate, folder_ / "other.pem", 2);  // not of this key
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_EQ(TlsClient(port()).serial(), 1);
  fs::rename(folder_ / "other.pem", files_.key);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_EQ(TlsClient(port()).serial(), 2);
  server_->Stop(std::chrono::milliseconds(0));
  ASSERT_EQ(notices_.size(), 2u);
  EXPECT_THAT(notices_[0], HasSubstr("not used"));
  EXPECT_THAT(notices_[1], HasSubstr("took the new certificate"));
}

TEST_F(TlsTest, CutsSlowHandshakes) {
  options_.header_timeout = std::chrono::milliseconds(50);
  Start();
  RawClient silent(server_->endpoints()[0]);
  EXPECT_EQ(silent.ReadAll(), "");
}

TEST_F(TlsTest, SaysWhatIsWrongWithFiles) {
  EXPECT_THAT(TlsContext::Load({folder_ / "none", files_.key}),
              IsError(ErrorCode::kNotFound, HasSubstr("none")));
  EXPECT_THAT(TlsContext::Load({files_.key, files_.key}),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("is not a PEM certificate")));
  WriteCertificate(folder_ / "second.pem", folder_ / "second-key.pem", 3);
  EXPECT_THAT(TlsContext::Load({files_.certificate, folder_ / "second-key.pem"}),
              IsErrorCode(ErrorCode::kInvalidArgument));
}

}  // namespace
}  // namespace sluice::net
