// A small HTTP server for pages made in memory: one thread, one poll loop.
//
// No client can block another: a client that sends slowly, reads slowly or does nothing only
// occupies its own place. Each place has a deadline, and the number of places is limited. When all
// are taken, a new client replaces the oldest and is served at once.
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
  std::string headers{};  // more headers, each with its "\r\n"
};

// How long to wait for a client, and the number of clients.
struct HttpLimits {
  size_t clients = 64;
  size_t head = 8192;                            // bytes of a request's head.
  Duration request = std::chrono::seconds(10);   // until a head is complete.
  Duration progress = std::chrono::seconds(10);  // until the client takes more of a response.
  Duration goodbye = std::chrono::seconds(2);    // until the client closes after the last one.
};

class HttpServer {
 public:
  // Called on the server's thread, for GET, HEAD and POST of any path. A body is not read.
  using Handler = std::function<Answer(const Request& request)>;

  // Starts to listen. Port 0: any free port. kFatal: the address is not available.
  static Result<std::unique_ptr<HttpServer>> start(const std::string& host, int port,
                                                   Handler handler, HttpLimits limits = {});
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const { return port_; }

  // Closes everything, whatever the clients do. Afterwards the handler is not called.
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
  TimePoint accept_after_{};  // wait until then, after running out of descriptors
  std::atomic<bool> stopping_ = false;
  std::list<Client> clients_;  // the oldest connection is first
  std::thread thread_;
};

// The address in the usual form: "[::1]:8470".
std::string host_and_port(const std::string& host, int port);

// Whether start() could listen there. Does not listen.
Result<void> can_listen(const std::string& host, int port);

}  // namespace walspout
