#include "sink/exec/talk.h"

#include "sink/exec/answer.h"

namespace walspout {
namespace {

constexpr size_t kLongest = 2000;  // bytes of a line
constexpr std::string_view kCut = "...";
constexpr uint64_t kMost = 100;  // lines in a second
constexpr size_t kLast = 3;      // lines for errors
constexpr size_t kLastBytes = 200;

}  // namespace

void ExecTalk::add(std::string_view bytes, TimePoint now) {
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    const size_t room = kLongest - line_.size();
    if (part.size() > room) cut_ = true;
    line_ += part.substr(0, room);
    if (end == std::string_view::npos) return;
    line(now);
    bytes.remove_prefix(end + 1);
  }
}

void ExecTalk::end(TimePoint now) {
  if (!line_.empty()) line(now);
  if (untold_ > 0) tell("(" + std::to_string(untold_) + " more lines)");
  untold_ = 0;
}

void ExecTalk::line(TimePoint now) {
  if (!line_.empty() && line_.back() == '\r') line_.pop_back();
  if (now >= second_ + std::chrono::seconds(1)) {
    if (untold_ > 0) tell("(" + std::to_string(untold_) + " more lines)");
    second_ = now;
    told_ = untold_ = 0;
  }
  const bool is_no_change = told_ < kMost;
  if (is_no_change) {
    ++told_;
    tell(show(cut_ ? line_.append(kCut) : line_, kLongest + kCut.size()));
  } else {
    ++untold_;
  }
  last_.push_back(show(line_, kLastBytes));
  if (last_.size() > kLast) last_.pop_front();
  line_.clear();
  cut_ = false;
}

// The mask finds a cut secret by the dots behind it.
std::string ExecTalk::show(std::string_view text, size_t most) const {
  if (text.size() <= kLongest + kCut.size()) return printable(mask_.apply(std::string(text)), most);
  return printable(mask_.apply(std::string(text.substr(0, kLongest)).append(kCut)), most);
}

std::string ExecTalk::last_lines() const {
  std::string words;
  for (const std::string& line : last_) {
    words += (words.empty() ? "; it said last: \"" : "\", \"") + line;
  }
  return words.empty() ? words : words + "\"";
}

}  // namespace walspout
