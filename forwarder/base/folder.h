// Folders, as far as durability is concerned. A file that is new or renamed survives a crash only
// if its folder was written to disk, too.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

namespace walspout {

inline std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

// Writes the folder of the file `path` to disk. False, with errno, if that fails.
inline bool sync_folder_of(const std::string& path) {
  const int fd = ::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool synced = fsync(fd) == 0;
  ::close(fd);
  return synced;
}

// Writes `text` and the file to disk. False, with errno, if that fails.
inline bool write_synced(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return fsync(fd) == 0;
}

// Replaces the file `path` by one with `text`. After a crash the file is the old one or the new
// one. False, with errno, if that fails.
inline bool replace_file(const std::string& path, std::string_view text) {
  // Two processes may take turns, so each has a temporary file of its own.
  const std::string temporary = path + "." + std::to_string(getpid());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  bool replaced = write_synced(fd, text);
  int why = errno;
  ::close(fd);
  if (replaced) {
    replaced = std::rename(temporary.c_str(), path.c_str()) == 0 && sync_folder_of(path);
    why = errno;
  }
  if (replaced) return true;
  ::unlink(temporary.c_str());
  errno = why;
  return false;
}

// Whether this process may create files in the folder. False, with errno, if it may not.
inline bool can_write_folder(const std::string& folder) {
  const std::string inside = folder + "/";  // the slash makes a plain file fail
  return ::faccessat(AT_FDCWD, inside.c_str(), W_OK | X_OK, AT_EACCESS) == 0;
}

// Opens a file for appending, and creates it if it does not exist. -1 and errno on error. The
// kernel may deny O_CREAT to root for another user's file in /tmp: so the first try is without it.
inline int open_to_append(const std::string& path, mode_t mode) {
  constexpr int kFlags = O_RDWR | O_APPEND | O_CLOEXEC;
  const int fd = ::open(path.c_str(), kFlags);
  return fd >= 0 || errno != ENOENT ? fd : ::open(path.c_str(), kFlags | O_CREAT, mode);
}

// Whether open_to_append() would succeed, as far as can be seen without creating the file. The
// check creates none, because other users could not open a file of root's. False, with errno, if it
// would fail.
inline bool can_open_to_append(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC);
  if (fd >= 0) ::close(fd);
  if (fd >= 0 || errno != ENOENT) return fd >= 0;
  if (path.empty()) return false;
  if (path.back() == '/') {
    errno = EISDIR;
    return false;
  }
  // A link that leads nowhere yet: its file is created where the link points to.
  std::array<char, PATH_MAX> buffer;
  const ssize_t length = ::readlink(path.c_str(), buffer.data(), buffer.size());
  if (length <= 0) return can_write_folder(folder_of(path));
  const std::string target(buffer.data(), static_cast<size_t>(length));
  return can_open_to_append(target.front() == '/' ? target : folder_of(path) + "/" + target);
}

// The file that a path leads to, in one spelling. Follows links, also those whose file does not
// exist yet. Returns the path itself if that fails.
inline std::string resolved(const std::string& path) {
  namespace fs = std::filesystem;
  constexpr int kMostLinks = 40;  // as in the kernel
  std::error_code error;
  fs::path found = path;
  for (int i = 0; i < kMostLinks && fs::is_symlink(found, error); i++) {
    const fs::path target = fs::read_symlink(found, error);
    found = target.is_absolute() ? target : found.parent_path() / target;
  }
  const fs::path whole = fs::weakly_canonical(fs::absolute(found, error), error);
  return error || whole.empty() ? path : whole.string();
}

}  // namespace walspout
