// Whether sinks may deliver now: only while the slot is known to be ours.
//
// When the stream is lost, another forwarder may get the slot and deliver. This process may notice
// that late, if it was stopped, suspended with its machine, or cut off from the server. So a sink
// asks before it begins anything. A delivery may begin under three conditions. The stream is open,
// the connection has not ended, and the server has shown signs of life within a lease. The lease is
// shorter than the time after which the server would end our connection. Data already handed to a
// receiver cannot be taken back.
//
// An arriving event is a sign of life, so neither an idle nor a busy pipeline waits here.
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

// The decisions by time. Pure: callers pass the time of a clock that continues while the machine is
// suspended.
class Lease {
 public:
  // `server_timeout`: how long the server waits after our last message (0: for ever). That message
  // may be a third of this time older than the server's last message.
  static Duration length_for(Duration server_timeout) {
    constexpr Duration kMost = std::chrono::seconds(1);
    if (server_timeout <= Duration::zero()) return kMost;
    return std::min<Duration>(kMost, server_timeout / 3);
  }

  explicit Lease(Duration length) : length_(length) {}

  // Heard so recently that nothing can have happened since.
  bool is_new(TimePoint heard, TimePoint now) const { return now - heard <= kNew; }

  bool is_over(TimePoint heard, TimePoint now) const { return now - heard > length_; }

  // Whether this process did not run between two looks at the clock. Some thread looks every
  // second. Data that the source reads afterwards may be old, and is no sign of life.
  static bool was_frozen(TimePoint before, TimePoint now) { return now - before > kFrozen; }

  // Whether to request another sign of life, so that it arrives before the lease is over.
  bool is_to_renew(TimePoint heard, TimePoint now) const { return now - heard > length_ / 2; }

 private:
  static constexpr Duration kNew = std::chrono::milliseconds(2);
  static constexpr Duration kFrozen = std::chrono::milliseconds(2500);

  Duration length_;
};

// Synchronized. Before the first close(), every delivery may begin.
class Fence {
 public:
  // `wake` is called on a sink's thread when a sign of life is wanted.
  explicit Fence(std::function<void()> wake) : wake_(std::move(wake)) {}
  ~Fence();
  Fence(const Fence&) = delete;
  Fence& operator=(const Fence&) = delete;

  // Source's side ------------------------------------------------------------------------------

  // The stream is lost, or about to be closed.
  void close();

  // The slot is ours, streamed through this socket.
  void open(int socket, Duration lease);

  // The server sent something. After a freeze of this process only `proof` counts: an answer to a
  // question asked since.
  void heard(bool proof = false);

  // Whether only a proof counts now.
  bool is_in_doubt() const { return doubt_.load(); }

  // Whether a sink waits for a sign of life.
  bool wanted() const { return wanted_.load(); }

  // Ends all waits of sinks, now and later.
  void give_up();

  // Any thread calls this about once a second, to detect a freeze of this process. False: it was
  // just frozen.
  bool tick();

  // Sinks' side --------------------------------------------------------------------------------

  // Whether a delivery may begin. Does not wait; at most one system call.
  bool passable();

  // The same, but waits up to `patience`.
  bool wait(Duration patience);

  // Whether the stream is lost, so that another process may get the slot.
  bool is_closed();

  // How many times the slot became ours.
  uint64_t term() const { return term_.load(); }

 private:
  bool ended() const;

  const std::function<void()> wake_;
  std::mutex mutex_;
  std::condition_variable changed_;
  enum class State { kNone, kClosed, kOpen } state_ = State::kNone;
  int socket_ = -1;  // a duplicate, because the original's number may be reused
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
