// The one queue of a pipeline, between the thread that reads the source and those that deliver:
// chunks in the order of the stream, bounded by their bytes, one cursor for each sink.
//
// A chunk is kept until every sink is done with it, and freed by the thread of the last one. The
// reader asks for room before it reads, and pushes whatever it has read: the bound may be passed by
// one message.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "stream/chunk.h"
#include "stream/fence.h"
#include "stream/gather.h"
#include "stream/only.h"
#include "stream/sink.h"
#include "stream/tap.h"

namespace walspout {

class EventQueue {
 public:
  // `wake` is called, on a sink's thread, when room was asked for and there was none, and there is
  // some again, and at each progress once `wake_always` is set. It must not call back.
  EventQueue(size_t sinks, size_t capacity_bytes, std::function<void()> wake);

  // Reader's side ------------------------------------------------------------------------------

  // Whether more may be read. If not, wake() will be called when there is room.
  bool has_room();

  // Takes a chunk that has events. Sinks that wait hear of it by announce(), which the reader calls
  // when it has pushed all that it had: a wake-up costs more than a chunk. Many sinks hear of
  // events that come close together at intervals: announce() then says when to call it again.
  // While there is no room, and with `at_once`, there is no such delay.
  // `open`: the transaction of its last event goes on.
  void push(Chunk chunk, bool open = false);
  // That transaction has ended, without another event.
  void transaction_ended();
  // Before anything is pushed: shows what is pushed to those who watch. It outlives the queue.
  void show(Tap& tap) { tap_ = &tap; }
  std::optional<TimePoint> announce(bool at_once = false);

  // How many events, counted from the first ever pushed, all sinks are done with.
  uint64_t handled() const;

  void wake_always();

  // What was pushed is not to be delivered any more: it counts as handled. How many events some
  // sink was not done with. What a sink has in hands lives until it calls done().
  uint64_t discard();

  // Before anything is pushed: a sink gets only those events. All others are done with at once, but
  // for those behind an event that the sink has in hands.
  void only(size_t sink, const OnlyConfig& config);

  // Sinks' side --------------------------------------------------------------------------------

  // Fills `batch` with what is there for a sink, without waiting for more: within the limits (but
  // at least one event), and cut so that a barrier is alone. Waits up to `patience` for a first
  // event; an empty batch means that none came, that only others came than the sink wants, that the
  // queue was closed, or that what the sink has in hands was discarded. The events live until
  // done(). Returns how many events were passed over.
  size_t take(size_t sink, BatchLimits limits, Duration patience, std::vector<Event>& batch);

  // Likewise, for a sink that can take nothing now and has nothing in hands: passes over what is in
  // front of the first event that it wants, and does not wait.
  size_t pass_over(size_t sink);

  // Whether take() would find something now, or pass over something.
  bool has_more(size_t sink) const;

  // Whether more of the last event's transaction is to come, and the reader has room to read that.
  bool goes_on(size_t sink) const;

  // The sink is done with all that it took.
  void done(size_t sink);
  // The sink is done with what the first call of take() gave it, of several since done().
  void done_first(size_t sink);

  // Whether what the sink took was discarded meanwhile.
  bool is_discarded(size_t sink) const;

  // Whether the sink may begin to deliver, or go on to deliver, what it took. Does not wait: the
  // fence can be waited for.
  bool may_deliver(size_t sink) { return !is_discarded(sink) && fence_.passable(); }

  // Both ---------------------------------------------------------------------------------------

  // Keeps sinks from delivering while the slot is not known to be ours.
  Fence& fence() { return fence_; }

  // take() returns nothing from now on.
  void close();
  bool closed() const;

  size_t bytes() const;  // of chunks that some sink is not done with
  size_t capacity() const { return capacity_; }
  uint64_t pushed() const;  // events ever
  // The first commit time among the events that are kept. A message of its own has none, and counts
  // from when it was pushed. 0: there are no events.
  int64_t oldest_commit() const;
  uint64_t handled(size_t sink) const;

 private:
  struct Place {
    uint64_t taken;  // events ever, before it
    uint64_t chunk;  // that it is in
  };
  struct Cursor {
    uint64_t chunk = 0;       // absolute number of the chunk that holds the next event
    size_t event = 0;         // in it
    uint64_t taken = 0;       // events ever
    uint64_t done = 0;        // events ever
    uint64_t done_chunk = 0;  // chunks before this one are done with
    std::deque<Place> takes;  // where each call of take() has ended, of what is in hands
    std::optional<Only> only;
  };
  uint64_t handled_locked() const;
  static void advance(Cursor& cursor, const Chunk& chunk);
  size_t pass_over(Cursor& cursor) const;
  bool finish(Cursor& cursor, std::vector<Chunk>& freed);
  bool finish(Cursor& cursor, const Place& end, std::vector<Chunk>& freed);
  bool holds_discarded(const Cursor& cursor) const;
  void skip_discarded(Cursor& cursor) const;
  void drop_handled(std::vector<Chunk>& freed);

  const size_t capacity_;
  const std::function<void()> wake_;
  Tap* tap_ = nullptr;
  Fence fence_;
  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Chunk> chunks_;
  std::deque<int64_t> since_;  // of each of them: what oldest_commit() says
  std::vector<Cursor> cursors_;
  uint64_t first_chunk_ = 0;  // absolute number of chunks_.front()
  uint64_t pushed_ = 0;
  std::atomic<uint64_t> discarded_ = 0;  // events ever: those before this one are
  uint64_t discarded_chunks_ = 0;        // likewise, absolute number
  size_t bytes_ = 0;
  Gather gather_;
  bool open_ = false;      // the transaction of the last event goes on
  bool announced_ = true;  // nothing was pushed since
  bool fresh_ = false;     // something was pushed since announce() was called last
  bool waiting_for_room_ = false;
  bool wake_always_ = false;
  std::atomic<bool> closed_ = false;
};

}  // namespace walspout
