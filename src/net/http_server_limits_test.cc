#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "base/testing/matchers.h"
#include "net/http_server.h"
#include "net/testing/raw_client.h"

// What a server takes, and what it does to those who send something else.
namespace sluice::net {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::AnyOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string Gzip(std::string_view text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

std::string Zstd(std::string_view text) {
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 3));
  return packed;
}

// Text that does not compress to almost nothing.
std::string Lines(size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i)
    text += fmt::format("{{\"id\":{},\"value\":{}}}\n", i, i * 2654435761u % 1000003);
  return text;
}

class EchoHandler final : public HttpHandler {
 public:
  BodyPlan PlanBody(const HttpRequest& head) override {
    ++planned;
    return {.is_streamed = head.url.path == "/streamed",
            .max_bytes = max_bytes,
            .may_block = head.url.path != "/inline"};
  }
  void Serve(HttpRequest request, Responder responder) override {
    ++served;
    EXPECT_TRUE(request.body.empty() || !request.headers.Contains("Content-Encoding"));
    if (request.url.path == "/hold") {
      std::lock_guard lock(mutex);
      held.emplace_back(std::move(request), std::move(responder));
      return;
    }
    std::string body = std::move(request.body);
    while (request.stream != nullptr) {
      auto piece = request.stream->Read();
      if (!piece.ok()) {
        return responder.Send(
            ProblemResponse(InfoOf(piece.error().code()).http_status, piece.error().ToString()));
      }
      if (piece->empty()) break;
      body += *piece;
    }
    responder.Send(TextResponse(200, request.url.path + "|" + body));
  }
  size_t HeldCount() {
    std::lock_guard lock(mutex);
    return held.size();
  }

  uint64_t max_bytes = 8 << 20;
  std::atomic<int> planned = 0, served = 0;
  std::mutex mutex;
  std::vector<std::pair<HttpRequest, Responder>> held;
};

