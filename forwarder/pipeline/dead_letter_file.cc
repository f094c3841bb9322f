#include "pipeline/dead_letter_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "base/folder.h"

namespace walspout {

namespace {

constexpr std::string_view kSentPrefix = "{\"sent\":1,";
constexpr std::string_view kNewSuffix = ".replay";

// Offsets of bytes that serve as locks.
enum class Lock : off_t { kLines, kReplay };

Failure could_not(std::string_view what, const std::string& path) {
  return retry("could not " + std::string(what) + " the dead letter file: " + std::strerror(errno),
               path);
}

int lock_file(int fd, Lock lock, bool wait) {
  struct flock range = {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = static_cast<off_t>(lock);
  range.l_len = 1;
  int result;
  do {
    result = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &range);
  } while (result != 0 && errno == EINTR);
  return result;
}

void unlock_file(int fd, Lock lock) {
  struct flock range = {};
  range.l_type = F_UNLCK;
  range.l_whence = SEEK_SET;
  range.l_start = static_cast<off_t>(lock);
  range.l_len = 1;
  fcntl(fd, F_OFD_SETLK, &range);
}

// Whether the path still leads to this open file.
bool is_current(int fd, const std::string& path) {
  struct stat ours = {};
  struct stat named = {};
  return fstat(fd, &ours) == 0 && ::stat(path.c_str(), &named) == 0 &&
         ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

// A device has nothing to sync.
bool sync_data(int fd) {
  return fdatasync(fd) == 0 || errno == EINVAL || errno == EROFS;
}

}  // namespace

// Appending ---------------------------------------------------------------------------------------

Result<std::unique_ptr<DeadLetterFile>> DeadLetterFile::open(std::string path,
                                                             std::string pipeline) {
  std::unique_ptr<DeadLetterFile> file(new DeadLetterFile(std::move(path), std::move(pipeline)));
  Result<void> opened = file->open_and_lock();
  if (!opened) return Failure(std::move(opened.error()));
  unlock_file(file->fd_, Lock::kLines);
  if (!sync_folder_of(file->path_)) return could_not("sync the folder of", file->path_);
  return file;
}

Result<void> DeadLetterFile::check(const std::string& path) {
  if (!can_open_to_append(path)) return could_not("open", path);
  return {};
}

DeadLetterFile::~DeadLetterFile() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> DeadLetterFile::open_and_lock() {
  while (true) {
    const bool made = fd_ < 0;
    if (made) fd_ = open_to_append(path_, 0600);
    if (fd_ < 0) return could_not("open", path_);
    if (lock_file(fd_, Lock::kLines, true) != 0) return could_not("lock", path_);
    if (is_current(fd_, path_)) return {};
    ::close(fd_);  // this also unlocks
    fd_ = -1;
  }
}

Result<void> DeadLetterFile::put(const Event& event, std::string_view sink, const Error& reason) {
  const std::string line = dead_letter_line(event, pipeline_, sink, reason);
  std::lock_guard guard(mutex_);
  Result<void> outcome = open_and_lock();
  if (!outcome) return outcome;
  outcome = append(line);
  unlock_file(fd_, Lock::kLines);
  return outcome;
}

Result<void> DeadLetterFile::append(std::string_view line) {
  const off_t end = lseek(fd_, 0, SEEK_END);
  // A line truncated by a crash must not swallow the next line.
  char last = '\n';
  if (end > 0 && pread(fd_, &last, 1, end - 1) != 1) last = '\n';
  if ((last != '\n' && !write_all(fd_, "\n")) || !write_all(fd_, line)) {
    Failure failure = could_not("write to", path_);
    // The whole line will be written again.
    if (end >= 0 && ftruncate(fd_, end) != 0) return failure;
    return failure;
  }
  if (!sync_data(fd_)) return could_not("sync", path_);
  return {};
}

// Replaying ---------------------------------------------------------------------------------------

Result<std::unique_ptr<DeadLetterReplay>> DeadLetterReplay::open(const std::string& name) {
  // Replaces the target of a symbolic link, not the link.
  std::unique_ptr<char, decltype(&std::free)> real(realpath(name.c_str(), nullptr), std::free);
  if (!real) return fatal(std::string("there is no such file: ") + std::strerror(errno), name);
  const std::string path = real.get();
  while (true) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) return fatal(std::string("could not open the file: ") + std::strerror(errno), path);
    FILE* stream = fdopen(fd, "r+");
    if (!stream) {
      ::close(fd);
      return could_not("open", path);
    }
    std::unique_ptr<DeadLetterReplay> replay(new DeadLetterReplay(path, fd, stream));
    if (lock_file(fd, Lock::kReplay, false) != 0) {
      if (errno != EAGAIN && errno != EACCES) return could_not("lock", path);
      return retry("another replay of this file is under way: wait until it has ended", path);
    }
    // While the lock is free, the file has only whole lines.
    if (lock_file(fd, Lock::kLines, true) != 0) return could_not("lock", path);
    struct stat status = {};
    const bool known = fstat(fd, &status) == 0;
    unlock_file(fd, Lock::kLines);
    if (!known) return could_not("look at", path);
    if (!is_current(fd, path)) continue;  // another replay has just ended
    if (!S_ISREG(status.st_mode)) return fatal("this is no regular file", path);
    replay->size_ = static_cast<uint64_t>(status.st_size);
    return replay;
  }
}

