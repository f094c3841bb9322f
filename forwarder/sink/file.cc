#include "sink/file.h"

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

}  // namespace

void FileSink::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<int> FileSink::open_file() const {
  const int fd = ::open(config_.path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd < 0) return failed("open the file", config_.path);
  struct stat status {};
  Result<void> good;
  if (fstat(fd, &status) != 0) {
    good = failed("look at the file", config_.path);
  } else if (!S_ISREG(status.st_mode)) {
    // A pipe or a device has nothing to cut and nothing to sync.
    good = fatal("this is no regular file. For a pipe use a sink of the type stdout", config_.path);
  }
  if (good) return fd;
  ::close(fd);
  return Failure(std::move(good.error()));
}

Result<off_t> FileSink::prepare(int fd) const {
  // Two writers would cut off each other's lines. Where a file system has no locks there are none.
  if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return retry(
        "another process or sink writes to this file: give each a path of its own, or end the "
        "other one",
        config_.path);
  }
  struct stat status {};
  if (fstat(fd, &status) != 0) return failed("look at the file", config_.path);
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

Result<void> FileSink::open() {
  const auto opened = open_file();
  if (!opened) return Failure(opened.error());
  struct stat now {}, before {};
  if (fd_ >= 0 && fstat(*opened, &now) == 0 && fstat(fd_, &before) == 0 &&
      now.st_dev == before.st_dev && now.st_ino == before.st_ino) {
    ::close(*opened);  // it is the same one still, and locked by us
    return {};
  }
  const auto size = prepare(*opened);
  if (!size) {
    ::close(*opened);
    return Failure(size.error());
  }
  close();
  fd_ = *opened;
  size_ = *size;
  return {};
}

Result<void> FileSink::check(const SourceState&, TimePoint) {
  // It is locked and mended by the first delivery: somebody else may be writing to it now.
  const auto opened = open_file();
  if (!opened) return Failure(opened.error());
  ::close(*opened);
  return {};
}

Result<void> FileSink::reopen() {
  // Opened by the next delivery, too, but an error is told now.
  return open();
}

Result<void> FileSink::sync() const {
  if (config_.fsync && fdatasync(fd_) != 0) return failed("sync the file", config_.path);
  return {};
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
  struct stat status {};
  const bool longer = fstat(fd_, &status) == 0 && status.st_size > size_;
  if (longer && ftruncate(fd_, size_) == 0) static_cast<void>(fdatasync(fd_));
  // After a failed sync the kernel may believe that lost pages are written: open anew.
  close();
}

Delivery FileSink::deliver(std::span<const Event> events, TimePoint deadline, Progress& progress) {
  if (events.empty()) return {};
  Result<void> outcome = fd_ >= 0 ? Result<void>() : open();
  if (outcome) {
    outcome = append(events, deadline);
    if (outcome) outcome = sync();
    if (!outcome) take_back();
  }
  if (!outcome) {
    return tl::unexpected(DeliveryError{std::move(outcome.error()), 0, std::nullopt});
  }
  for (const Event& event : events) size_ += static_cast<off_t>(event.document.size() + 1);
  progress.durable_before(events.size());
  return {};
}

}  // namespace walspout
