// How far each stream was filled, kept in a file over restarts: Redis may come back with less than
// it has confirmed, and only somebody else can know that.
//
// A line for each stream has always the same length, and is overwritten in its place before an
// event counts as delivered. So what a killed process has acknowledged is in the file. On disk it
// is a second later at the latest, as long as sync() is called.
//
// Delivery never depends on the file. One that cannot be written is removed, for an old one would
// raise a false alarm, and is re-created at the next note.
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

// The end of a stream as Redis has confirmed it.
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

  // Reads what is there of `owner`, which says whose streams these are: the server, its database
  // and the source. What the file says of another owner is forgotten at the next note. Error:
  // kFatal, a file that this process may not read.
  [[nodiscard]] Result<void> open(const std::string& owner);
  bool is_kept() const { return !path_.empty() && !owner_.empty(); }

  // All that are known.
  std::vector<std::string> streams() const;

  // What is known of a stream; zero: nothing.
  RedisEnd of(const std::string& stream) const;

  void note(const std::string& stream, const RedisEnd& end);

  // Puts notes on disk, at most once a second.
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
