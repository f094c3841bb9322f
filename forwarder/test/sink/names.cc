#include "test/sink/names.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <map>
#include <mutex>

namespace walspout::test {
namespace {

using Resolve = int (*)(const char*, const char*, const addrinfo*, addrinfo**);

std::mutex mutex;
std::map<std::string, std::vector<std::string>>& names() {
  static std::map<std::string, std::vector<std::string>> known;
  return known;
}

std::condition_variable ended;
std::map<std::string, int>& silent() {
  static std::map<std::string, int> waiting;
  return waiting;
}

// Holds the lock.
void wait_for_end(std::unique_lock<std::mutex>& lock, const std::string& name) {
  const auto found = silent().find(name);
  if (found == silent().end()) return;
  ++found->second;
  ended.wait(lock, [&] { return !silent().contains(name); });
}

int resolve_really(const char* host, const char* service, const addrinfo* hints,
                   addrinfo** result) {
  static const auto real = reinterpret_cast<Resolve>(dlsym(RTLD_NEXT, "getaddrinfo"));
  return real(host, service, hints, result);
}

int resolve(const std::vector<std::string>& addresses, const char* service, const addrinfo* hints,
            addrinfo** result) {
  addrinfo* first = nullptr;
  addrinfo** last = &first;
  for (const std::string& address : addresses) {
    addrinfo* found = nullptr;
    if (resolve_really(address.c_str(), service, hints, &found) != 0) continue;
    *last = found;
    while (*last != nullptr) last = &(*last)->ai_next;
  }
  *result = first;
  return first == nullptr ? EAI_NONAME : 0;
}

}  // namespace

void set_addresses(const std::string& name, std::vector<std::string> addresses) {
  const std::lock_guard lock(mutex);
  names()[name] = std::move(addresses);
}

SilentName::SilentName(std::string name) : name_(std::move(name)) {
  const std::lock_guard lock(mutex);
  silent()[name_] = 0;
}

SilentName::~SilentName() {
  const std::lock_guard lock(mutex);
  silent().erase(name_);
  ended.notify_all();
}

int SilentName::asked() const {
  const std::lock_guard lock(mutex);
  return silent()[name_];
}

Listener::Listener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(listen(fd_, 16), 0);
  EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
  port_ = ntohs(address.sin_port);
}

Listener::~Listener() {
  close(fd_);
}

// A listener whose queue is full.
SilentPort::SilentPort(const std::string& address, int port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  EXPECT_EQ(inet_pton(AF_INET, address.c_str(), &to.sin_addr), 1);
  const auto* where = reinterpret_cast<const sockaddr*>(&to);
  const auto make = [&] {
    sockets_.push_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    return sockets_.back();
  };
  const int listener = make();
  EXPECT_EQ(bind(listener, where, sizeof to), 0);
  EXPECT_EQ(listen(listener, 0), 0);
  for (int tries = 0; tries < 64; ++tries) {
    const int fd = make();
    if (connect(fd, where, sizeof to) == 0) continue;
    pollfd waiting{fd, POLLOUT, 0};
    if (poll(&waiting, 1, 300) == 0) return;
  }
  ADD_FAILURE() << "the queue of a listener never fills";
}

SilentPort::~SilentPort() {
  for (const int fd : sockets_) close(fd);
}

}  // namespace walspout::test

extern "C" __attribute__((visibility("default"))) int getaddrinfo(const char* host,
                                                                  const char* service,
                                                                  const addrinfo* hints,
                                                                  addrinfo** result) {
  using namespace walspout::test;
  std::vector<std::string> addresses;
  bool known = false;
  const bool is_address = hints != nullptr && (hints->ai_flags & AI_NUMERICHOST) != 0;
  if (host != nullptr && !is_address) {
    std::unique_lock lock(mutex);
    wait_for_end(lock, host);
    const auto found = names().find(host);
    known = found != names().end();
    if (known) addresses = found->second;
  }
  return known ? resolve(addresses, service, hints, result)
               : resolve_really(host, service, hints, result);
}
