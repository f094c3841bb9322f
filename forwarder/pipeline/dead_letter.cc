#include "pipeline/dead_letter.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/json.h"

namespace walspout {

namespace {

void member(std::string& line, std::string_view name, std::string_view text) {
  append_json(line, name);
  line += ':';
  append_json(line, text);
  line += ',';
}

void member(std::string& line, std::string_view name, uint64_t number) {
  append_json(line, name);
  line += ':';
  line += std::to_string(number);
  line += ',';
}

Failure could_not(std::string_view what, const std::string& path) {
  return retry("could not " + std::string(what) + " the dead letter file: " + std::strerror(errno),
               path);
}

}  // namespace

std::string dead_letter_line(const Event& event, std::string_view pipeline, std::string_view sink,
                             const Error& reason) {
  std::string line;
  line.reserve(event.document.size() + 512);
  line += '{';
  member(line, "id", EventId(event));
  member(line, "pipeline", pipeline);
  member(line, "sink", sink);
  member(line, "reason", reason.message());
  member(line, "op", std::string_view(&event.op, 1));
  member(line, "schema", event.schema());
  member(line, "table", event.table_name());
  member(line, "commit_time", static_cast<uint64_t>(event.commit_time));
  member(line, "key_hash", event.key_hash);
  member(line, "key_begin", event.key_begin);
  member(line, "key_size", event.key_size);
  member(line, "barrier", static_cast<uint64_t>(event.barrier));
  line += "\"document\":";
  line += event.document;
  line += "}\n";
  return line;
}

Result<std::unique_ptr<DeadLetterFile>> DeadLetterFile::open(std::string path,
                                                             std::string pipeline) {
  int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return could_not("open", path);
  // A line that a crash cut short must not swallow the next one.
  struct stat status;
  char last = '\n';
  if (fstat(fd, &status) == 0 && status.st_size > 0) {
    int reader = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (reader >= 0) {
      if (pread(reader, &last, 1, status.st_size - 1) != 1) last = '\n';
      ::close(reader);
    }
  }
  if (last != '\n' && write(fd, "\n", 1) != 1) {
    ::close(fd);
    return could_not("write to", path);
  }
  return std::unique_ptr<DeadLetterFile>(
      new DeadLetterFile(std::move(path), std::move(pipeline), fd));
}

DeadLetterFile::~DeadLetterFile() {
  ::close(fd_);
}

Result<void> DeadLetterFile::put(const Event& event, std::string_view sink, const Error& reason) {
  std::string line = dead_letter_line(event, pipeline_, sink, reason);
  std::lock_guard lock(mutex_);
  off_t end = lseek(fd_, 0, SEEK_END);
  std::string_view rest = line;
  while (!rest.empty()) {
    ssize_t written = write(fd_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      Failure failure = could_not("write to", path_);
      // The line will be written again, whole.
      if (end >= 0 && ftruncate(fd_, end) != 0) return failure;
      return failure;
    }
    rest.remove_prefix(static_cast<size_t>(written));
  }
  if (fdatasync(fd_) != 0 && errno != EINVAL && errno != EROFS) return could_not("sync", path_);
  return {};
}

}  // namespace walspout
