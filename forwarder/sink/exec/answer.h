// What a program answers: a line of JSON for each event. Strict: an answer that is not understood
// may be one that says no. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace walspout {

// {"id":"..."}, or {"id":"...","error":"...","kind":"retry"}.
struct ExecAnswer {
  std::string id;
  std::optional<std::string> error;  // none: the program has the event
  bool reject = false;               // the event will never be accepted
};

// Reads a line without its end. Error: what is wrong with the line, for people.
[[nodiscard]] tl::expected<ExecAnswer, std::string> parse_exec_answer(std::string_view line);

// The beginning of a text from elsewhere, so that it can be printed anywhere: what is no printable
// character becomes \xNN, and what is beyond `most` bytes becomes "...".
[[nodiscard]] std::string printable(std::string_view text, size_t most);

// Lines out of bytes that come in pieces. A line that grows too long stops it.
class ExecLines {
 public:
  explicit ExecLines(size_t longest) : longest_(longest) {}

  // Takes bytes in, after what next() has left.
  void add(std::string_view bytes);
  // The next whole line, without its end; valid until add() is called. Nothing: no line is whole.
  std::optional<std::string_view> next();
  // What has come of a line that is not whole.
  std::string_view rest() const { return std::string_view(text_).substr(begin_); }
  // The line is too long, whether it is whole or not.
  bool is_too_long() const { return too_long_; }
  void clear();

 private:
  const size_t longest_;
  std::string text_;
  size_t begin_ = 0;    // of the next line
  size_t scanned_ = 0;  // no line ends before
  bool too_long_ = false;
};

}  // namespace walspout
