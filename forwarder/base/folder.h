// Folders, as far as durability is concerned: a file that is new, or has a new name, is found after
// a crash only if its folder was written, too.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <string>

namespace walspout {

// Writes the folder that `path` is in to disk. False, with errno, if that cannot be done.
inline bool sync_folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool synced = fsync(fd) == 0;
  ::close(fd);
  return synced;
}

}  // namespace walspout
