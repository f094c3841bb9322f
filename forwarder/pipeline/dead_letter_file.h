// The dead letter file: `walspout run` appends events, `walspout replay` removes delivered events.
// Both may run at the same time.
//
// A program that appends to or replaces the file holds a record lock, which also works on NFS. It
// first checks that the path still leads to the locked file. So no line is written to a file that
// is about to be replaced. A second lock keeps replays apart.
#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/result.h"
#include "pipeline/dead_letter.h"

namespace walspout {

class DeadLetterFile : public DeadLetters {
 public:
  // Creates the file with rights for its owner only, or keeps the existing file.
  static Result<std::unique_ptr<DeadLetterFile>> open(std::string path, std::string pipeline);
  // Whether open() would succeed. Creates nothing.
  static Result<void> check(const std::string& path);
  ~DeadLetterFile() override;
  DeadLetterFile(const DeadLetterFile&) = delete;
  DeadLetterFile& operator=(const DeadLetterFile&) = delete;

  // A file that was moved away is re-created.
  Result<void> put(const Event& event, std::string_view sink, const Error& reason) override;

 private:
  DeadLetterFile(std::string path, std::string pipeline)
      : path_(std::move(path)), pipeline_(std::move(pipeline)) {}

  Result<void> open_and_lock();
  Result<void> append(std::string_view line);

  const std::string path_;
  const std::string pipeline_;
  std::mutex mutex_;
  int fd_ = -1;
};

// Reads the lines that were in the file when it was opened. A rewrite removes the lines marked as
// sent.
class DeadLetterReplay {
 public:
  struct Line {
    uint64_t number = 0;    // from 1
    std::string_view text;  // without its line break; valid until the next call
  };

  // Error: kRetry, another replay is under way; kFatal, there is no such file.
  static Result<std::unique_ptr<DeadLetterReplay>> open(const std::string& path);
  ~DeadLetterReplay();
  DeadLetterReplay(const DeadLetterReplay&) = delete;
  DeadLetterReplay& operator=(const DeadLetterReplay&) = delete;

  // The next line; false at the end.
  Result<bool> next(Line& line);

  // Marks the line read last as sent. Returns when that is on disk.
  Result<void> mark_sent();

  // Replaces the file with one without the marked lines: written, synced, renamed. Keeps lines that
  // were appended since. On an error the old file stays.
  Result<void> remove_sent();

  uint64_t size() const { return size_; }      // of the lines at open(), in bytes
  uint64_t position() const { return next_; }  // of the next line

 private:
  DeadLetterReplay(std::string path, int fd, FILE* stream)
      : path_(std::move(path)), fd_(fd), stream_(stream) {}

  Result<void> copy_unsent(int from, FILE* to) const;

  const std::string path_;
  int fd_;
  FILE* stream_;  // reads fd_
  uint64_t size_ = 0;
  uint64_t begin_ = 0;  // of the last line read
  uint64_t next_ = 0;
  uint64_t number_ = 0;
  bool any_sent_ = false;
  char* buffer_ = nullptr;  // getline's
  size_t capacity_ = 0;
};

}  // namespace walspout
