#include "net/http_server.h"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <latch>
#include <thread>

#include "base/testing/matchers.h"
#include "net/testing/raw_client.h"

namespace sluice::net {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class CountingSource final : public BodySource {
 public:
  CountingSource(int count, bool fails) : count_(count), fails_(fails) {}
  Result<std::string> Next() override {
    if (next_ == count_ && fails_) return Error(ErrorCode::kUnavailable, "the source broke");
    return next_ == count_ ? std::string() : fmt::format("piece {}\n", next_++);
  }

 private:
  const int count_;
  const bool fails_;
  int next_ = 0;
};

// A few routes, each for one thing to show.
class TestHandler final : public HttpHandler {
 public:
  BodyPlan PlanBody(const HttpRequest& head) override {
    return {.is_streamed = head.url.path == "/count" || head.url.path == "/ignore",
            .max_bytes = max_body_bytes};
  }

  void Serve(HttpRequest request, Responder responder) override {
    if (request.url.path == "/drop") return;
    if (request.url.path == "/later") {
      std::lock_guard lock(mutex);
      waiting.push_back(std::move(responder));
      has_waiting.notify_all();
      return;
    }
    responder.Send(Handle(request));
  }

  // Takes the requests for `/later` once there are `count`.
  std::vector<Responder> Waiting(size_t count) {
    std::unique_lock lock(mutex);
    has_waiting.wait(lock, [&] { return waiting.size() >= count; });
    return std::move(waiting);
  }

  HttpResponse Handle(HttpRequest& request) override {
    const std::string& path = request.url.path;
    if (path == "/echo") return TextResponse(200, fmt::format("{} {}", request.method, request.body));
    if (path == "/count") return Count(*request.stream);
    if (path == "/file") {
      HttpResponse response;
      response.body = FileRange{file, 0, 7};
      return response;
    }
    if (path == "/throw") throw std::runtime_error("a defect");
    if (path == "/split") {
      HttpResponse response = TextResponse(200, "x");
      response.headers.Add("X-Bad", "a\r\nX-Injected: b");
      return response;
    }
    if (path == "/stream" || path == "/broken") {
      HttpResponse response;
      response.body = std::make_unique<CountingSource>(3, path == "/broken");
      return response;
    }
    if (path == "/wait") {
      entered.count_down();
      if (on_wait) on_wait(request);
    }
    if (path == "/peer") {
      return TextResponse(
          200, request.peer_user ? fmt::format("{} {}", request.peer, *request.peer_user) : request.peer);
    }
    return TextResponse(200, path);
  }

  HttpResponse Count(BodyReader& body) {
    uint64_t bytes = 0;
    while (true) {
      auto piece = body.Read();
      if (!piece.ok()) {
        last_error = piece.error();
        return TextResponse(InfoOf(last_error->code()).http_status, last_error->ToString());
      }
      if (piece->empty()) return TextResponse(200, std::to_string(bytes));
      bytes += piece->size();
    }
  }

  uint64_t max_body_bytes = 1000;
  std::string file;
  std::function<void(HttpRequest&)> on_wait;
  std::latch entered{1};
  std::mutex mutex;
  std::condition_variable has_waiting;
  std::vector<Responder> waiting;
  std::optional<Error> last_error;  // of the last streamed body; to be read once the server has stopped
};

class HttpServerTest : public testing::Test {
 protected:
  void Start() {
    auto server = HttpServer::Start({{}}, handler_, options_);
    ASSERT_THAT(server, IsOk());
    server_ = std::move(*server);
  }
  const HttpEndpoint& endpoint() { return server_->endpoints()[0]; }
  // Sends it on a new connection and reads all that comes.
  std::string Exchange(const std::string& bytes) {
    RawClient client(endpoint());
    client.Send(bytes);
    return client.ReadAll();
  }

  TestHandler handler_;
  HttpServerOptions options_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersAndClosesWhenAsked) {
  Start();
  const std::string answer = Exchange("GET /a%20b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer,
              AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr("Content-Length: 4\r\n"),
                    HasSubstr("Date: "), HasSubstr("Connection: close\r\n"), EndsWith("\r\n\r\n/a b")));
}

