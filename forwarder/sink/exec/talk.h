// A program's standard error: lines for the log, and the last lines for errors. A program may write
// anything, without end.
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
  // `mask` hides secrets in all output.
  explicit ExecTalk(Mask mask = {}) : mask_(std::move(mask)) {}

  // Sends each line to `listener`, printable and cut. Limits the lines per second: a separate line
  // counts those left out.
  void listen(std::function<void(std::string_view)> listener) { listener_ = std::move(listener); }

  void add(std::string_view bytes, TimePoint now);
  // The program has ended: also takes an unfinished last line.
  void end(TimePoint now);
  // The last lines since the start: `; it said: "...", "..."`. Empty: it said nothing.
  std::string last_lines() const;
  // The beginning of any text of the program, printable and masked.
  std::string show(std::string_view text, size_t most) const;
  // A new program starts.
  void forget() { last_.clear(); }

 private:
  void line(TimePoint now);
  void tell(std::string_view line) const {
    if (listener_) listener_(line);
  }

  const Mask mask_;
  std::function<void(std::string_view)> listener_;
  std::string line_;
  bool cut_ = false;  // line_ is only the line's beginning
  std::deque<std::string> last_;
  TimePoint second_;   // when the count began
  uint64_t told_ = 0;  // lines in that second
  uint64_t untold_ = 0;
};

}  // namespace walspout
