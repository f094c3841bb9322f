#include "sink/file/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/folder.h"

namespace walspout {
namespace {

constexpr int kIdle = 3;              // calls of idle(), about a second each
constexpr int kRotations = 5;         // during one delivery
constexpr int kLooks = 20;            // attempts to find the next file, or to get a lock
constexpr useconds_t kLook = 5'000;   // microseconds between looks
constexpr size_t kLinesAtOnce = 256;  // two pieces each; writev takes 1024

Failure failed(std::string_view doing, const std::string& path) {
  const int why = errno;
  std::string what = "could not " + std::string(doing) + ": " + strerror(why);
  switch (why) {
    case ENOENT:
      return fatal(what + ". Create the directory", path);
    case EACCES:
    case EPERM:
    case EROFS:
      return fatal(what + ". Give this process's user the right to write there", path);
    case EISDIR:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
      return fatal(what + ". Correct path", path);
    case ENOSPC:
    case EDQUOT:
      return retry(what + ". Make room; events wait meanwhile", path);
    default:
      return retry(what, path);
  }
}

// A pipe or a device can neither be cut nor synced.
Failure not_regular(const std::string& path) {
  return fatal("this is no regular file. For a pipe use a sink of the type stdout", path);
}

// The length of the file's whole lines. -1 and errno on error.
off_t whole_lines(int fd, off_t size) {
  std::array<char, 4096> block;
  while (size > 0) {
    const off_t begin =
        (size - 1) / static_cast<off_t>(block.size()) * static_cast<off_t>(block.size());
    const ssize_t length = pread(fd, block.data(), static_cast<size_t>(size - begin), begin);
    if (length < 0) return -1;
    const void* newline = memrchr(block.data(), '\n', static_cast<size_t>(length));
    if (newline != nullptr) return begin + (static_cast<const char*>(newline) - block.data()) + 1;
    size = begin;
  }
  return 0;
}

bool is_same_file(int a, int b) {
  struct stat one = {};
  struct stat other = {};
  return a >= 0 && b >= 0 && fstat(a, &one) == 0 && fstat(b, &other) == 0 &&
         one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

// Whether another open file has the writer's lock. Takes the lock itself for a moment.
bool is_locked(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return false;
  const bool locked = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(fd);
  return locked;
}

// Takes the writer's lock. Waits a moment, in case is_locked() has it.
bool lock(int fd) {
  for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
    if (errno != EWOULDBLOCK || i == kLooks) return false;
    usleep(kLook);
  }
  return true;
}

}  // namespace

void FileSink::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<void> FileSink::open() {
  const int fd = open_to_append(config_.path, 0640);
  if (fd < 0) return failed("open the file", config_.path);
  if (is_same_file(fd, fd_)) {
    ::close(fd);
    return {};
  }
  // Two writers would cut off each other's lines.
  if (!lock(fd)) {
    const bool taken = errno == EWOULDBLOCK;
    Failure failure = failed("lock the file", config_.path);
    ::close(fd);
    if (!taken) return failure;
    return retry(
        "another process, or another sink, writes to this file: give each a file of its own",
        config_.path);
  }
  const auto size = prepare(fd);
  if (!size) {
    ::close(fd);
    return Failure(size.error());
  }
  close();
  fd_ = fd;
  size_ = *size;
  return {};
}

Result<off_t> FileSink::prepare(int fd) const {
  struct stat status = {};
  if (fstat(fd, &status) != 0) return failed("look at the file", config_.path);
  if (!S_ISREG(status.st_mode)) return not_regular(config_.path);
  const off_t whole = whole_lines(fd, status.st_size);
  if (whole < 0) return failed("read the file", config_.path);
  if (whole < status.st_size && ftruncate(fd, whole) != 0) {
    return failed("cut off the line that a crash left unfinished", config_.path);
  }
  if (config_.fsync && !sync_folder_of(config_.path)) {
    return failed("sync the directory", config_.path);
  }
  return whole;
}

Result<void> FileSink::check(const SourceState&, TimePoint) {
  warnings_.clear();
  if (fd_ >= 0) return {};
  struct stat status = {};
  const bool is_there = stat(config_.path.c_str(), &status) == 0;
  if (is_there && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) {
    return not_regular(config_.path);
  }
  if (!can_open_to_append(config_.path)) return failed("open the file", config_.path);
  if (is_there && is_locked(config_.path)) {
    warnings_.emplace_back(
        "another process has locked the file, and nothing is delivered while it does. If that "
        "process is not the forwarder of this configuration, give each a file of its own");
  }
  return {};
}

void FileSink::idle() {
  if (++idle_ >= kIdle) close();
}

Result<void> FileSink::reopen() {
  // The next delivery would also open the file, but report an error now.
  return open();
}

Result<void> FileSink::sync() const {
  if (config_.fsync && fdatasync(fd_) != 0) return failed("sync the file", config_.path);
  return {};
}

Result<FileSink::Place> FileSink::place() const {
  struct stat ours = {};
  struct stat named = {};
  if (fstat(fd_, &ours) != 0) return failed("look at the file", config_.path);
  const bool is_named = ::stat(config_.path.c_str(), &named) == 0;
  if (is_named && ours.st_dev == named.st_dev && ours.st_ino == named.st_ino) return Place::kHere;
  return ours.st_nlink == 0 ? Place::kRemoved : Place::kMoved;
}

// Opens the file of that name if the open one was renamed. A rotating program itself creates the
// next file a moment after the rename, and may fail if one exists. So wait for that file.
Result<void> FileSink::follow() {
  const auto now = place();
  if (!now) return Failure(now.error());
  if (*now != Place::kMoved) return {};
  for (int i = 0; i < kLooks && access(config_.path.c_str(), F_OK) != 0; i++) {
    usleep(kLook);
  }
  return open();
}

// If a file still has its name after the sync, a later rename finds all lines in it. So a program
// that compresses the renamed file reads them. Lines that went into a renamed file are written
// again.
Result<void> FileSink::write(std::span<const Event> events, TimePoint deadline) {
  for (int i = 0; i < kRotations; i++) {
    Result<void> outcome = fd_ >= 0 ? follow() : open();
    if (!outcome) return outcome;
    outcome = append(events, deadline);
    if (outcome) outcome = sync();
    const Result<Place> now = outcome ? place() : Place::kHere;
    if (outcome && !now) outcome = Failure(now.error());
    if (outcome && *now == Place::kRemoved) {
      outcome = retry(
          "the file was removed while events were written: they go into a new file of that name. "
          "Events that were written before are gone with the old one; rename a file to rotate it",
          config_.path);
    }
    if (!outcome) take_back();
    if (!outcome || *now == Place::kHere) return outcome;
  }
  return retry("the file is renamed again and again while it is written", config_.path);
}

Result<void> FileSink::append(std::span<const Event> events, TimePoint deadline) {
  static char newline = '\n';
  std::array<iovec, 2 * kLinesAtOnce> pieces;
  while (!events.empty()) {
    const size_t lines = std::min(events.size(), kLinesAtOnce);
    size_t left = 0;
    for (size_t i = 0; i < lines; ++i) {
      const std::string_view document = events[i].document;
      pieces[2 * i] = {const_cast<char*>(document.data()), document.size()};
      pieces[2 * i + 1] = {&newline, 1};
      left += document.size() + 1;
    }
    std::span<iovec> rest(pieces.data(), 2 * lines);
    while (left > 0) {
      if (Clock::now() > deadline)
        return retry("the disk is slow: not all was written in time", config_.path);
      const ssize_t written = writev(fd_, rest.data(), static_cast<int>(rest.size()));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return failed("write", config_.path);
      left -= static_cast<size_t>(written);
      for (size_t gone = static_cast<size_t>(written); gone > 0;) {
        const size_t part = std::min(gone, rest.front().iov_len);
        rest.front().iov_base = static_cast<char*>(rest.front().iov_base) + part;
        rest.front().iov_len -= part;
        gone -= part;
        if (rest.front().iov_len == 0) rest = rest.subspan(1);
      }
    }
    events = events.subspan(lines);
  }
  return {};
}

void FileSink::take_back() {
  struct stat status = {};
  const bool longer = fstat(fd_, &status) == 0 && status.st_size > size_;
  if (longer && ftruncate(fd_, size_) == 0) static_cast<void>(fdatasync(fd_));
  // After a failed sync the kernel may believe that lost pages are written: open again.
  close();
}

Delivery FileSink::deliver(std::span<const Event> events, TimePoint deadline, Progress& progress) {
  if (events.empty()) return {};
  idle_ = 0;
  Result<void> outcome = write(events, deadline);
  if (!outcome) {
    return tl::unexpected(DeliveryError{std::move(outcome.error()), 0, std::nullopt});
  }
  for (const Event& event : events) size_ += static_cast<off_t>(event.document.size() + 1);
  progress.durable_before(events.size());
  return {};
}

}  // namespace walspout
