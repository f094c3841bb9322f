// The queue of a pipeline, between the source's thread and the sinks' threads: chunks in the order
// of the stream, bounded in bytes, with a cursor for each sink.
//
// A chunk is kept until every sink is done with it. The last sink's thread frees it. The reader
// asks for room before it reads, and pushes all that it has read, so one message may exceed the
// bound.
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
  // `wake` is called on a sink's thread when there is room again after has_room() said no. After
  // wake_always() it is called at each progress. It must not call the queue.
  EventQueue(size_t sinks, size_t capacity_bytes, std::function<void()> wake);

  // Reader's side ------------------------------------------------------------------------------

  // Whether more may be read. If not, wake() will be called when there is room.
  bool has_room();

  // Adds a chunk with events. announce() wakes the waiting sinks. The reader calls announce() after
  // it has pushed all that it had, because a wake-up costs more than a chunk. Many sinks are woken
  // at intervals if events are close together: then announce() returns when to call it again. There
  // is no such delay without room or with `at_once`. `open`: the transaction of the last event
  // continues.
  void push(Chunk chunk, bool open = false);
  // The open transaction has ended without another event.
  void transaction_ended();
  // Shows pushed events to `tap`, which outlives the queue. Call it before the first push().
  void show(Tap& tap) { tap_ = &tap; }
  std::optional<TimePoint> announce(bool at_once = false);

  // The number of events, from the first one pushed, that all sinks are done with.
  uint64_t handled() const;

  void wake_always();

  // Discards all pushed events: they count as handled. Returns the number of events that some sink
  // was not done with. Events that a sink holds live until done().
  uint64_t discard();

  // Gives a sink only those events. Others count as done at once, except behind an event that the
  // sink holds. Call it before the first push().
  void only(size_t sink, const OnlyConfig& config);

  // Sinks' side --------------------------------------------------------------------------------

  // Fills `batch` with a sink's next events, within the limits (but at least one event), with
  // barriers alone. Beyond the limits, adds the rest of the tables that were truncated together.
  // Waits up to `patience` for the first event only. The batch stays empty in four
  // cases. No event came, none that the sink wants, the queue was closed, or events that the sink
  // holds were discarded. The events live until done(). Returns the number of skipped events.
  // Appends the numbers of events in each piece to `pieces`. A piece is what can be released alone.
  size_t take(size_t sink, BatchLimits limits, Duration patience, std::vector<Event>& batch,
              std::deque<size_t>* pieces = nullptr);

  // For a sink that can take nothing now and holds no events: skips events up to the first that it
  // wants. Does not wait. Returns the number of skipped events.
  size_t pass_over(size_t sink);

  // Whether take() would find or skip an event now.
  bool has_more(size_t sink) const;

  // Whether the last event's transaction continues, and the rest can come while the sink holds what
  // it holds. `after_release`: while it holds only that transaction. Other sinks may have to catch
  // up first. True if that is unknown: the queue was closed, or events that the sink holds were
  // discarded.
  bool transaction_continues(size_t sink, bool after_release = false) const;

  // The sink is done with all that it took.
  void done(size_t sink);
  // The sink is done with the first pieces that it took since done().
  void done_first(size_t sink, size_t pieces);

  // Whether events that the sink holds were discarded.
  bool is_discarded(size_t sink) const;

  // Whether the sink may begin or continue to deliver what it took. Does not wait; fence().wait()
  // does.
  bool may_deliver(size_t sink) { return !is_discarded(sink) && fence_.passable(); }

  // Both ---------------------------------------------------------------------------------------

  // Blocks deliveries unless the slot is known to be ours.
  Fence& fence() { return fence_; }

  // take() returns nothing from now on.
  void close();
  bool closed() const;

  size_t bytes() const;  // of chunks that a sink is not done with
  size_t capacity() const { return capacity_; }
  uint64_t pushed() const;  // events so far
  // The first commit time of the kept events. A non-transactional message counts from its push. 0:
  // there are no events.
  int64_t oldest_commit() const;
  uint64_t handled(size_t sink) const;

 private:
  struct Place {
    uint64_t taken;  // number of events before this place
    uint64_t chunk;  // chunk of this place
  };
  struct Cursor {
    uint64_t chunk = 0;       // absolute number of the next event's chunk.
    size_t event = 0;         // index in that chunk.
    uint64_t taken = 0;       // number of events taken so far.
    uint64_t done = 0;        // number of events done so far.
    uint64_t done_chunk = 0;  // earlier chunks are done.
    std::deque<Place> takes;  // the ends of the pieces that the sink holds.
    std::optional<Only> only;
  };
  uint64_t handled_locked() const;
  uint64_t held_bytes(const Cursor& cursor) const;
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
  std::deque<int64_t> since_;   // for each chunk: its oldest_commit()
  std::deque<uint64_t> until_;  // for each chunk: the bytes of all chunks up to its end
  std::vector<Cursor> cursors_;
  uint64_t first_chunk_ = 0;  // absolute number of chunks_.front()
  uint64_t pushed_ = 0;
  std::atomic<uint64_t> discarded_ = 0;  // number of the first event not discarded
  uint64_t discarded_chunks_ = 0;        // likewise: absolute number of the chunk
  size_t bytes_ = 0;
  uint64_t pushed_bytes_ = 0;
  Gather gather_;
  bool open_ = false;      // the transaction of the last event continues
  bool announced_ = true;  // nothing was pushed since the last wake-up
  bool fresh_ = false;     // something was pushed since the last announce()
  bool waiting_for_room_ = false;
  bool wake_always_ = false;
  std::atomic<bool> closed_ = false;
};

}  // namespace walspout
