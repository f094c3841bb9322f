// A small HTTP server for pages that are made in memory: one thread, one poll loop.
//
// No client can hold up another one. Nothing blocks: a client that sends slowly, reads slowly or
// does nothing only occupies its own place. Each place has a deadline, and the number of places is
// limited. When all are taken a newcomer gets the place of the oldest client, and is served at
// once.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "base/clock.h"
#include "base/result.h"
#include "status/request.h"

namespace walspout {

struct Answer {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
  std::string headers{};  // others, each with its "\r\n"
};

// How long a client is waited for, and how many there may be.
struct HttpLimits {
  size_t clients = 64;
  size_t head = 8192;                            // bytes of a request's head
  Duration request = std::chrono::seconds(10);   // until a head is complete
  Duration progress = std::chrono::seconds(10);  // until more of an answer is taken
  Duration goodbye = std::chrono::seconds(2);    // until the client closes after the last answer
};

class HttpServer {
 public:
  // Called on the server's thread, for GET, HEAD and POST of any path. A body is not read.
  using Handler = std::function<Answer(const Request& request)>;

  // Listens. Port 0 is any free port. kFatal: the address cannot be had.
  static Result<std::unique_ptr<HttpServer>> start(const std::string& host, int port,
                                                   Handler handler, HttpLimits limits = {});
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const { return port_; }

  // Closes everything, whatever the clients do. The handler is not called after that.
  void stop();

 private:
  struct Client;

  HttpServer(Handler handler, HttpLimits limits);
  void run();
  void wait();
  void accept_all();
  bool serve(Client& client, TimePoint now);
  bool read(Client& client, TimePoint now);
  bool answer(Client& client, TimePoint now);
  bool write(Client& client, TimePoint now);
  bool hang_up(Client& client, TimePoint now);

  const Handler handler_;
  const HttpLimits limits_;
  int listener_ = -1;
  int wake_ = -1;
  int port_ = 0;
  TimePoint accept_after_{};  // the process has no descriptors left until then
  std::atomic<bool> stopping_ = false;
  std::list<Client> clients_;  // the oldest connection is first
  std::thread thread_;
};

// The address as people write it: "[::1]:8470".
std::string host_and_port(const std::string& host, int port);

// Whether start() could listen there. Listens on nothing.
Result<void> can_listen(const std::string& host, int port);

}  // namespace walspout