class HttpServerLimitsTest : public testing::Test {
 protected:
  void Start() {
    auto server = HttpServer::Start({{}}, handler_, options_);
    ASSERT_THAT(server, IsOk());
    server_ = std::move(*server);
  }
  std::string Exchange(const std::string& bytes) {
    RawClient client(server_->endpoints()[0]);
    client.Send(bytes);
    return client.ReadAll();
  }
  std::string Post(const std::string& path, const std::string& coding, const std::string& body) {
    return Exchange(fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nContent-Encoding: {}\r\nContent-Length: "
                                "{}\r\nConnection: close\r\n\r\n",
                                path, coding, body.size()) +
                    body);
  }
  std::string PostChunked(const std::string& path, const std::string& coding, const std::string& body) {
    std::string request = fmt::format(
        "POST {} HTTP/1.1\r\nHost: x\r\nContent-Encoding: {}\r\nTransfer-Encoding: chunked\r\nConnection: "
        "close\r\n\r\n",
        path, coding);
    for (size_t at = 0; at < body.size(); at += 777) {
      const std::string piece = body.substr(at, 777);
      request += fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
    }
    return Exchange(request + "0\r\nTrailer: ignored\r\n\r\n");
  }

  EchoHandler handler_;
  HttpServerOptions options_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerLimitsTest, ExpandsBodies) {
  Start();
  const std::string text = Lines(20'000);
  for (const std::string path : {"/whole", "/streamed", "/inline"}) {
    SCOPED_TRACE(path);
    EXPECT_THAT(Post(path, "gzip", Gzip(text)), EndsWith("\r\n\r\n" + path + "|" + text));
    EXPECT_THAT(Post(path, "x-gzip", Gzip("a\n") + Gzip("b\n")), EndsWith("|a\nb\n")) << "several members";
    EXPECT_THAT(Post(path, "ZSTD", Zstd(text)), EndsWith("\r\n\r\n" + path + "|" + text));
    EXPECT_THAT(Post(path, "zstd", Zstd("a\n") + Zstd("b\n")), EndsWith("|a\nb\n")) << "several frames";
    EXPECT_THAT(PostChunked(path, "gzip", Gzip(text)), EndsWith("\r\n\r\n" + path + "|" + text));
    EXPECT_THAT(PostChunked(path, "zstd", Zstd(text)), EndsWith("\r\n\r\n" + path + "|" + text));
    EXPECT_THAT(Post(path, "identity", "plain"), EndsWith("|plain"));
  }
}

TEST_F(HttpServerLimitsTest, RefusesBrokenAndUnknownCodings) {
  Start();
  const std::string text = Lines(20'000);
  for (const std::string path : {"/whole", "/streamed"}) {
    SCOPED_TRACE(path);
    EXPECT_THAT(
        Post(path, "br", "x"),
        AllOf(StartsWith("HTTP/1.1 415 "), HasSubstr("application/problem+json"),
              HasSubstr("\r\nAccept-Encoding: gzip, zstd\r\n"),
              HasSubstr("\"message\":\"Content-Encoding 'br' is not known; send gzip, zstd or none\"")));
    EXPECT_THAT(Post(path, "gzip, gzip", "x"), StartsWith("HTTP/1.1 415 "));
    EXPECT_THAT(Post(path, "gzip", "this is not gzip"), StartsWith("HTTP/1.1 400 "));
    EXPECT_THAT(Post(path, "zstd", "this is not zstd"), StartsWith("HTTP/1.1 400 "));
    std::string cut = Gzip(text);
    cut.resize(cut.size() - 9);
    EXPECT_THAT(Post(path, "gzip", cut), AllOf(StartsWith("HTTP/1.1 400 "), HasSubstr("ends in the middle")));
    std::string flipped = Gzip(text);
    flipped[flipped.size() / 2] ^= 0x55;
    EXPECT_THAT(Post(path, "gzip", flipped), StartsWith("HTTP/1.1 400 "));
    cut = Zstd(text);
    cut.resize(cut.size() - 3);
    EXPECT_THAT(Post(path, "zstd", cut), AllOf(StartsWith("HTTP/1.1 400 "), HasSubstr("ends in the middle")));
    EXPECT_THAT(Post(path, "gzip", Gzip(text) + "trailing"), StartsWith("HTTP/1.1 400 "));
  }
}

TEST_F(HttpServerLimitsTest, BoundsWhatBodiesExpandTo) {
  handler_.max_bytes = 4 << 20;
  Start();
  const std::string bomb = Gzip(std::string(3 << 20, 'x'));
  const std::string large = Gzip(Lines(170'000));
  ASSERT_LT(large.size(), handler_.max_bytes);
  for (const std::string path : {"/whole", "/streamed"}) {
    SCOPED_TRACE(path);
    EXPECT_THAT(Post(path, "gzip", bomb),
                AllOf(StartsWith("HTTP/1.1 413 "), HasSubstr("more than 200 times its size")));
    EXPECT_THAT(Post(path, "zstd", Zstd(std::string(3 << 20, 'x'))), StartsWith("HTTP/1.1 413 "));
    EXPECT_THAT(Post(path, "gzip", large),
                AllOf(StartsWith("HTTP/1.1 413 "), HasSubstr("limit of 4194304 bytes")));
    EXPECT_THAT(Post(path, "gzip", Gzip(std::string(1 << 19, 'x'))), StartsWith("HTTP/1.1 200 ")) << "small";
  }
}

TEST_F(HttpServerLimitsTest, BoundsTheMemoryOfAllBodies) {
  options_.max_buffered_bytes = 1 << 20;
  Start();
  const std::string body(600 << 10, 'x');
  const std::string head = fmt::format("HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n", body.size());
  RawClient first(server_->endpoints()[0]);
  first.Send("POST /hold " + head + "\r\n" + body);
  while (handler_.HeldCount() == 0) std::this_thread::sleep_for(milliseconds(1));
  const std::string refused = Exchange("POST /whole " + head + "\r\n" + body);
  EXPECT_THAT(refused, AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("Retry-After: 1\r\n"),
                             HasSubstr("application/problem+json")));
  EXPECT_THAT(Post("/whole", "gzip", Gzip(Lines(30'000))), StartsWith("HTTP/1.1 503 ")) << "expanded";
  EXPECT_THAT(Exchange("POST /whole HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"),
              EndsWith("|ok"))
      << "small ones go on";
  handler_.held[0].second.Send(TextResponse(200, "held"));
  handler_.held.clear();
  first.ReadUntil("held");
  EXPECT_THAT(Exchange("POST /whole " + head + "Connection: close\r\n\r\n" + body),
              StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServerLimitsTest, RefusesWhatCouldBeReadInTwoWays) {
  Start();
  const std::string post = "POST /whole HTTP/1.1\r\nHost: x\r\n";
  for (const std::string& request : {
           post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           post + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
           post + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
           post + "Content-Length: 1, 1\r\n\r\na",
           post + "Content-Length: +1\r\n\r\na",
           post + "Content-Length: 0x1\r\n\r\na",
           post + "Content-Length:\r\n\r\n",
           post + "Content-Length : 1\r\n\r\na",
           post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           post + "Transfer-Encoding: chunked\r\n\r\n-1\r\n",
           post + "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
           post + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na\r\n0\r\n\r\n",
           post + "Transfer-Encoding: chunked\r\n\r\n1\r\naXX\r\n0\r\n\r\n",
           std::string("POST /whole HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
           post + "Host: y\r\n\r\n",
           std::string("GET  / HTTP/1.1\r\nHost: x\r\n\r\n"),
           std::string("GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n", 35),
       }) {
    SCOPED_TRACE(request);
    EXPECT_THAT(Exchange(request), AllOf(StartsWith("HTTP/1.1 400 "), HasSubstr("application/problem+json"),
                                         HasSubstr("\"message\":"), HasSubstr("Connection: close")));
  }
  EXPECT_THAT(Exchange(post + "Transfer-Encoding: gzip, chunked\r\n\r\n"), StartsWith("HTTP/1.1 501 "));
  EXPECT_THAT(Exchange(post + "Transfer-Encoding: xchunked\r\n\r\n"), StartsWith("HTTP/1.1 501 "));
  EXPECT_THAT(Exchange("GET / HTTP/2.0\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 505 "));
  EXPECT_THAT(Exchange("GET / HTTP/1.1\nHost: x\n\n"),
              AllOf(StartsWith("HTTP/1.1 400 "), HasSubstr("CR LF")));
  EXPECT_EQ(handler_.served, 0);
}

TEST_F(HttpServerLimitsTest, RefusesTrickyPaths) {
  Start();
  for (const std::string path :
       {"/a/../b", "/..", "/a/.", "/%2e%2e/b", "/a/%2E%2e", "/a%2fb", "/a%2Fb", "/a%5cb", "/a%00", "/a%0ab",
        "a", "*", "http://", "http:///a", "ftp://x/a"}) {
    SCOPED_TRACE(path);
    EXPECT_THAT(Exchange("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  }
  EXPECT_EQ(handler_.served, 0);
  for (const auto& [target, path] :
       std::vector<std::pair<std::string, std::string>>{{"http://other:80/a?b", "/a"},
                                                        {"HTTPS://other", "/"},
                                                        {"http://other?x=1", "/"},
                                                        {"/a..b/...", "/a..b/..."}}) {
    EXPECT_THAT(Exchange("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
                EndsWith("\r\n\r\n" + path + "|"));
  }
}

TEST_F(HttpServerLimitsTest, RefusesFloodsOfHeaders) {
  Start();
  std::string fields;
  for (int i = 0; i < 100; ++i) fields += fmt::format("X-{}: y\r\n", i);
  EXPECT_THAT(Exchange("GET / HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n"),
              AllOf(StartsWith("HTTP/1.1 431 "), HasSubstr("more than 100 fields")));
  EXPECT_THAT(Exchange("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(80'000, 'y') + "\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 431 "), HasSubstr("limit of 65536 bytes")));
  RawClient endless(server_->endpoints()[0]);
  endless.Send("GET / HTTP/1.1\r\n");
  for (int i = 0; i < 3000; ++i) endless.Send("X-Header: some value of some length\r\n");
  EXPECT_THAT(endless.ReadAll(), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(Exchange("POST /whole HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" +
                       std::string(100'000, 'x') + "\r\n"),
              StartsWith("HTTP/1.1 400 "))
      << "an endless chunk extension";
}

TEST_F(HttpServerLimitsTest, KnowsOnlyOneExpectation) {
  Start();
  EXPECT_THAT(Exchange("POST /whole HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nContent-Length: 1\r\n\r\na"),
              StartsWith("HTTP/1.1 417 "));
  handler_.max_bytes = 10;
  EXPECT_THAT(
      Exchange("POST /whole HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n"),
      AllOf(StartsWith("HTTP/1.1 413 "), Not(HasSubstr("100 Continue"))));
}

TEST_F(HttpServerLimitsTest, GivesUpOnClientsThatDribble) {
  options_.body_timeout = milliseconds(100);
  options_.min_body_bytes_per_second = 1000;
  Start();
  RawClient client(server_->endpoints()[0]);
  client.Send("POST /whole HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
  std::atomic<bool> is_over = false;
  std::jthread dribble([&] {
    for (int i = 0; i < 1000 && !is_over; ++i) {
      client.Send("x");
      std::this_thread::sleep_for(milliseconds(5));
    }
  });
  EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 408 "));
  is_over = true;
}

TEST_F(HttpServerLimitsTest, NoticesClientsThatVanish) {
  Start();
  const std::string folder = testing::TempDir() + fmt::format("sluice-limits-{}.sock", getpid());
  ASSERT_OK_AND_ASSIGN(auto server, HttpServer::Start({{.unix_path = folder}}, handler_, options_));
  {
    RawClient client({.unix_path = folder});
    client.Send("POST /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    while (handler_.HeldCount() == 0) std::this_thread::sleep_for(milliseconds(1));
    EXPECT_FALSE(handler_.held[0].second.is_client_gone());
  }
  for (int i = 0; i < 500 && !handler_.held[0].second.is_client_gone(); ++i)
    std::this_thread::sleep_for(milliseconds(10));
  EXPECT_TRUE(handler_.held[0].second.is_client_gone());
  handler_.held.clear();
}

TEST_F(HttpServerLimitsTest, TellsClientsThatWaitFromThoseThatHaveGone) {
  Start();
  RawClient client(server_->endpoints()[0]);
  client.Send("POST /hold HTTP/1.1\r\nHost: x\r\n\r\n");
  while (handler_.HeldCount() == 0) std::this_thread::sleep_for(milliseconds(1));
  client.EndSending();
  {
    RawClient gone(server_->endpoints()[0]);
    gone.Send("POST /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    while (handler_.HeldCount() == 1) std::this_thread::sleep_for(milliseconds(1));
  }
  for (int i = 0; i < 1000 && !handler_.held[1].second.is_client_gone(); ++i)
    std::this_thread::sleep_for(milliseconds(10));
  EXPECT_TRUE(handler_.held[1].second.is_client_gone());
  EXPECT_FALSE(handler_.held[0].second.is_client_gone());
  handler_.held[0].second.Send(TextResponse(200, "late"));
  EXPECT_THAT(client.ReadAll(),
              AnyOf(StartsWith("HTTP/1.1 200 "), StartsWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")));
  handler_.held.clear();
}

TEST_F(HttpServerLimitsTest, RefusesRequestsThatEndEarly) {
  Start();
  for (const std::string request :
       {"GET /", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: x\r\nAccept", "GET / HTTP/1.1\r\nHost: x\r\n",
        "POST /whole HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
        "POST /whole HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcd",
        "POST /streamed HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcd",
        "POST /whole HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"}) {
    RawClient client(server_->endpoints()[0]);
    client.Send(request);
    client.EndSending();
    EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 400 ")) << request;
  }
  RawClient nothing(server_->endpoints()[0]);
  nothing.Send("\r\n\r");
  nothing.EndSending();
  EXPECT_EQ(nothing.ReadAll(), "");
}

TEST_F(HttpServerLimitsTest, PassesOverEmptyLinesBeforeARequest) {
  Start();
  RawClient client(server_->endpoints()[0]);
  client.Send("\r\n\r\n\r");
  std::this_thread::sleep_for(milliseconds(20));
  client.Send("\nPOST /whole HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na\r\n\r\n");
  client.Send("POST /whole HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n\r\nb");
  const std::string answers = client.ReadAll();
  EXPECT_THAT(answers, StartsWith("HTTP/1.1 200 "));
  EXPECT_NE(answers.find("HTTP/1.1 200 ", 1), std::string::npos) << answers;
}

TEST_F(HttpServerLimitsTest, ServesInlineAndPipelined) {
  options_.io_threads = 2;
  Start();
  RawClient client(server_->endpoints()[0]);
  std::string requests;
  for (int i = 0; i < 1000; ++i)
    requests += fmt::format("POST /inline HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n{:04}\r\n", i);
  std::jthread sender(
      [&] { client.Send(requests + "GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); });
  const std::string answers = client.ReadAll();
  size_t at = 0;
  for (int i = 0; i < 1000 && at != std::string::npos; ++i)
    at = answers.find(fmt::format("/inline|{:04}", i), at);
  EXPECT_NE(at, std::string::npos) << "all, in order";
  EXPECT_THAT(answers, EndsWith("/end|"));
}

TEST_F(HttpServerLimitsTest, ReportsWhatItAnswered) {
  std::mutex mutex;
  std::vector<std::string> lines;
  options_.on_access = [&](const AccessRecord& record) {
    std::lock_guard lock(mutex);
    lines.push_back(fmt::format("{} {} {} {} {} {} {}", record.method, record.target, record.status,
                                record.request_bytes, record.response_bytes, record.is_complete,
                                record.request_headers.Find("User-Agent").value_or("-")));
    EXPECT_THAT(std::string(record.peer), StartsWith("127.0.0.1:"));
    EXPECT_GE(record.took.count(), 0);
  };
  Start();
  Exchange(
      "POST /whole?x=1 HTTP/1.1\r\nHost: x\r\nUser-Agent: me\r\nContent-Length: 5\r\nConnection: "
      "close\r\n\r\nhello");
  Exchange("nonsense\r\n\r\n");
  Exchange("POST /../x HTTP/1.1\r\nHost: x\r\n\r\n");
  server_->Stop(milliseconds(1000));
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0], "POST /whole?x=1 200 5 12 true me");
  EXPECT_THAT(lines[1], HasSubstr(" 400 0 "));
  EXPECT_THAT(lines[2], StartsWith("POST /../x 400 0 "));
}

TEST_F(HttpServerLimitsTest, HoldsManyIdleConnections) {
  Start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 400; ++i) clients.push_back(std::make_unique<RawClient>(server_->endpoints()[0]));
  for (int i = 0; i < 400; i += 40) {
    clients[i]->Send("GET /late HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(clients[i]->ReadAll(), EndsWith("/late|"));
  }
}

}  // namespace
}  // namespace sluice::net
