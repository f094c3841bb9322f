// Host names with addresses that a test chooses, for the whole process. Libraries call
// getaddrinfo(), which names.cc replaces.
#pragma once

#include <string>
#include <vector>

namespace walspout::test {

// From now on the name has these addresses, in this order. None: it is unknown.
void set_addresses(const std::string& name, std::vector<std::string> addresses);

// Lookups of the name wait while this object exists.
class SilentName {
 public:
  explicit SilentName(std::string name);
  ~SilentName();
  SilentName(const SilentName&) = delete;
  SilentName& operator=(const SilentName&) = delete;
  int asked() const;  // number of lookups that wait

 private:
  const std::string name_;
};

// A listener on 127.0.0.1, at a free port, that accepts nothing.
class Listener {
 public:
  Listener();
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  int port() const { return port_; }

 private:
  int fd_;
  int port_ = 0;
};

// A port of this machine that drops all packets.
class SilentPort {
 public:
  SilentPort(const std::string& address, int port);
  ~SilentPort();
  SilentPort(const SilentPort&) = delete;
  SilentPort& operator=(const SilentPort&) = delete;

 private:
  std::vector<int> sockets_;
};

}  // namespace walspout::test
