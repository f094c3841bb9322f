#include "status/http_server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <system_error>
#include <vector>

#include "base/log.h"
#include "status/request.h"

namespace walspout {

namespace {

constexpr int kBacklog = 128;
constexpr int kAcceptsAtOnce = 32;  // then other clients get a turn
constexpr Duration kNoDescriptors = std::chrono::milliseconds(200);

const char* reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return "Error";
  }
}

std::string to_text(const Answer& answer, bool keep_alive, bool with_body) {
  std::string text =
      "HTTP/1.1 " + std::to_string(answer.status) + " " + reason(answer.status) +
      "\r\nContent-Type: " + answer.type +
      "\r\nContent-Length: " + std::to_string(answer.body.size()) +
      "\r\nCache-Control: no-store\r\nConnection: " + (keep_alive ? "keep-alive" : "close") +
      "\r\n";
  text += answer.headers;
  text += "\r\n";
  if (with_body) text += answer.body;
  return text;
}

// Whether the call has to be repeated later. All other errors end the connection.
bool is_passing(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

Result<Addresses> resolve(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) {
    return fatal("could not find the address to listen on: " + std::string(gai_strerror(error)),
                 host_and_port(host, port));
  }
  return Addresses(found);
}

Failure could_not_listen(int error, const std::string& where) {
  std::string what = "could not listen: " + std::string(std::strerror(error));
  if (error == EADDRINUSE) {
    what += ". Another process has the port: end that one, or give `status` another port";
  } else if (error == EADDRNOTAVAIL) {
    what += ". The address is not one of this machine's: correct `listen` of `status`";
  } else if (error == EACCES) {
    what += ". Choose a port from 1024 on in `listen` of `status`";
  }
  return fatal(what, where);
}

