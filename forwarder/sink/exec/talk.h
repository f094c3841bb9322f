// What a program says beside its answers: lines for the log, and the last of them for errors. A
// program may say anything, without end.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/mask.h"

namespace walspout {

class ExecTalk {
 public:
  // What is secret is hidden in all that is shown.
  explicit ExecTalk(Mask mask = {}) : mask_(std::move(mask)) {}

  // Each line goes to `listener`, printable and cut, but not more than some in a second: what is
  // left out is counted in a line of its own.
  void listen(std::function<void(std::string_view)> listener) { listener_ = std::move(listener); }

  void add(std::string_view bytes, TimePoint now);
  // The program has ended: what it has said last need not be a whole line.
  void end(TimePoint now);
  // The last lines since the start: `; it said: "...", "..."`. Empty: it said nothing.
  std::string last_words() const;
  // The beginning of what the program says anywhere, printable.
  std::string show(std::string_view text, size_t most) const;
  // Another program begins.
  void forget() { last_.clear(); }

 private:
  void line(TimePoint now);
  void tell(std::string_view line) const {
    if (listener_) listener_(line);
  }

  const Mask mask_;
  std::function<void(std::string_view)> listener_;
  std::string line_;
  bool cut_ = false;  // the line is longer than line_
  std::deque<std::string> last_;
  TimePoint second_;   // when the count began
  uint64_t told_ = 0;  // lines in that second
  uint64_t untold_ = 0;
};

}  // namespace walspout
