#include "sink/redis/memory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/folder.h"

namespace walspout {
namespace {

constexpr std::string_view kHeader = "walspout streams 1 ";
constexpr size_t kNumber = 20;              // digits of a number of 64 bits
constexpr size_t kFixed = 3 * kNumber + 3;  // "<lsn>-<index> <added> "
constexpr Duration kSync = std::chrono::seconds(1);

// A stream's name may have any bytes, but a line must have no line ends in it.
std::string escaped(std::string_view name) {
  std::string text;
  for (const char c : name) {
    if (c == '\n') {
      text += "\\n";
    } else if (c == '\\') {
      text += "\\\\";
    } else {
      text += c;
    }
  }
  return text;
}

std::string unescaped(std::string_view text) {
  std::string name;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      name += text[i];
    } else {
      name += text[++i] == 'n' ? '\n' : text[i];
    }
  }
  return name;
}

std::string fixed(const RedisEnd& end) {
  std::array<char, kFixed + 1> text;
  snprintf(text.data(), text.size(), "%020llu-%020llu %020llu ",
           static_cast<unsigned long long>(end.id.lsn),
           static_cast<unsigned long long>(end.id.index),
           static_cast<unsigned long long>(end.added));
  return {text.data(), kFixed};
}

bool parse_number(std::string_view text, uint64_t& number) {
  const char* last = text.data() + text.size();
  return std::from_chars(text.data(), last, number).ptr == last;
}

// False: the line was cut when the machine lost its power.
bool parse(std::string_view line, RedisEnd& end) {
  return line.size() > kFixed && line[kNumber] == '-' && line[2 * kNumber + 1] == ' ' &&
         line[kFixed - 1] == ' ' && parse_number(line.substr(0, kNumber), end.id.lsn) &&
         parse_number(line.substr(kNumber + 1, kNumber), end.id.index) &&
         parse_number(line.substr(2 * kNumber + 2, kNumber), end.added);
}

bool write_all(int fd, std::string_view text, int64_t offset) {
  while (!text.empty()) {
    const ssize_t written = pwrite(fd, text.data(), text.size(), offset);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
    offset += written;
  }
  return true;
}

}  // namespace

RedisMemory::~RedisMemory() {
  if (fd_ >= 0) close(fd_);
}

Result<void> RedisMemory::open(const std::string& owner) {
  if (path_.empty() || owner == owner_) return {};
  owner_ = owner;
  lines_.clear();
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  std::ifstream file(path_, std::ios::binary);
  if (!file && access(path_.c_str(), F_OK) == 0) {
    owner_.clear();
    return fatal(
        "could not read what is remembered of the streams: " + std::string(strerror(errno)) +
            ". Let this process read and write the file, or remove it",
        path_);
  }
  std::stringstream text;
  if (file) text << file.rdbuf();
  read(text.str());
  return {};
}

void RedisMemory::read(std::string_view text) {
  const std::string header = std::string(kHeader) + escaped(owner_) + "\n";
  if (!text.starts_with(header)) return;
  for (size_t begin = header.size(); begin < text.size();) {
    const size_t stop = text.find('\n', begin);
    if (stop == text.npos) break;
    const std::string_view line = text.substr(begin, stop - begin);
    RedisEnd end;
    if (parse(line, end)) {
      Line& known = lines_[unescaped(line.substr(kFixed))];
      if (end.id > known.end.id) known.end = end;
    }
    begin = stop + 1;
  }
}

std::vector<std::string> RedisMemory::streams() const {
  std::vector<std::string> names;
  for (const auto& [name, line] : lines_) names.push_back(name);
  return names;
}

RedisEnd RedisMemory::of(const std::string& stream) const {
  const auto found = lines_.find(stream);
  return found == lines_.end() ? RedisEnd{} : found->second.end;
}

void RedisMemory::note(const std::string& stream, const RedisEnd& end) {
  if (!is_kept()) return;
  Line& line = lines_[stream];
  if (line.end.id == end.id) return;
  line.end = end;
  if (fd_ < 0 && Clock::now() < retry_at_) return;
  const bool written = fd_ >= 0 ? write(stream, line) : create();
  unsynced_ = unsynced_ || written;
  if (!written) remove();
}

bool RedisMemory::write(const std::string& stream, Line& line) {
  if (line.offset >= 0) return write_all(fd_, fixed(line.end), line.offset);
  const std::string text = fixed(line.end) + escaped(stream) + "\n";
  line.offset = size_;
  size_ += static_cast<int64_t>(text.size());
  return write_all(fd_, text, line.offset);
}

// Replaces the file by a new one with all known streams.
bool RedisMemory::create() {
  const std::string temporary = path_ + "." + std::to_string(getpid());
  fd_ = ::open(temporary.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd_ < 0) return false;
  const std::string header = std::string(kHeader) + escaped(owner_) + "\n";
  size_ = static_cast<int64_t>(header.size());
  bool written = write_all(fd_, header, 0);
  for (auto& [stream, line] : lines_) {
    line.offset = -1;
    written = written && write(stream, line);
  }
  if (written && fsync(fd_) == 0 && std::rename(temporary.c_str(), path_.c_str()) == 0) {
    return sync_folder_of(path_);
  }
  unlink(temporary.c_str());
  return false;
}

void RedisMemory::remove() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  unlink(path_.c_str());
  retry_at_ = Clock::now() + kSync;
}

void RedisMemory::sync() {
  if (!unsynced_ || fd_ < 0) return;
  const TimePoint now = Clock::now();
  if (now < synced_at_ + kSync) return;
  synced_at_ = now;
  unsynced_ = false;
  if (fdatasync(fd_) != 0) remove();
}

}  // namespace walspout
