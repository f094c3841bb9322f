#include "stream/queue.h"

#include <algorithm>
#include <utility>

namespace walspout {

namespace {

constexpr size_t kMostLeftOut = 16'384;  // events that one call skips, because others need the lock

// Tables that reference each other can only be truncated together.
bool truncated_together(const Event& one, const Event& next) {
  return one.op == 't' && next.op == 't' && one.lsn == next.lsn;
}

}  // namespace

EventQueue::EventQueue(size_t sinks, size_t capacity_bytes, std::function<void()> wake)
    : capacity_(capacity_bytes),
      wake_(std::move(wake)),
      fence_(wake_),
      cursors_(sinks),
      gather_(sinks) {}

bool EventQueue::has_room() {
  std::lock_guard lock(mutex_);
  waiting_for_room_ = bytes_ >= capacity_;
  return !waiting_for_room_;
}

namespace {

int64_t since(const Chunk& chunk) {
  int64_t first = chunk.events.front().commit_time;
  if (first) return first;
  first = wall_micros();
  for (const Event& event : chunk.events) {
    if (event.commit_time) return std::min(first, event.commit_time);
  }
  return first;
}

}  // namespace

void EventQueue::push(Chunk chunk, bool open) {
  const int64_t time = since(chunk);
  if (tap_ != nullptr && tap_->is_watched()) tap_->see(chunk.events, Clock::now());
  std::lock_guard lock(mutex_);
  bytes_ += chunk.bytes();
  pushed_bytes_ += chunk.bytes();
  until_.push_back(pushed_bytes_);
  pushed_ += chunk.events.size();
  chunks_.push_back(std::move(chunk));
  since_.push_back(time);
  open_ = open;
  announced_ = false;
  fresh_ = true;
}

void EventQueue::transaction_ended() {
  std::lock_guard lock(mutex_);
  open_ = false;
}

std::optional<TimePoint> EventQueue::announce(bool at_once) {
  {
    std::lock_guard lock(mutex_);
    if (announced_) return std::nullopt;
    if (gather_.active()) {
      const TimePoint now = Clock::now();
      if (std::exchange(fresh_, false)) gather_.note_event(now);
      const Duration pause = gather_.pause(now);
      if (pause > Duration::zero() && !at_once && bytes_ < capacity_) return now + pause;
      gather_.note_wake_up(now);
    }
    announced_ = true;
  }
  arrived_.notify_all();
  return std::nullopt;
}

void EventQueue::only(size_t sink, const OnlyConfig& config) {
  std::lock_guard lock(mutex_);
  cursors_[sink].only.emplace(config);
}

void EventQueue::advance(Cursor& cursor, const Chunk& chunk) {
  cursor.taken++;
  if (++cursor.event < chunk.events.size()) return;
  cursor.event = 0;
  cursor.chunk++;
}

// Moves to the next event that the sink wants. Returns the number of skipped events.
size_t EventQueue::pass_over(Cursor& cursor) const {
  size_t others = 0;
  while (cursor.only && cursor.taken < pushed_ && others < kMostLeftOut) {
    const Chunk& chunk = chunks_[cursor.chunk - first_chunk_];
    if (cursor.only->wants(chunk.events[cursor.event], chunk)) break;
    advance(cursor, chunk);
    others++;
  }
  return others;
}

size_t EventQueue::take(size_t sink, BatchLimits limits, Duration patience,
                        std::vector<Event>& batch, std::deque<size_t>* pieces) {
  batch.clear();
  std::vector<Chunk> freed;  // outside the lock: it takes a while
  std::unique_lock lock(mutex_);
  Cursor& cursor = cursors_[sink];
  auto ready = [&] { return closed_ || cursor.taken < pushed_; };
  arrived_.wait_for(lock, patience, ready);
  fence_.tick();
  // Events after the discarded ones must not join a batch with them.
  if (closed_ || holds_discarded(cursor)) return 0;

  const bool has_in_hands = cursor.done < cursor.taken;
  size_t left_out = pass_over(cursor);
  const bool wake = left_out && !has_in_hands && finish(cursor, freed);

  size_t before = 0;  // events of earlier pieces
  const auto end_piece = [&] {
    cursor.takes.push_back({cursor.taken, cursor.chunk});
    if (pieces != nullptr) pieces->push_back(batch.size() - before);
    before = batch.size();
  };
  size_t bytes = 0;
  while (cursor.taken < pushed_ && left_out < kMostLeftOut) {
    const Chunk& chunk = chunks_[cursor.chunk - first_chunk_];
    const Event& event = chunk.events[cursor.event];
    if (!batch.empty()) {
      if (limits.barriers_alone && (event.barrier || batch.front().barrier)) break;
      const bool fits =
          batch.size() < limits.events && bytes + event.document.size() <= limits.bytes;
      if (!fits && !truncated_together(batch.back(), event)) break;
    }
    bytes += event.document.size();
    batch.push_back(event);
    if (cursor.only) cursor.only->took(event);
    const uint64_t current = cursor.chunk;
    advance(cursor, chunk);
    left_out += pass_over(cursor);
    if (cursor.chunk != current) end_piece();
  }
  if (batch.size() > before) end_piece();
  lock.unlock();
  if (wake) wake_();
  return left_out;
}

bool EventQueue::has_more(size_t sink) const {
  std::lock_guard lock(mutex_);
  const Cursor& cursor = cursors_[sink];
  return !closed_ && cursor.taken < pushed_ && !holds_discarded(cursor);
}

bool EventQueue::transaction_continues(size_t sink, bool after_release) const {
  std::lock_guard lock(mutex_);
  const Cursor& cursor = cursors_[sink];
  // The sink must not take what it holds for a complete transaction.
  if (closed_ || holds_discarded(cursor)) return true;
  return open_ && (after_release || held_bytes(cursor) < capacity_);
}

// The bytes of the chunks that a sink is not done with.
uint64_t EventQueue::held_bytes(const Cursor& cursor) const {
  const uint64_t done = cursor.done_chunk - first_chunk_;
  return done == 0 ? bytes_ : pushed_bytes_ - until_[done - 1];
}

size_t EventQueue::pass_over(size_t sink) {
  std::vector<Chunk> freed;
  std::unique_lock lock(mutex_);
  Cursor& cursor = cursors_[sink];
  if (closed_ || cursor.done < cursor.taken) return 0;
  const size_t others = pass_over(cursor);
  const bool wake = others && finish(cursor, freed);
  lock.unlock();
  if (wake) wake_();
  return others;
}

void EventQueue::done(size_t sink) {
  std::vector<Chunk> freed;  // outside the lock: it takes a while
  bool wake = false;
  {
    std::lock_guard lock(mutex_);
    Cursor& cursor = cursors_[sink];
    skip_discarded(cursor);
    wake = finish(cursor, freed);
  }
  if (wake) wake_();
}

void EventQueue::done_first(size_t sink, size_t pieces) {
  std::vector<Chunk> freed;
  bool wake = false;
  {
    std::lock_guard lock(mutex_);
    Cursor& cursor = cursors_[sink];
    pieces = std::min(pieces, cursor.takes.size());
    if (pieces == 0) return;
    const Place end = cursor.takes[pieces - 1];
    cursor.takes.erase(cursor.takes.begin(), cursor.takes.begin() + static_cast<ptrdiff_t>(pieces));
    if (cursor.takes.empty()) skip_discarded(cursor);
    wake = cursor.takes.empty() ? finish(cursor, freed) : finish(cursor, end, freed);
  }
  if (wake) wake_();
}

// The sink is done with all that it took. Returns whether to wake the reader. For `freed` see
// drop_handled().
bool EventQueue::finish(Cursor& cursor, std::vector<Chunk>& freed) {
  cursor.takes.clear();
  return finish(cursor, {cursor.taken, cursor.chunk}, freed);
}

// The same, for events up to a place.
bool EventQueue::finish(Cursor& cursor, const Place& end, std::vector<Chunk>& freed) {
  cursor.done = end.taken;
  cursor.done_chunk = end.chunk;
  drop_handled(freed);
  if (waiting_for_room_ && bytes_ < capacity_) {
    waiting_for_room_ = false;
    return true;
  }
  return wake_always_;
}

// Moves chunks that every sink is done with to `freed`. The caller destroys them without the lock.
void EventQueue::drop_handled(std::vector<Chunk>& freed) {
  uint64_t keep = first_chunk_ + chunks_.size();
  for (const Cursor& cursor : cursors_) keep = std::min(keep, cursor.done_chunk);
  for (; first_chunk_ < keep; first_chunk_++) {
    bytes_ -= chunks_.front().bytes();
    freed.push_back(std::move(chunks_.front()));
    chunks_.pop_front();
    since_.pop_front();
    until_.pop_front();
  }
}

void EventQueue::skip_discarded(Cursor& cursor) const {
  if (cursor.taken >= discarded_) return;
  if (cursor.only) cursor.only->forget();
  cursor.taken = discarded_;
  cursor.chunk = discarded_chunks_;
  cursor.event = 0;
}

uint64_t EventQueue::discard() {
  std::vector<Chunk> freed;
  std::lock_guard lock(mutex_);
  const uint64_t waiting = pushed_ - handled_locked();
  open_ = false;
  discarded_ = pushed_;
  discarded_chunks_ = first_chunk_ + chunks_.size();
  for (Cursor& cursor : cursors_) {
    // A sink that holds events skips the rest when it is done.
    if (cursor.done < cursor.taken) continue;
    skip_discarded(cursor);
    cursor.done = cursor.taken;
    cursor.done_chunk = cursor.chunk;
  }
  drop_handled(freed);
  return waiting;
}

bool EventQueue::is_discarded(size_t sink) const {
  if (discarded_ == 0) return false;
  std::lock_guard lock(mutex_);
  return holds_discarded(cursors_[sink]);
}

bool EventQueue::holds_discarded(const Cursor& cursor) const {
  return cursor.done < std::min(cursor.taken, discarded_.load());
}

void EventQueue::close() {
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }
  arrived_.notify_all();
  fence_.give_up();
}

void EventQueue::wake_always() {
  std::lock_guard lock(mutex_);
  wake_always_ = true;
}

bool EventQueue::closed() const {
  return closed_;
}

size_t EventQueue::bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

uint64_t EventQueue::pushed() const {
  std::lock_guard lock(mutex_);
  return pushed_;
}

int64_t EventQueue::oldest_commit() const {
  std::lock_guard lock(mutex_);
  return since_.empty() ? 0 : *std::min_element(since_.begin(), since_.end());
}

uint64_t EventQueue::handled() const {
  std::lock_guard lock(mutex_);
  return handled_locked();
}

uint64_t EventQueue::handled(size_t sink) const {
  std::lock_guard lock(mutex_);
  return cursors_[sink].done;
}

uint64_t EventQueue::handled_locked() const {
  uint64_t least = pushed_;
  for (const Cursor& cursor : cursors_) least = std::min(least, cursor.done);
  return least;
}

}  // namespace walspout
