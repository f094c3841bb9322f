#include "status/client.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include "status/http_server.h"

namespace walspout {
namespace {

constexpr size_t kMostBytes = 16u << 20;  // bytes

// Whether the socket becomes ready for `events` before the deadline.
bool is_ready(int fd, short events, TimePoint until) {
  const auto left = std::chrono::ceil<Milliseconds>(until - Clock::now()).count();
  pollfd one{fd, events, 0};
  return left > 0 && poll(&one, 1, static_cast<int>(left)) > 0;
}

// Everything the address sends until it closes; nothing: it cannot be reached.
std::optional<std::string> ask(const addrinfo& address, const std::string& request,
                               TimePoint until) {
  const int fd = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return std::nullopt;
  std::optional<std::string> answer;
  connect(fd, address.ai_addr, address.ai_addrlen);
  if (is_ready(fd, POLLOUT, until) && send(fd, request.data(), request.size(), MSG_NOSIGNAL) ==
                                          static_cast<ssize_t>(request.size())) {
    answer.emplace();
    std::array<char, 16384> buffer;
    while (answer->size() < kMostBytes && is_ready(fd, POLLIN, until)) {
      const ssize_t length = recv(fd, buffer.data(), buffer.size(), 0);
      if (length <= 0) break;
      answer->append(buffer.data(), static_cast<size_t>(length));
    }
  }
  close(fd);
  return answer;
}

}  // namespace

Result<std::string> get_page(const std::string& host, int port, const std::string& path,
                             TimePoint until) {
  const std::string where = "http://" + host_and_port(host, port) + path;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failed = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (failed != 0) return retry(gai_strerror(failed), where);
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, freeaddrinfo);
  const std::string request =
      "GET " + path + " HTTP/1.0\r\nHost: " + host_and_port(host, port) + "\r\n\r\n";
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    const auto answer = ask(*address, request, until);
    if (!answer) continue;
    const size_t body = answer->find("\r\n\r\n");
    if (body == std::string::npos) return retry("no answer came in time", where);
    const std::string_view status = std::string_view(*answer).substr(0, answer->find("\r\n"));
    if (status.find(" 200 ") == std::string_view::npos) {
      return retry("the answer is " + std::string(status), where);
    }
    return answer->substr(body + 4);
  }
  return retry("no connection", where);
}

}  // namespace walspout