DeadLetterReplay::~DeadLetterReplay() {
  std::fclose(stream_);  // this also closes fd_
  std::free(buffer_);
}

Result<bool> DeadLetterReplay::next(Line& line) {
  if (next_ >= size_) return false;
  const ssize_t length = getline(&buffer_, &capacity_, stream_);
  if (length <= 0) return could_not("read", path_);
  begin_ = next_;
  next_ += static_cast<uint64_t>(length);
  line.number = ++number_;
  line.text = std::string_view(buffer_, static_cast<size_t>(length));
  if (line.text.ends_with('\n')) line.text.remove_suffix(1);
  any_sent_ = any_sent_ || line.text.starts_with(kSentPrefix);
  return true;
}

Result<void> DeadLetterReplay::mark_sent() {
  any_sent_ = true;
  const char sent = '1';
  if (pwrite(fd_, &sent, 1, static_cast<off_t>(begin_ + kSentDigit)) != 1 || !sync_data(fd_)) {
    return could_not("mark a line as sent in", path_);
  }
  return {};
}

Result<void> DeadLetterReplay::remove_sent() {
  if (!any_sent_) return {};
  const std::string name = path_ + std::string(kNewSuffix);
  if (lock_file(fd_, Lock::kLines, true) != 0) return could_not("lock", path_);
  Result<void> outcome;
  struct stat status = {};
  ::unlink(name.c_str());  // left by a replay that was killed
  const int fd = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  FILE* to = fd < 0 ? nullptr : fdopen(fd, "w");
  if (!to) {
    outcome = could_not("make another file beside", path_);
  } else if (fstat(fd_, &status) != 0 || fchown(fd, status.st_uid, status.st_gid) != 0 ||
             fchmod(fd, status.st_mode & 07777) != 0) {
    outcome = could_not("make another file with the owner of", path_);
  } else {
    outcome = copy_unsent(fd_, to);
    if (outcome && (std::fflush(to) != 0 || fsync(fd) != 0)) outcome = could_not("rewrite", path_);
  }
  if (outcome && !is_current(fd_, path_)) {
    outcome = retry("the file was moved away or replaced meanwhile: it is left as it is", path_);
  }
  if (outcome && ::rename(name.c_str(), path_.c_str()) != 0) outcome = could_not("replace", path_);
  if (outcome && !sync_folder_of(path_)) outcome = could_not("sync the folder of", path_);
  if (!outcome) ::unlink(name.c_str());
  if (to) std::fclose(to);
  unlock_file(fd_, Lock::kLines);
  return outcome;
}

Result<void> DeadLetterReplay::copy_unsent(int from, FILE* to) const {
  std::array<char, 65536> block;
  bool at_begin = true;  // of a line
  bool copying = true;
  for (off_t at = 0;;) {
    // Any block works that is long enough to recognise a line.
    const ssize_t length = pread(from, block.data(), block.size(), at);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return could_not("read", path_);
    if (length == 0) return {};
    std::string_view rest(block.data(), static_cast<size_t>(length));
    const bool last_block = rest.size() < block.size();
    while (!rest.empty()) {
      if (at_begin) {
        // The block ends within the prefix: read again from here.
        if (rest.size() < kSentPrefix.size() && !last_block) break;
        copying = !rest.starts_with(kSentPrefix);
      }
      const size_t end = rest.find('\n');
      at_begin = end != std::string_view::npos;
      const std::string_view piece = rest.substr(0, at_begin ? end + 1 : rest.size());
      if (copying && std::fwrite(piece.data(), 1, piece.size(), to) != piece.size()) {
        return could_not("rewrite", path_);
      }
      rest.remove_prefix(piece.size());
      at += static_cast<off_t>(piece.size());
    }
  }
}

}  // namespace walspout
