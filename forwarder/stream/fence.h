// Whether sinks may deliver now: only while the slot is known to be ours.
//
// When the stream is lost another forwarder may get the slot, and deliver. This process may learn
// that late: it may have been stopped, or suspended with its machine, or cut off from the server.
// So a sink asks before it begins anything. It may go on if the stream is open, if nothing has
// ended the connection, and if the server has shown signs of life within a lease. The lease is
// shorter than the time after which the server would give us up. What was already handed to a
// receiver cannot be taken back.
//
// An event that arrives is a sign of life: neither an idle nor a busy pipeline ever waits here.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

#include "base/clock.h"

namespace walspout {

// The part that decides by time. Pure: it is told what time it is, by a clock that goes on while
// the machine is suspended.
class Lease {
 public:
  // The server waits for us so long (0: for ever) since the last that it heard of us, and that may
  // be a third of this time before the last that we heard of it.
  static Duration length_for(Duration server_timeout) {
    constexpr Duration kMost = std::chrono::seconds(1);
    if (server_timeout <= Duration::zero()) return kMost;
    return std::min<Duration>(kMost, server_timeout / 3);
  }

  explicit Lease(Duration length) : length_(length) {}

  // Just now: nothing can have happened since.
  bool is_new(TimePoint heard, TimePoint now) const { return now - heard <= kNew; }

  bool is_over(TimePoint heard, TimePoint now) const { return now - heard > length_; }

  // Whether this process was stopped, or did not come to run, between two looks at the clock. Some
  // thread looks every second. What the source reads after that may have been waiting for long, and
  // is no sign of life.
  static bool was_frozen(TimePoint before, TimePoint now) { return now - before > kFrozen; }

  // Whether it is time for another sign of life, so that it comes before the lease is over.
  bool is_to_renew(TimePoint heard, TimePoint now) const { return now - heard > length_ / 2; }

 private:
  static constexpr Duration kNew = std::chrono::milliseconds(2);
  static constexpr Duration kFrozen = std::chrono::milliseconds(2500);

  Duration length_;
};

// Synchronized. Unless it was closed once, everything may pass.
class Fence {
 public:
  // `wake` is called, on a sink's thread, when a sign of life is wanted.
  explicit Fence(std::function<void()> wake) : wake_(std::move(wake)) {}
  ~Fence();
  Fence(const Fence&) = delete;
  Fence& operator=(const Fence&) = delete;

  // Source's side ------------------------------------------------------------------------------

  // The stream is lost, or about to be given up.
  void close();

  // The slot is ours, through this socket.
  void open(int socket, Duration lease);

  // The server was heard. Does not count after this process was frozen, unless it is `proof`: an
  // answer to a question that was asked since.
  void heard(bool proof = false);

  // Whether only a proof counts now.
  bool is_in_doubt() const { return doubt_.load(); }

  // Whether a sink wants to know that.
  bool wanted() const { return wanted_.load(); }

  // No sink is to wait any more.
  void give_up();

  // Any thread's side: about once a second, so that it shows when this process was frozen. False:
  // it was, just now.
  bool tick();

  // Sinks' side --------------------------------------------------------------------------------

  // Whether a delivery may begin. Does not wait; costs a system call at most.
  bool passable();

  // The same, but waits up to `patience` for it.
  bool wait(Duration patience);

  // How often the slot became ours.
  uint64_t term() const { return term_.load(); }

 private:
  bool ended() const;

  const std::function<void()> wake_;
  std::mutex mutex_;
  std::condition_variable changed_;
  enum class State { kNone, kClosed, kOpen } state_ = State::kNone;
  int socket_ = -1;  // a duplicate: the number of the other may be given to another one
  Lease lease_{Duration::zero()};
  bool given_up_ = false;
  std::atomic<TimePoint::rep> heard_{0};
  std::atomic<TimePoint::rep> ticked_{0};
  std::atomic<uint64_t> term_{0};
  std::atomic<bool> doubt_{false};
  std::atomic<bool> wanted_{false};
  std::atomic<int> waiting_{0};
};

}  // namespace walspout
