// Lines on their way into a pipe that may not be read: what is not written yet, and of which event
// it is.
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
  // Whether it takes another line now.
  bool has_room() const { return body_.empty() && output_.size() - sent_ < kRoom; }
  bool empty() const { return body_.empty() && output_.size() == sent_; }

  // Takes a line, for which there is room; numbers grow. A long line stays where it is until it is
  // written, or until keep_bytes().
  void add(uint64_t number, std::string_view line);
  void keep_bytes();

  // What is to be written next; and that so much of it was.
  std::string_view front() const;
  void wrote(size_t bytes);

  // Whether the line of that number, and its end, are written.
  bool is_written(uint64_t number) const {
    return lines_.empty() || number < lines_.front().number;
  }

  // Drops the lines of which nothing is written; their numbers.
  std::vector<uint64_t> take_back();
  void clear();

 private:
  static constexpr size_t kRoom = 128 * 1024;
  static constexpr size_t kLong = 64 * 1024;  // of a line that is not copied

  struct Line {
    uint64_t number;
    uint64_t begin;  // counted from the first byte of all
    uint64_t end;
  };

  std::string output_;     // whole lines, the first of them from where it was written to
  size_t sent_ = 0;        // bytes of output_
  std::string_view body_;  // a long line behind them, without its end
  std::string kept_body_;
  uint64_t written_ = 0;  // bytes, of all
  uint64_t queued_ = 0;   // likewise
  std::deque<Line> lines_;
};

}  // namespace walspout