// A bound socket that does not listen yet. On error: -1 and errno.
int bound_socket(const addrinfo& address) {
  const int fd = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  // Allows a port with connections in TIME_WAIT, but not a port in use.
  const int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  const int no = 0;
  if (address.ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
  if (bind(fd, address.ai_addr, address.ai_addrlen) == 0) return fd;
  const int why = errno;
  close(fd);
  errno = why;
  return -1;
}

// Listens on the first available address of the name.
Result<int> listening_socket(const std::string& host, int port) {
  Result<Addresses> addresses = resolve(host, port);
  if (!addresses) return Failure(std::move(addresses.error()));
  int why = EADDRNOTAVAIL;
  for (const addrinfo* each = addresses->get(); each != nullptr; each = each->ai_next) {
    const int fd = bound_socket(*each);
    if (fd >= 0 && ::listen(fd, kBacklog) == 0) return fd;
    why = errno;
    if (fd >= 0) close(fd);
  }
  return could_not_listen(why, host_and_port(host, port));
}

int port_of(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  if (address.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

}  // namespace

// A client. The state says what the server waits for: a request, room for the response, or the end
// of the connection.
struct HttpServer::Client {
  enum class State { kRequest, kAnswer, kGoodbye };

  Client(int socket, TimePoint deadline) : fd(socket), until(deadline) {}
  ~Client() { close(fd); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  const int fd;
  TimePoint until;
  State state = State::kRequest;
  std::string in;
  std::string out;
  size_t sent = 0;
  bool keep_alive = false;
  bool is_ready = true;  // poll() reported an event
};

std::string host_and_port(const std::string& host, int port) {
  const bool bare = host.find(':') != std::string::npos;
  return (bare ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<void> can_listen(const std::string& host, int port) {
  Result<int> fd = listening_socket(host, port);
  if (!fd) return Failure(std::move(fd.error()));
  close(*fd);
  return {};
}

HttpServer::HttpServer(Handler handler, HttpLimits limits)
    : handler_(std::move(handler)),
      limits_(limits),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

HttpServer::~HttpServer() {
  stop();
  if (listener_ >= 0) close(listener_);
  if (wake_ >= 0) close(wake_);
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(const std::string& host, int port,
                                                      Handler handler, HttpLimits limits) {
  std::unique_ptr<HttpServer> server(new HttpServer(std::move(handler), limits));
  Result<int> listener = listening_socket(host, port);
  if (!listener) return Failure(std::move(listener.error()));
  server->listener_ = *listener;
  server->port_ = port_of(*listener);
  HttpServer* raw = server.get();
  try {
    server->thread_ = std::thread([raw] {
      try {
        raw->run();
      } catch (const std::exception& error) {  // such as out of memory
        log(LogLevel::kError, "status server ends", {{"error", error.what()}});
      }
    });
  } catch (const std::system_error& error) {
    return fatal("could not create a thread: " + error.code().message() +
                 ". Raise the limit of processes (ulimit -u, TasksMax)");
  }
  return server;
}

void HttpServer::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof(one));
  thread_.join();
  clients_.clear();
}

void HttpServer::run() {
  pthread_setname_np(pthread_self(), "status");
  while (!stopping_) {
    wait();
    accept_all();
    const TimePoint now = Clock::now();
    for (auto each = clients_.begin(); each != clients_.end();) {
      Client& client = *each;
      const bool stays = client.is_ready ? serve(client, now) : now < client.until;
      each = stays ? std::next(each) : clients_.erase(each);
    }
  }
}

void HttpServer::wait() {
  const TimePoint now = Clock::now();
  const bool accepting = now >= accept_after_;
  TimePoint until = accepting ? TimePoint::max() : accept_after_;
  std::vector<pollfd> fds = {{wake_, POLLIN, 0}, {accepting ? listener_ : -1, POLLIN, 0}};
  for (const Client& client : clients_) {
    const short events = client.state == Client::State::kAnswer ? POLLOUT : POLLIN;
    fds.push_back({client.fd, events, 0});
    until = std::min(until, client.until);
  }
  int timeout = -1;
  if (until != TimePoint::max()) {
    const auto left = std::chrono::ceil<Milliseconds>(until - now).count();
    timeout = static_cast<int>(std::clamp<int64_t>(left, 0, 60'000));
  }
  if (poll(fds.data(), fds.size(), timeout) < 0) return;
  auto each = fds.begin() + 2;
  for (Client& client : clients_) client.is_ready = (each++)->revents != 0;
}

void HttpServer::accept_all() {
  if (Clock::now() < accept_after_) return;
  for (int i = 0; i < kAcceptsAtOnce; i++) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      const bool full = errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS;
      // Dropping a client frees a descriptor.
      if (full && !clients_.empty()) {
        clients_.pop_front();
        continue;
      }
      if (full) accept_after_ = Clock::now() + kNoDescriptors;
      return;
    }
    if (clients_.size() >= limits_.clients) clients_.pop_front();
    const TimePoint now = Clock::now();
    clients_.emplace_back(fd, now + limits_.request);
    // Serve at once, so that a flood of clients cannot take this client's place first.
    if (!serve(clients_.back(), now)) clients_.pop_back();
  }
}

// Continues as far as possible without waiting. False: the connection is over.
bool HttpServer::serve(Client& client, TimePoint now) {
  switch (client.state) {
    case Client::State::kRequest:
      return read(client, now);
    case Client::State::kAnswer:
      return write(client, now);
    default:
      return hang_up(client, now);
  }
}

bool HttpServer::read(Client& client, TimePoint now) {
  std::array<char, 4096> buffer;
  const ssize_t length = recv(client.fd, buffer.data(), buffer.size(), 0);
  if (length < 0 && is_passing(errno)) return now < client.until;
  if (length <= 0) return false;
  client.in.append(buffer.data(), static_cast<size_t>(length));
  return answer(client, now) && now < client.until;
}

// Makes the response if the request is complete.
bool HttpServer::answer(Client& client, TimePoint now) {
  Request request;
  const Head head = parse_head(client.in, request);
  if (head == Head::kIncomplete && client.in.size() < limits_.head) return true;
  Answer answer;
  client.keep_alive = false;
  if (head == Head::kIncomplete) {
    answer = {431, "text/plain; charset=utf-8", "the head of the request is too long\n"};
  } else if (head == Head::kBad) {
    answer = {400, "text/plain; charset=utf-8", "this is no HTTP/1 request\n"};
  } else if (request.method != "GET" && request.method != "HEAD" && request.method != "POST") {
    answer = {405, "text/plain; charset=utf-8", "only GET, HEAD and POST are answered\n",
              "Allow: GET, HEAD, POST\r\n"};
  } else {
    answer = handler_(request);
    // Pipelined requests are dropped: the client has to repeat them.
    client.keep_alive = request.keep_alive && client.in.size() == request.length;
  }
  client.out = to_text(answer, client.keep_alive, request.method != "HEAD");
  client.sent = 0;
  client.in.clear();
  client.state = Client::State::kAnswer;
  client.until = now + limits_.progress;
  return write(client, now);
}

bool HttpServer::write(Client& client, TimePoint now) {
  const ssize_t length = send(client.fd, client.out.data() + client.sent,
                              client.out.size() - client.sent, MSG_NOSIGNAL);
  if (length < 0) return is_passing(errno) && now < client.until;
  client.sent += static_cast<size_t>(length);
  client.until = now + limits_.progress;
  if (client.sent < client.out.size()) return true;
  client.out.clear();
  client.out.shrink_to_fit();
  if (client.keep_alive) {
    client.state = Client::State::kRequest;
    client.until = now + limits_.request;
    return true;
  }
  // Read for a moment what the client still sends: closing with unread bytes resets the connection,
  // and the reset may overtake the response.
  client.state = Client::State::kGoodbye;
  client.until = now + limits_.goodbye;
  return shutdown(client.fd, SHUT_WR) == 0;
}

bool HttpServer::hang_up(Client& client, TimePoint now) {
  std::array<char, 16384> buffer;
  const ssize_t length = recv(client.fd, buffer.data(), buffer.size(), 0);
  if (length < 0) return is_passing(errno) && now < client.until;
  return length > 0 && now < client.until;
}

}  // namespace walspout
