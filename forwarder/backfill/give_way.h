// How much a backfill reads at a time, so that the stream has priority.
//
// While the stream is idle, a backfill reads as fast as it can. While the stream has events, each
// of them waits until the sinks have handled the rows that were placed in front of it. Then a round
// is so small that the sinks need about kWait for it. The next round begins when the sinks have it.
// A rest follows each round, because reading takes CPU time from everything else. Pure and not
// synchronized.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace walspout {

class GiveWay {
 public:
  static constexpr size_t kMost = 4u << 20;    // bytes of a round
  static constexpr size_t kLeast = 16u << 10;  // likewise
  static constexpr Duration kWait = std::chrono::milliseconds(1);
  static constexpr Duration kLook = std::chrono::milliseconds(250);
  static constexpr uint64_t kBusy = 20;  // events of the stream a second

  // `events`: count of the stream's events so far, without rows of backfills.
  void look(uint64_t events, TimePoint now) {
    if (now < looked_at_ + kLook) return;
    const double seconds = std::chrono::duration<double>(now - looked_at_).count();
    const bool was_busy = busy_;
    busy_ = looked_at_ != TimePoint{} &&
            static_cast<double>(events - events_) >= static_cast<double>(kBusy) * seconds;
    if (busy_ && !was_busy) bytes_ = kLeast;
    events_ = events;
    looked_at_ = now;
  }

  bool is_busy() const { return busy_; }

  // The limit of the next round.
  size_t bytes() const { return busy_ ? bytes_ : kMost; }

  // The sinks needed `time` for a round of `bytes`.
  void handled(size_t bytes, Duration time) {
    if (time > 2 * kWait) {
      bytes_ = std::max(bytes_ / 2, kLeast);
    } else if (time < kWait / 2 && bytes >= bytes_ / 2) {
      bytes_ = std::min(bytes_ * 2, kMost);
    }
  }

  // How long to rest after a round that took `round`.
  static Duration rest(Duration round) { return std::min<Duration>(2 * round, kLongestRest); }

 private:
  static constexpr Duration kLongestRest = std::chrono::milliseconds(200);

  bool busy_ = false;
  size_t bytes_ = kLeast;
  uint64_t events_ = 0;
  TimePoint looked_at_{};
};

}  // namespace walspout
