// Where events go that a sink will not take, when the configuration says so: a file of JSON lines,
// each with the reason, the event's document, and what delivering it again needs.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/result.h"
#include "pipeline/event.h"

namespace walspout {

class DeadLetters {
 public:
  virtual ~DeadLetters() = default;

  // Returns when the event is on disk. Called from any sink's thread.
  virtual Result<void> put(const Event& event, std::string_view sink, const Error& reason) = 0;
};

class DeadLetterFile : public DeadLetters {
 public:
  // Creates the file, for its owner only, if need be; what is there is kept.
  static Result<std::unique_ptr<DeadLetterFile>> open(std::string path, std::string pipeline);
  ~DeadLetterFile() override;
  DeadLetterFile(const DeadLetterFile&) = delete;
  DeadLetterFile& operator=(const DeadLetterFile&) = delete;

  Result<void> put(const Event& event, std::string_view sink, const Error& reason) override;

 private:
  DeadLetterFile(std::string path, std::string pipeline, int fd)
      : path_(std::move(path)), pipeline_(std::move(pipeline)), fd_(fd) {}

  const std::string path_;
  const std::string pipeline_;
  std::mutex mutex_;
  int fd_;
};

// The line that is written, its line break included.
std::string dead_letter_line(const Event& event, std::string_view pipeline, std::string_view sink,
                             const Error& reason);

}  // namespace walspout
