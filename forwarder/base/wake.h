// Wakes a thread that polls. Any thread may call it, and a signal handler, too.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

namespace walspout {

class Wake {
 public:
  Wake() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~Wake() { ::close(fd_); }
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;

  void operator()() const {
    uint64_t one = 1;
    [[maybe_unused]] ssize_t written = ::write(fd_, &one, sizeof(one));
  }

  // Forgets earlier calls.
  void clear() const {
    uint64_t count;
    [[maybe_unused]] ssize_t got = ::read(fd_, &count, sizeof(count));
  }

  int fd() const { return fd_; }

 private:
  int fd_;
};

}  // namespace walspout
