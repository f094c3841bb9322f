// Events as lines of a file: one document a line, on disk before they count as delivered.
//
// A file always consists of whole lines. What a failed write left behind is cut off at once; what
// a crash left behind, when the file is opened the next time. So it has one writer at a time, which
// holds a lock on it.
//
// A renamed file is left at once, also without reopen(): events count as delivered only in a file
// that still has its name after they are on disk. So what compresses a renamed file need not wait.
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
  // Makes no file and changes none. `walspout check` calls this, perhaps as root, and a file of
  // root would be closed to the forwarder. A file that another process writes to is warned of
  // only: that process may be the forwarder.
  [[nodiscard]] Result<void> check(const SourceState& source, TimePoint deadline) override;
  std::vector<std::string> warnings() const override { return warnings_; }
  // A disk cannot be hurried: the deadline is looked at between writes only.
  [[nodiscard]] Delivery deliver(std::span<const Event> events, TimePoint deadline,
                                 Progress& progress) override;
  // After some seconds with nothing to write the file is let go: a forwarder that was thought dead
  // and now waits for the slot must not keep it from the one that has it.
  void idle() override;
  // The file of that name from now on, for log rotation. On error the next delivery tries again.
  [[nodiscard]] Result<void> reopen() override;

 private:
  enum class Place {
    kHere,     // the open file is the one of that name
    kMoved,    // it has another name
    kRemoved,  // it has none
  };

  [[nodiscard]] Result<void> open();
  // Cuts off what is not a whole line; the length of what remains.
  [[nodiscard]] Result<off_t> prepare(int fd) const;
  [[nodiscard]] Result<void> append(std::span<const Event> events, TimePoint deadline);
  [[nodiscard]] Result<void> sync() const;
  [[nodiscard]] Result<Place> place() const;
  [[nodiscard]] Result<void> follow();
  // Appends and syncs, until that was done in a file of that name.
  [[nodiscard]] Result<void> write(std::span<const Event> events, TimePoint deadline);
  // Takes back what was written beyond `size`. If that fails, the next open() does it.
  void take_back();
  void close();

  FileConfig config_;
  int fd_ = -1;
  int idle_ = 0;                       // calls of idle() since the last delivery
  off_t size_ = 0;                     // of what is whole and durable
  std::vector<std::string> warnings_;  // of the last check
};

}  // namespace walspout
