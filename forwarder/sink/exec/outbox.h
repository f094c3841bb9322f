// Lines that wait for a pipe that may not be read: the bytes not written yet, and their events.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace walspout {

class ExecOutbox {
 public:
  // Whether there is room for another line.
  bool has_room() const { return body_.empty() && output_.size() - sent_ < kRoom; }
  bool empty() const { return body_.empty() && output_.size() == sent_; }

  // Adds a line; requires has_room(). Numbers must grow. A long line is not copied: it must stay
  // valid until it is written, or until keep_bytes().
  void add(uint64_t number, std::string_view line);
  void keep_bytes();

  // front(): the bytes to write next. wrote(): so many of them were written.
  std::string_view front() const;
  void wrote(size_t bytes);

  // Whether the line of that number, and its end, are written.
  bool is_written(uint64_t number) const {
    return lines_.empty() || number < lines_.front().number;
  }

  // Drops the lines of which nothing is written, and returns their numbers.
  std::vector<uint64_t> take_back();
  void clear();

 private:
  static constexpr size_t kRoom = 128 * 1024;
  static constexpr size_t kLong = 64 * 1024;  // a line from this size on is not copied

  struct Line {
    uint64_t number;
    uint64_t begin;  // counted from the first byte ever
    uint64_t end;
  };

  std::string output_;     // lines; the first may have lost its written part
  size_t sent_ = 0;        // bytes of output_
  std::string_view body_;  // a long line behind output_, without its end
  std::string kept_body_;
  uint64_t written_ = 0;  // bytes, since the start
  uint64_t queued_ = 0;   // likewise
  std::deque<Line> lines_;
};

}  // namespace walspout
