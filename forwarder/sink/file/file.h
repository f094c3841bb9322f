// Events as lines of a file: one document a line, on disk before they count as delivered.
//
// A file has only whole lines. Bytes that a failed write left are cut off at once; bytes that a
// crash left, when the file is next opened. So a file has one writer at a time, which holds a lock.
//
// The sink leaves a renamed file at once, also without reopen(). Events count as delivered only in
// a file that still has its name after the sync. So a program may compress a renamed file at once.
#pragma once

#include <sys/types.h>

#include <string>

#include "sink/file/config.h"
#include "stream/sink.h"

namespace walspout {

class FileSink final : public Sink {
 public:
  explicit FileSink(const FileConfig& config) : config_(config) {}
  ~FileSink() override { close(); }
  FileSink(const FileSink&) = delete;
  FileSink& operator=(const FileSink&) = delete;

  std::string_view type() const override { return "file"; }
  std::string_view endpoint() const override { return config_.path; }
  BatchLimits limits() const override { return {.barriers_alone = false}; }
  // Makes no file and changes none: `walspout check` may run as root, and the forwarder could not
  // write root's file. Only warns of another writer, because that may be the forwarder.
  [[nodiscard]] Result<void> check(const SourceState& source, TimePoint deadline) override;
  std::vector<std::string> warnings() const override { return warnings_; }
  // Checks the deadline only between writes, because a write cannot be interrupted.
  [[nodiscard]] Delivery deliver(std::span<const Event> events, TimePoint deadline,
                                 Progress& progress) override;
  // Closes the file after some seconds without events. Otherwise a forwarder that lost the slot and
  // waits for it would block the one that has the slot.
  void idle() override;
  // Opens the file of that name again, for log rotation. After an error the next delivery tries
  // again.
  [[nodiscard]] Result<void> reopen() override;

 private:
  enum class Place {
    kHere,     // the open file has the configured name
    kMoved,    // the open file has another name
    kRemoved,  // the open file has no name
  };

  [[nodiscard]] Result<void> open();
  // Cuts off an unfinished line, and returns the length of the rest.
  [[nodiscard]] Result<off_t> prepare(int fd) const;
  [[nodiscard]] Result<void> append(std::span<const Event> events, TimePoint deadline);
  [[nodiscard]] Result<void> sync() const;
  [[nodiscard]] Result<Place> place() const;
  [[nodiscard]] Result<void> follow();
  // Appends and syncs, until both happened in a file that still has its name.
  [[nodiscard]] Result<void> write(std::span<const Event> events, TimePoint deadline);
  // Cuts off the bytes after `size_`. If that fails, the next open() does it.
  void take_back();
  void close();

  FileConfig config_;
  int fd_ = -1;
  int idle_ = 0;                       // calls of idle() since the last delivery
  off_t size_ = 0;                     // of the durable whole lines
  std::vector<std::string> warnings_;  // of the last check
};

}  // namespace walspout
