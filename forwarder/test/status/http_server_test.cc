#include "status/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "status/request.h"

namespace walspout {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// Parsing -----------------------------------------------------------------------------------------

Head parse(std::string_view text, Request& request) {
  return parse_head(text, request);
}

TEST(Request, IsReadToTheEndOfItsHead) {
  Request request;
  EXPECT_EQ(parse("GET /status?x=1 HTTP/1.1\r\nHost: a\r\n\r\nrest", request), Head::kComplete);
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.path, "/status");
  EXPECT_TRUE(request.keep_alive);
  EXPECT_EQ(request.length, 37u);
}

TEST(Request, MayBeWrittenByHand) {
  Request request;
  EXPECT_EQ(parse("\r\nHEAD http://here:9/metrics HTTP/1.0\n\n", request), Head::kComplete);
  EXPECT_EQ(request.method, "HEAD");
  EXPECT_EQ(request.path, "/metrics");
  EXPECT_FALSE(request.keep_alive);
}

TEST(Request, IsIncompleteWhereverItIsCut) {
  const std::string text = "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
  Request request;
  for (size_t i = 0; i < text.size(); i++) {
    EXPECT_EQ(parse(text.substr(0, i), request), Head::kIncomplete) << i;
  }
  EXPECT_EQ(parse(text, request), Head::kComplete);
}

TEST(Request, SaysWhetherAnotherOneMayFollow) {
  const auto stays = [](const std::string& version, const std::string& lines) {
    Request request;
    EXPECT_EQ(parse("GET / HTTP/" + version + "\r\n" + lines + "\r\n", request), Head::kComplete);
    return request.keep_alive;
  };
  EXPECT_TRUE(stays("1.1", ""));
  EXPECT_TRUE(stays("1.1", "content-length: 0\r\n"));
  EXPECT_TRUE(stays("1.0", "connection: Keep-Alive\r\n"));
  EXPECT_FALSE(stays("1.0", ""));
  EXPECT_FALSE(stays("1.1", "Connection: TE, close\r\n"));
  EXPECT_FALSE(stays("1.1", "Content-Length: 5\r\n"));
  EXPECT_FALSE(stays("1.1", "Transfer-Encoding: chunked\r\n"));
}

TEST(Request, OfAnotherProtocolIsBad) {
  Request request;
  for (const char* text :
       {"GET /\r\n\r\n", "GET / HTTP/2.0\r\n\r\n", "get / HTTP/1.1\r\n\r\n", "\x16\x03\x01 a b\n\n",
        " GET / HTTP/1.1\r\n\r\n", "GET  HTTP/1.1\r\n\r\n", "GET / HTTP/1.1 x\r\n\r\n"}) {
    EXPECT_EQ(parse(text, request), Head::kBad) << text;
  }
}

// Serving -----------------------------------------------------------------------------------------

constexpr size_t kLarge = 8u << 20;  // more than all buffers on the way

class HttpServerTest : public testing::Test {
 protected:
  void start(HttpLimits limits = {}) {
    const auto page = [](const Request& request) -> Answer {
      const std::string_view path = request.path;
      if (path == "/") return {200, "text/plain", "hello\n"};
      if (path == "/large") return {200, "text/plain", std::string(kLarge, 'x')};
      return {404, "text/plain", "no\n"};
    };
    auto server = HttpServer::start("127.0.0.1", 0, page, limits);
    ASSERT_TRUE(server) << server.error().message();
    server_ = std::move(*server);
  }

  void TearDown() override {
    for (const int fd : open_) close(fd);
  }

  int connect() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    open_.push_back(fd);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(server_->port()));
    const timeval patience{30, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }

  int connect_and_send(std::string_view text) {
    const int fd = connect();
    send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    return fd;
  }

  // All bytes until the server closes; "silent": it does not close; "reset": it resets.
  static std::string all(int fd) {
    std::string text;
    std::array<char, 65536> buffer;
    for (;;) {
      const ssize_t length = recv(fd, buffer.data(), buffer.size(), 0);
      if (length < 0) return text + (errno == EAGAIN ? "silent" : "reset");
      if (length == 0) return text;
      text.append(buffer.data(), static_cast<size_t>(length));
    }
  }

  static std::string some(int fd) {
    std::array<char, 4096> buffer;
    const ssize_t length = recv(fd, buffer.data(), buffer.size(), 0);
    return {buffer.data(), static_cast<size_t>(std::max<ssize_t>(length, 0))};
  }

  std::string ask(std::string_view text) { return all(connect_and_send(text)); }
  std::string get(const std::string& path) { return ask("GET " + path + " HTTP/1.0\r\n\r\n"); }

  std::unique_ptr<HttpServer> server_;
  std::vector<int> open_;
};

