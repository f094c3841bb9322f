#include "backfill/restart_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/folder.h"

namespace walspout {

namespace {

constexpr std::string_view kFirst = "walspout backfills 1";

Failure could_not(std::string_view what, const std::string& path) {
  return retry("could not " + std::string(what) +
                   " the file of backfills that begin again: " + std::strerror(errno),
               path);
}

std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  return line;
}

}  // namespace

RestartFile::RestartFile(const std::string& directory, const std::string& pipeline,
                         std::string slot)
    : path_(directory.empty() ? "" : directory + "/" + pipeline + ".backfills"),
      slot_(std::move(slot)) {}

Result<std::set<int64_t>> RestartFile::read() const {
  std::set<int64_t> ids;
  if (path_.empty()) return ids;
  const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return ids;
  if (fd < 0) return could_not("open", path_);
  std::string text;
  std::array<char, 4096> buffer;
  ssize_t length = 0;
  while ((length = ::read(fd, buffer.data(), buffer.size())) > 0) {
    text.append(buffer.data(), static_cast<size_t>(length));
  }
  ::close(fd);
  if (length < 0) return could_not("read", path_);
  std::string_view rest = text;
  if (take_line(rest) != kFirst) {
    return fatal("the file of backfills that begin again is not one of this program's: remove it",
                 path_);
  }
  if (take_line(rest) != slot_) return ids;
  while (!rest.empty()) {
    const std::string_view line = take_line(rest);
    int64_t id = 0;
    std::from_chars(line.data(), line.data() + line.size(), id);
    ids.insert(id);
  }
  return ids;
}

Result<void> RestartFile::write(const std::set<int64_t>& ids) const {
  std::string text = std::string(kFirst) + "\n" + slot_ + "\n";
  for (const int64_t id : ids) text += std::to_string(id) + "\n";
  if (replace_file(path_, text)) return {};
  return could_not("write", path_);
}

void RestartFile::remove() const {
  if (!path_.empty()) ::unlink(path_.c_str());
}

}  // namespace walspout