TEST_F(HttpServerTest, KeepsConnectionsAndServesPipelinedRequestsInOrder) {
  Start();
  RawClient client(endpoint());
  for (int i = 0; i < 3; ++i) {
    client.Send("GET /one HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THAT(client.ReadUntil("/one"), HasSubstr("Connection: keep-alive"));
  }
  client.Send(
      "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nabGET /3 "
      "HTTP/1.1\r\n"
      "Host: x\r\nConnection: close\r\n\r\n");
  const std::string answers = client.ReadAll();
  EXPECT_LT(answers.find("\r\n/1"), answers.find("\r\nPOST ab"));
  EXPECT_LT(answers.find("\r\nPOST ab"), answers.find("\r\n/3"));
  EXPECT_THAT(answers, EndsWith("/3"));
}

TEST_F(HttpServerTest, ServesHttp10) {
  Start();
  EXPECT_THAT(Exchange("GET /stream HTTP/1.0\r\n\r\n"),
              AllOf(Not(HasSubstr("chunked")), EndsWith("\r\n\r\npiece 0\npiece 1\npiece 2\n")));
}

TEST_F(HttpServerTest, SendsNoBodyForHead) {
  Start();
  const std::string answer = Exchange("HEAD /abc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, AllOf(HasSubstr("Content-Length: 4\r\n"), EndsWith("\r\n\r\n")));
}

TEST_F(HttpServerTest, ServesRangesOfFiles) {
  Start();
  handler_.file = testing::TempDir() + fmt::format("sluice-range-{}", getpid());
  std::ofstream(handler_.file) << "/abcdef";
  EXPECT_THAT(Exchange("GET /file HTTP/1.1\r\nHost: x\r\nRange: bytes=1-3\r\nConnection: close\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 206 "), HasSubstr("Content-Range: bytes 1-3/7\r\n"),
                    EndsWith("\r\n\r\nabc")));
  EXPECT_THAT(Exchange("GET /file HTTP/1.1\r\nHost: x\r\nRange: bytes=7-\r\nConnection: close\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 416 "), HasSubstr("Content-Range: bytes */7\r\n"),
                    HasSubstr("Content-Type: application/problem+json\r\n"), HasSubstr("it has 7")));
}