TEST_F(HttpServerTest, Answers) {
  start();
  EXPECT_THAT(get("/"), StartsWith("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"));
  EXPECT_THAT(get("/"), EndsWith("\r\n\r\nhello\n"));
  EXPECT_THAT(get("/x"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(ask("PUT / HTTP/1.1\r\n\r\n"), HasSubstr("405 Method Not Allowed"));
  EXPECT_THAT(ask("PUT / HTTP/1.1\r\n\r\n"), HasSubstr("Allow: GET, HEAD, POST\r\n"));
  EXPECT_THAT(ask("hello?\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  const std::string head = ask("HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("Content-Length: 6\r\n"));
  EXPECT_THAT(head, EndsWith("\r\n\r\n"));
}

TEST_F(HttpServerTest, AnswersAgainOnTheSameConnection) {
  start();
  const int fd = connect();
  for (int i = 0; i < 20; i++) {
    // In pieces.
    for (const std::string_view piece : {"GET / HT", "TP/1.1\r\nHost:", " a\r\n\r", "\n"}) {
      ASSERT_EQ(send(fd, piece.data(), piece.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(piece.size()));
    }
    EXPECT_THAT(some(fd), EndsWith("hello\n"));
  }
}

TEST_F(HttpServerTest, ABodyIsNotRead) {
  start();
  const std::string head = "GET / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n";
  // The answer arrives although the client still sends when the server closes.
  EXPECT_THAT(ask(head + std::string(100'000, 'x')), HasSubstr("Connection: close"));
}

TEST_F(HttpServerTest, AHeadWithoutEndIsRejected) {
  start();
  std::string head = "GET / HTTP/1.1\r\n";
  while (head.size() < 20'000) head += "X-Header: something\r\n";
  EXPECT_THAT(ask(head), StartsWith("HTTP/1.1 431 "));
}

TEST_F(HttpServerTest, NobodyHoldsUpAnother) {
  start();
  std::vector<int> slow;
  for (int i = 0; i < 40; i++) {
    slow.push_back(connect());
    slow.push_back(connect_and_send("GET / HTTP/1.1\r\nX: "));
    slow.push_back(connect_and_send("GET /large HTTP/1.1\r\n\r\n"));
    slow.push_back(connect_and_send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"));
    const TimePoint before = Clock::now();
    EXPECT_THAT(get("/"), EndsWith("hello\n"));
    EXPECT_LT(Clock::now() - before, std::chrono::seconds(8));  // a limit would have to expire
  }
}

TEST_F(HttpServerTest, WhoDoesNothingIsLetGo) {
  start(
      {.request = Milliseconds(200), .progress = Milliseconds(200), .goodbye = Milliseconds(200)});
  EXPECT_EQ(all(connect()), "");
  EXPECT_EQ(all(connect_and_send("GET / HTTP/1.1\r\nX:")), "");
  // Occasional bytes are no request either.
  const int drip = connect_and_send("GET / HTTP/1.1\r\nX: ");
  const TimePoint end = Clock::now() + std::chrono::seconds(30);
  while (send(drip, "x", 1, MSG_NOSIGNAL) == 1) {
    ASSERT_LT(Clock::now(), end);
    usleep(20'000);
  }
  // A client that does not read its answer.
  const int lazy = connect_and_send("GET /large HTTP/1.1\r\n\r\n");
  usleep(1'000'000);
  EXPECT_LT(all(lazy).size(), kLarge);
}

TEST_F(HttpServerTest, ASlowReaderGetsAllOfALargeAnswer) {
  start({.progress = std::chrono::seconds(5)});
  const int fd = connect_and_send("GET /large HTTP/1.1\r\nConnection: close\r\n\r\n");
  for (int i = 0; i < 10; i++) {
    usleep(50'000);
    EXPECT_THAT(get("/"), EndsWith("hello\n"));
  }
  EXPECT_GT(all(fd).size(), kLarge);
}

TEST_F(HttpServerTest, StopsWhateverItsClientsDo) {
  start();
  connect();
  connect_and_send("GET / HTTP/1.1\r\n");
  connect_and_send("GET /large HTTP/1.1\r\n\r\n");
  EXPECT_THAT(get("/"), EndsWith("hello\n"));
  const TimePoint before = Clock::now();
  server_->stop();
  server_->stop();
  EXPECT_LT(Clock::now() - before, std::chrono::seconds(5));
}

TEST_F(HttpServerTest, GoesOnWithoutDescriptors) {
  start();
  for (int i = 0; i < 20; i++) connect();
  EXPECT_THAT(get("/"), EndsWith("hello\n"));
  const int asking = connect();  // in the queue, or accepted
  std::vector<int> sockets;
  for (int i = 0; i < 10; i++) sockets.push_back(socket(AF_INET, SOCK_STREAM, 0));
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit few = before;
  few.rlim_cur = 3;  // from now on accept() gets no descriptor
  setrlimit(RLIMIT_NOFILE, &few);
  const std::string text = "GET / HTTP/1.0\r\n\r\n";
  send(asking, text.data(), text.size(), MSG_NOSIGNAL);
  usleep(300'000);
  setrlimit(RLIMIT_NOFILE, &before);
  for (const int fd : sockets) close(fd);
  EXPECT_THAT(get("/"), EndsWith("hello\n"));
}

TEST_F(HttpServerTest, TheAddressHasOneListener) {
  start();
  const auto second =
      HttpServer::start("127.0.0.1", server_->port(), [](const Request&) { return Answer{}; });
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message(), HasSubstr("another port"));
  EXPECT_FALSE(can_listen("127.0.0.1", server_->port()));
  EXPECT_TRUE(can_listen("127.0.0.1", 0));
  EXPECT_THAT(can_listen("192.0.2.1", 1).error().message(), HasSubstr("192.0.2.1:1"));
  EXPECT_THAT(can_listen("no-such-host.invalid", 1).error().message(), HasSubstr("find"));
  const int port = server_->port();
  get("/");  // leaves a connection in TIME_WAIT
  server_.reset();
  EXPECT_TRUE(can_listen("127.0.0.1", port));
}

}  // namespace
}  // namespace walspout
