// A file with the end of each stream, kept over restarts. Redis may restart with less than it had
// confirmed, and Redis itself cannot detect that.
//
// A stream's line has a fixed length, and is overwritten before an event counts as delivered. So
// the file has what a killed process had acknowledged. With calls of sync(), notes are on disk a
// second later at the latest.
//
// Delivery never depends on the file. A file that cannot be written is removed, because an old file
// could raise a false alarm. A later note re-creates it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "sink/redis/entry.h"

namespace walspout {

// The end of a stream that Redis has confirmed.
struct RedisEnd {
  RedisId id;
  uint64_t added = 0;  // entries that were ever added to it; 0: unknown
};

class RedisMemory {
 public:
  // `path` empty: nothing is kept.
  explicit RedisMemory(std::string path) : path_(std::move(path)) {}
  ~RedisMemory();
  RedisMemory(const RedisMemory&) = delete;
  RedisMemory& operator=(const RedisMemory&) = delete;

  // Reads the file if it belongs to `owner`: the server, its database and the source. The next note
  // replaces a file of another owner. Error: kFatal, a file that this process may not read.
  [[nodiscard]] Result<void> open(const std::string& owner);
  bool is_kept() const { return !path_.empty() && !owner_.empty(); }

  // All known streams.
  std::vector<std::string> streams() const;

  // The known end of a stream; zeros: unknown.
  RedisEnd of(const std::string& stream) const;

  void note(const std::string& stream, const RedisEnd& end);

  // Syncs notes to disk, at most once a second.
  void sync();

 private:
  struct Line {
    RedisEnd end;
    int64_t offset = -1;  // in the file; -1: not there yet
  };

  void read(std::string_view text);
  [[nodiscard]] bool create();
  [[nodiscard]] bool write(const std::string& stream, Line& line);
  void remove();

  const std::string path_;
  std::string owner_;
  int fd_ = -1;
  int64_t size_ = 0;
  bool unsynced_ = false;
  TimePoint synced_at_{};
  TimePoint retry_at_{};  // after a failure
  std::unordered_map<std::string, Line> lines_;
};

}  // namespace walspout
