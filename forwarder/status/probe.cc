#include "status/probe.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

#include "base/clock.h"
#include "base/json.h"

namespace walspout {

namespace {

constexpr Duration kPatience = std::chrono::seconds(3);
constexpr size_t kMost = 16u << 20;
constexpr std::string_view kRequest = "GET /status HTTP/1.0\r\n\r\n";

// The socket becomes ready for `events` before the deadline.
bool is_ready(int fd, short events, TimePoint until) {
  const auto left = std::chrono::ceil<Milliseconds>(until - Clock::now()).count();
  pollfd one{fd, events, 0};
  return left > 0 && poll(&one, 1, static_cast<int>(left)) > 0;
}

// The answer to a GET of /status; empty if there is none.
std::string ask(const addrinfo& address, TimePoint until) {
  const int fd = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  std::string answer;
  connect(fd, address.ai_addr, address.ai_addrlen);
  if (is_ready(fd, POLLOUT, until) && send(fd, kRequest.data(), kRequest.size(), MSG_NOSIGNAL) ==
                                          static_cast<ssize_t>(kRequest.size())) {
    std::array<char, 16384> buffer;
    while (answer.size() < kMost && is_ready(fd, POLLIN, until)) {
      const ssize_t length = recv(fd, buffer.data(), buffer.size(), 0);
      if (length <= 0) break;
      answer.append(buffer.data(), static_cast<size_t>(length));
    }
  }
  if (fd >= 0) close(fd);
  return answer;
}

}  // namespace

bool is_answered_by_walspout(const StatusConfig& config, const std::vector<StatusMember>& members) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;  // as for the server
  addrinfo* found = nullptr;
  if (getaddrinfo(config.host.c_str(), std::to_string(config.port).c_str(), &hints, &found) != 0) {
    return false;
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, freeaddrinfo);
  const std::string answer = ask(*found, Clock::now() + kPatience);
  return std::all_of(members.begin(), members.end(), [&](const StatusMember& one) {
    std::string member;
    append_member(member, one.first, one.second);
    return answer.find(member) != std::string::npos;
  });
}

}  // namespace walspout
