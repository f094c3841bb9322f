// The file of dead letters: `walspout run` appends to it, `walspout replay` takes out what it has
// delivered, both at the same time if need be.
//
// A program that appends, or puts another file into its place, holds a lock on it meanwhile (of the
// record kind, which NFS knows, too), and makes sure first that the file is still the one of that
// name. So no line gets into a file that is about to go. A second lock keeps replays apart.
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
  // Creates the file, for its owner only, if need be; what is there is kept.
  static Result<std::unique_ptr<DeadLetterFile>> open(std::string path, std::string pipeline);
  // Whether open() would succeed. Makes nothing.
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

// The lines that were in a file when it was opened, one after the other; those that are marked as
// sent go when it is rewritten.
class DeadLetterReplay {
 public:
  struct Line {
    uint64_t number = 0;    // from 1
    std::string_view text;  // without its line break; until the next one is read
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

  // Puts a file without the lines that are marked into the file's place: written, synced, renamed.
  // What was appended since the file was opened is in it. On error the file is as it was.
  Result<void> remove_sent();

  uint64_t size() const { return size_; }      // of the lines there were, in bytes
  uint64_t position() const { return next_; }  // of the line to read next

 private:
  DeadLetterReplay(std::string path, int fd, FILE* stream)
      : path_(std::move(path)), fd_(fd), stream_(stream) {}

  Result<void> copy_unsent(int from, FILE* to) const;

  const std::string path_;
  int fd_;
  FILE* stream_;  // reads what fd_ is of
  uint64_t size_ = 0;
  uint64_t begin_ = 0;  // of the line read last
  uint64_t next_ = 0;
  uint64_t number_ = 0;
  bool any_sent_ = false;
  char* buffer_ = nullptr;  // getline's
  size_t capacity_ = 0;
};

}  // namespace walspout
