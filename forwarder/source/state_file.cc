#include "source/state_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <sstream>

#include "base/folder.h"

namespace walspout {

namespace {

constexpr std::string_view kVersion = "1";

Failure could_not(std::string_view what, const std::string& path) {
  return fatal("could not " + std::string(what) + ": " + std::strerror(errno), path);
}

// Parses "lsn end time", as written below.
Received received(const std::string& text) {
  std::istringstream words(text);
  std::string lsn, end;
  int64_t time = 0;
  if (!(words >> lsn >> end >> time)) return {};
  return {parse_lsn(lsn).value_or(Lsn{}), parse_lsn(end).value_or(Lsn{}), time};
}

// Parses lines of "name value".
std::map<std::string, std::string, std::less<>> fields(std::string_view text) {
  std::map<std::string, std::string, std::less<>> found;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    size_t space = line.find(' ');
    if (space != std::string_view::npos)
      found.emplace(line.substr(0, space), line.substr(space + 1));
  }
  return found;
}

}  // namespace

StateFile::StateFile(const std::string& directory, const std::string& pipeline)
    : path_(directory + "/" + pipeline + ".state") {}

Result<void> StateFile::check(const std::string& directory) {
  if (can_write_folder(directory)) return {};
  return retry("could not use the directory of `state`: " + std::string(std::strerror(errno)) +
                   ". Create it, and give this process's user the right to write there",
               directory);
}

Result<std::optional<SlotRecord>> StateFile::read(std::string_view slot) const {
  int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return std::nullopt;
  if (fd < 0) return could_not("open the state file", path_);
  std::array<char, 4096> buffer;
  ssize_t length = ::read(fd, buffer.data(), buffer.size());
  ::close(fd);
  if (length < 0) return could_not("read the state file", path_);
  auto found = fields({buffer.data(), static_cast<size_t>(length)});
  std::optional<Lsn> reported = parse_lsn(found["told"]);
  if (found["walspout"] != kVersion || !reported || found["system"].empty() ||
      found["timeline"].empty()) {
    return fatal("the state file is not one of this program's. Remove it, and start again", path_);
  }
  if (found["slot"] != slot) return std::nullopt;
  return SlotRecord{found["system"],
                    found["timeline"],
                    *reported,
                    parse_lsn(found["began"]).value_or(Lsn{}),
                    received(found["last"]),
                    found["options"]};
}

Result<void> StateFile::write(std::string_view slot, const SlotRecord& record) const {
  SlotRecord latest = record;
  Result<std::optional<SlotRecord>> there = read(slot);
  if (there && *there && (*there)->system == record.system &&
      (*there)->timeline == record.timeline && (*there)->began == record.began) {
    if (latest.reported < (*there)->reported) latest = **there;
  }
  std::string text = "walspout " + std::string(kVersion) + "\nslot " + std::string(slot) +
                     "\nsystem " + latest.system + "\ntimeline " + latest.timeline + "\ntold " +
                     to_string(latest.reported) + "\nbegan " + to_string(latest.began) + "\nlast " +
                     to_string(latest.last.lsn) + " " + to_string(latest.last.end) + " " +
                     std::to_string(latest.last.time) + "\noptions " + latest.options + "\n";
  if (replace_file(path_, text)) return {};
  const int why = errno;
  ::unlink(path_.c_str());
  errno = why;
  return could_not("write the state file", path_);
}

}  // namespace walspout