TEST_F(HttpServerTest, StreamsChunkedResponses) {
  Start();
  EXPECT_THAT(Exchange("GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              EndsWith("8\r\npiece 0\n\r\n8\r\npiece 1\n\r\n8\r\npiece 2\n\r\n0\r\n\r\n"));
  EXPECT_THAT(Exchange("GET /broken HTTP/1.1\r\nHost: x\r\n\r\n"), EndsWith("8\r\npiece 2\n\r\n"))
      << "a broken body is not ended as if it were whole";
}

TEST_F(HttpServerTest, TakesBodiesWholeAndStreamedWithLengthAndChunked) {
  Start();
  for (const std::string path : {"/echo", "/count"}) {
    const std::string expected = path == "/echo" ? "POST hello world" : "11";
    EXPECT_THAT(
        Exchange("POST " + path +
                 " HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\nConnection: close\r\n\r\nhello world"),
        EndsWith("\r\n\r\n" + expected));
    EXPECT_THAT(Exchange("POST " + path +
                         " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                         "6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"),
                EndsWith("\r\n\r\n" + expected));
  }
}

TEST_F(HttpServerTest, GivesLeaveToSendTheBody) {
  Start();
  RawClient client(endpoint());
  client.Send(
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: "
      "close\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("ab");
  EXPECT_THAT(client.ReadAll(), EndsWith("POST ab"));
}

TEST_F(HttpServerTest, RefusesLargeBodies) {
  Start();
  const std::string body(1001, 'x');
  EXPECT_THAT(Exchange("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n" + body),
              AllOf(StartsWith("HTTP/1.1 413 "), HasSubstr("limit of 1000 bytes")));
  EXPECT_THAT(Exchange("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + body +
                       "\r\n0\r\n\r\n"),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(Exchange("POST /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + body +
                       "\r\n0\r\n\r\n"),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(Exchange("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551615\r\n\r\n"),
              StartsWith("HTTP/1.1 413 "));
}

TEST_F(HttpServerTest, GoesOnAfterAShortBodyThatNobodyRead) {
  Start();
  RawClient client(endpoint());
  client.Send("POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("/ignore"), StartsWith("HTTP/1.1 200 "));
  client.Send("helloGET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), EndsWith("/next"));
}

TEST_F(HttpServerTest, RefusesLargeHeaders) {
  options_.max_header_bytes = 2000;
  Start();
  EXPECT_THAT(Exchange("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(3000, 'x') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(Exchange("GET /" + std::string(3000, 'x') + " HTTP/1.1\r\nHost: x\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
}

TEST_F(HttpServerTest, RefusesWhatIsNotHttp) {
  Start();
  for (const std::string request :
       {"nonsense\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    SCOPED_TRACE(request);
    EXPECT_THAT(Exchange(request), StartsWith("HTTP/1.1 400 "));
  }
}

TEST_F(HttpServerTest, TurnsADefectIntoA500AndKeepsHeadersWhole) {
  Start();
  EXPECT_THAT(Exchange("GET /throw HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 500 "));
  EXPECT_THAT(Exchange("GET /split HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              Not(HasSubstr("X-Injected")));
}

TEST_F(HttpServerTest, AnswersLaterWithoutHoldingAThread) {
  options_.handler_threads = 1;
  Start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<RawClient>(endpoint()));
    clients.back()->Send(
        "GET /later HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\nConnection: "
        "close\r\n\r\n");
  }
  std::vector<Responder> waiting = handler_.Waiting(20);
  EXPECT_THAT(Exchange("GET /now HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), EndsWith("/now"));
  for (Responder& responder : waiting) responder.Send(TextResponse(200, "answered"));
  for (auto& client : clients) {
    const std::string answers = client->ReadAll();
    EXPECT_LT(answers.find("answered"), answers.find("/next")) << "in order";
    EXPECT_THAT(answers, EndsWith("/next"));
  }
}

TEST_F(HttpServerTest, AnswersForAHandlerThatDoesNot) {
  Start();
  EXPECT_THAT(Exchange("GET /drop HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 500 "));
}

TEST_F(HttpServerTest, TakesAnswersThatNobodyWaitsFor) {
  Start();
  {
    RawClient client(endpoint());
    client.Send("GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    std::vector<Responder> waiting = handler_.Waiting(1);
    server_->Stop(milliseconds(0));
    EXPECT_TRUE(waiting[0].is_client_gone());
    waiting[0].Send(TextResponse(200, "late"));
    waiting[0].Send(TextResponse(200, "and again"));
    EXPECT_EQ(client.ReadAll(), "");
  }
  auto responders = std::make_unique<std::vector<Responder>>();
  Start();
  RawClient client(endpoint());
  client.Send("GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
  *responders = handler_.Waiting(1);
  server_.reset();
  responders.reset();  // answers 500 to a server that is gone
  EXPECT_EQ(client.ReadAll(), "");
}

TEST_F(HttpServerTest, GivesUpOnSlowClients) {
  options_.header_timeout = milliseconds(50);
  options_.body_timeout = milliseconds(50);
  options_.idle_timeout = milliseconds(50);
  Start();
  EXPECT_THAT(Exchange("GET / HT"), StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(Exchange("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel"),
              StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(Exchange("POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel"),
              HasSubstr("too slowly"));
  EXPECT_EQ(Exchange(""), "") << "idle";
  server_->Stop(milliseconds(0));
  ASSERT_TRUE(handler_.last_error) << "the handler heard of it";
  EXPECT_EQ(handler_.last_error->code(), ErrorCode::kTimeout);
}

TEST_F(HttpServerTest, SurvivesClientsThatGoAway) {
  Start();
  for (const char* path : {"/echo", "/count"}) {
    RawClient client(endpoint());
    client.Send(fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nhel", path));
    client.EndSending();
    EXPECT_THAT(client.ReadAll(), Not(EndsWith("(timeout)")));
  }
  EXPECT_THAT(Exchange("GET /ok HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), EndsWith("/ok"));
}

TEST_F(HttpServerTest, RefusesTooManyConnections) {
  options_.max_connections = 1;
  Start();
  RawClient first(endpoint());
  first.Send("GET /one HTTP/1.1\r\nHost: x\r\n\r\n");
  first.ReadUntil("/one");
  EXPECT_THAT(Exchange(""), StartsWith("HTTP/1.1 503 "));
}

TEST_F(HttpServerTest, StopsGracefully) {
  std::latch may_end(1);
  handler_.on_wait = [&](HttpRequest& request) {
    may_end.wait();
    EXPECT_TRUE(request.stop.stop_requested());
  };
  Start();
  const HttpEndpoint where = endpoint();
  RawClient idle(where);
  idle.Send("GET /one HTTP/1.1\r\nHost: x\r\n\r\n");
  idle.ReadUntil("/one");
  RawClient busy(where);
  busy.Send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  handler_.entered.wait();
  std::jthread stopper([&] { server_->Stop(milliseconds(10'000)); });
  EXPECT_EQ(idle.ReadAll(), "") << "closed at once";
  may_end.count_down();
  EXPECT_THAT(busy.ReadAll(), AllOf(HasSubstr("Connection: close"), EndsWith("/wait")))
      << "and this one is answered";
  stopper.join();
  EXPECT_FALSE(RawClient(where).is_connected());
  server_->Stop(milliseconds(0));
}

TEST_F(HttpServerTest, CutsWhatDoesNotEndInTime) {
  std::latch may_end(1);
  handler_.on_wait = [&](HttpRequest&) { may_end.wait(); };
  Start();
  RawClient busy(endpoint());
  busy.Send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  handler_.entered.wait();
  std::jthread stopper([&] { server_->Stop(milliseconds(0)); });
  EXPECT_EQ(busy.ReadAll(), "");
  may_end.count_down();
}

TEST_F(HttpServerTest, ListensOnAUnixSocket) {
  const std::string folder = std::filesystem::temp_directory_path() / fmt::format("sluice-net-{}", getpid());
  std::filesystem::create_directory(folder);
  const HttpEndpoint where{.unix_path = folder + "/node.sock"};
  {
    ASSERT_OK_AND_ASSIGN(auto server, HttpServer::Start({where, {}}, handler_));
    struct stat info{};
    ASSERT_EQ(stat(where.unix_path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
    RawClient client(where);
    client.Send("GET /peer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(client.ReadAll(), EndsWith(fmt::format("unix {}", getuid())));
    EXPECT_THAT(server->url(), StartsWith("http://127.0.0.1:"));
    EXPECT_THAT(HttpServer::Start({where}, handler_), IsError(ErrorCode::kUnavailable, HasSubstr("in use")));
  }
  EXPECT_FALSE(std::filesystem::exists(where.unix_path));
  std::ofstream(where.unix_path) << "a file";
  EXPECT_THAT(HttpServer::Start({where}, handler_),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("not a socket")));
  std::filesystem::remove_all(folder);
}

TEST_F(HttpServerTest, SaysWhereItCannotListen) {
  Start();
  EXPECT_THAT(HttpServer::Start({endpoint()}, handler_),
              IsError(ErrorCode::kUnavailable, HasSubstr("in use")));
  EXPECT_THAT(HttpServer::Start({{.host = "localhost"}}, handler_),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("'localhost'")));
  EXPECT_THAT(HttpServer::Start({}, handler_), IsErrorCode(ErrorCode::kInvalidArgument));
}

}  // namespace
}  // namespace sluice::net
