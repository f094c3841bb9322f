// A program's answers: a line of JSON for each event. The parser is strict, because an unknown
// answer may be a refusal. Pure.
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

// Parses a line without its end. Error: what is wrong with the line.
[[nodiscard]] tl::expected<ExecAnswer, std::string> parse_exec_answer(std::string_view line);

// The beginning of a foreign text, safe to print: other than printable characters become \xNN, and
// "..." replaces what is beyond `most` bytes.
[[nodiscard]] std::string printable(std::string_view text, size_t most);

// Splits bytes that arrive in pieces into lines. A too long line stops it.
class ExecLines {
 public:
  explicit ExecLines(size_t longest) : longest_(longest) {}

  // Appends bytes.
  void add(std::string_view bytes);
  // The next whole line, without its end; valid until add(). Nothing: no line is whole.
  std::optional<std::string_view> next();
  // The beginning of a line that is not whole yet.
  std::string_view rest() const { return std::string_view(text_).substr(begin_); }
  // Whether the line is too long, whole or not.
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
