#include "sink/common/connect.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/lookup.h"

namespace walspout {
namespace {

std::string text_of(const addrinfo& address) {
  std::array<char, NI_MAXHOST> text{};
  if (getnameinfo(address.ai_addr, address.ai_addrlen, text.data(), text.size(), nullptr, 0,
                  NI_NUMERICHOST) != 0) {
    return "?";
  }
  return text.data();
}

// Waits until a begun connection is made: 0, or its errno.
int wait_for_connection(int fd, TimePoint deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<Milliseconds>(deadline - Clock::now()).count();
    pollfd waiting{fd, POLLOUT, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(std::clamp<int64_t>(left, 0, 60'000)));
    if (ready < 0 && errno != EINTR) return errno;
    if (ready > 0) break;
    if (left <= 0) return ETIMEDOUT;
  }
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

// Returns the socket, or -1 with errno set.
int connect_one(const addrinfo& address, TimePoint deadline) {
  const int fd = socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  int error = ::connect(fd, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) error = wait_for_connection(fd, deadline);
  if (error == 0) return fd;
  close(fd);
  errno = error;
  return -1;
}

size_t count(const addrinfo* address) {
  size_t found = 0;
  for (; address != nullptr; address = address->ai_next) ++found;
  return found;
}

}  // namespace

Result<int> connect_to(const std::string& host, int port, TimePoint deadline) {
  const Result<Addresses> addresses = addresses_of(host, port, deadline);
  if (!addresses) return Failure(addresses.error());
  const addrinfo* first = addresses->get();
  std::string failures;
  for (const addrinfo* at = first; at != nullptr; at = at->ai_next) {
    const TimePoint now = Clock::now();
    const auto share = std::max(Duration::zero(), deadline - now) / count(at);
    const int fd = connect_one(*at, now + share);
    if (fd >= 0) return fd;
    const std::string why = errno == ETIMEDOUT ? "no answer in time" : strerror(errno);
    if (first->ai_next == nullptr) return retry(why);
    failures += (failures.empty() ? "" : "; ") + text_of(*at) + ": " + why;
  }
  return retry("none of the addresses of " + host + " can be reached (" + failures + ")");
}

bool is_address(const std::string& host) {
  std::array<unsigned char, 16> bytes{};
  return inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

}  // namespace walspout
