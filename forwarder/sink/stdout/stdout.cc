#include "sink/stdout/stdout.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

namespace walspout {
namespace {

constexpr size_t kBuffer = 64 * 1024;

// A file takes any number of bytes at once. If poll() reports a pipe or a terminal as writable, a
// write of PIPE_BUF bytes does not block.
size_t most_at_once(int fd) {
  struct stat status = {};
  const bool file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  return file ? SSIZE_MAX : PIPE_BUF;
}

}  // namespace

StdoutSink::StdoutSink(const StdoutConfig&, int fd) : fd_(fd) {}

Result<void> StdoutSink::check(const SourceState&, TimePoint) {
  if (fcntl(fd_, F_GETFD) >= 0) return {};
  return fatal("standard output is closed: redirect it to where the events shall go", "stdout");
}

Result<void> StdoutSink::write(std::string_view& text, TimePoint deadline) const {
  const size_t most = most_at_once(fd_);
  while (!text.empty()) {
    const auto left = std::chrono::ceil<Milliseconds>(deadline - Clock::now()).count();
    pollfd out = {fd_, POLLOUT, 0};
    const int ready = poll(&out, 1, static_cast<int>(std::clamp<int64_t>(left, 0, 60'000)));
    if (ready == 0 && left <= 0) {
      return retry("nothing reads: the pipe stayed full until the deadline", "stdout");
    }
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    const ssize_t written = ::write(fd_, text.data(), std::min(text.size(), most));
    if (written >= 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EPIPE || errno == EBADF) {
      return gone("the reader of standard output has closed the pipe", "stdout");
    } else if (errno != EAGAIN && errno != EINTR) {
      return retry(std::string("could not write: ") + strerror(errno), "stdout");
    }
  }
  return {};
}

Result<void> StdoutSink::write_lines(std::span<const Event> events, TimePoint deadline,
                                     Progress& progress) {
  for (size_t next = 0; next < events.size();) {
    buffer_.clear();
    size_t last = next;
    while (last < events.size() && buffer_.size() < kBuffer) {
      buffer_ += events[last++].document;
      buffer_ += '\n';
    }
    std::string_view text = buffer_;
    auto written = write(text, deadline);
    size_t begin = 0;  // of the next line in the buffer
    const size_t through = buffer_.size() - text.size();
    for (; next < last; ++next) {
      const size_t end = begin + events[next].document.size() + 1;
      if (end > through) break;
      progress.durable(next);
      begin = end;
    }
    if (written) continue;
    if (next < last && begin < through) {
      unfinished_ = buffer_.substr(through, begin + events[next].document.size() + 1 - through);
    }
    return written;
  }
  return {};
}

Delivery StdoutSink::deliver(std::span<const Event> events, TimePoint deadline,
                             Progress& progress) {
  if (events.empty()) return {};
  std::string_view rest = unfinished_;
  auto outcome = write(rest, deadline);
  unfinished_.erase(0, unfinished_.size() - rest.size());
  if (outcome) outcome = write_lines(events, deadline, progress);
  if (outcome) return {};
  return tl::unexpected(DeliveryError{std::move(outcome.error()), 0, std::nullopt});
}

}  // namespace walspout
