// Text that must not be printed: it has no conversion to a string and no operator to write it.
//
// A secret in a file can be read again, so a password may change while the program runs.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "base/result.h"

namespace walspout {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}

  // The content of a file without the line breaks at its end; nothing if it cannot be read.
  static std::optional<Secret> from_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream content;
    if (file) content << file.rdbuf();
    if (!file || !content) return std::nullopt;
    Secret secret(without_line_end(content.str()));
    secret.file_ = path;
    return secret;
  }

  // For the one place that passes the secret to a library.
  const std::string& reveal() const { return value_; }
  bool empty() const { return value_.empty(); }

  // The file it came from; empty: no file.
  const std::string& file() const { return file_; }

  // The file's new content; nothing if it did not change, or if there is no file to read again. An
  // error if the file cannot be read, or is empty, perhaps because it is being written. Does not
  // wait.
  Result<std::optional<Secret>> reread() const {
    if (file_.empty()) return std::nullopt;
    const int fd = ::open(file_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return cannot_be_read(std::strerror(errno));
    struct stat status = {};
    // A pipe can be read only once.
    const bool regular = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    std::string content;
    std::array<char, 4096> buffer;
    ssize_t got = 0;
    while (regular && (got = ::read(fd, buffer.data(), buffer.size())) != 0) {
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) break;
      content.append(buffer.data(), static_cast<size_t>(got));
    }
    const int why = errno;
    ::close(fd);
    if (!regular) return std::nullopt;
    if (got < 0) return cannot_be_read(std::strerror(why));
    content = without_line_end(std::move(content));
    if (content.empty() && !value_.empty()) return cannot_be_read("it is empty");
    if (content == value_) return std::nullopt;
    Secret changed(std::move(content));
    changed.file_ = file_;
    return changed;
  }

 private:
  static std::string without_line_end(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    return text;
  }

  Failure cannot_be_read(const std::string& why) const {
    return retry("a secret could not be read again, the old one is used: " + why, file_);
  }

  std::string value_;
  std::string file_;
};

}  // namespace walspout
