#include "stream/queue.h"

#include <algorithm>
#include <utility>

namespace walspout {

EventQueue::EventQueue(size_t sinks, size_t capacity_bytes, std::function<void()> wake)
    : capacity_(capacity_bytes), wake_(std::move(wake)), fence_(wake_), cursors_(sinks) {}

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

void EventQueue::push(Chunk chunk) {
  const int64_t time = since(chunk);
  std::lock_guard lock(mutex_);
  bytes_ += chunk.bytes();
  pushed_ += chunk.events.size();
  chunks_.push_back(std::move(chunk));
  since_.push_back(time);
  announced_ = false;
}

void EventQueue::announce() {
  {
    std::lock_guard lock(mutex_);
    if (announced_) return;
    announced_ = true;
  }
  arrived_.notify_all();
}

void EventQueue::take(size_t sink, BatchLimits limits, Duration patience,
                      std::vector<Event>& batch) {
  batch.clear();
  std::unique_lock lock(mutex_);
  Cursor& cursor = cursors_[sink];
  auto ready = [&] { return closed_ || cursor.taken < pushed_; };
  arrived_.wait_for(lock, patience, ready);
  fence_.tick();
  // What follows what was discarded does not belong into one batch with that.
  if (closed_ || holds_discarded(cursor)) return;

  size_t bytes = 0;
  while (cursor.taken < pushed_ && batch.size() < limits.events) {
    const Chunk& chunk = chunks_[cursor.chunk - first_chunk_];
    const Event& event = chunk.events[cursor.event];
    if (!batch.empty()) {
      if (limits.barriers_alone && (event.barrier || batch.front().barrier)) break;
      if (bytes + event.document.size() > limits.bytes) break;
    }
    bytes += event.document.size();
    batch.push_back(event);
    cursor.taken++;
    if (++cursor.event == chunk.events.size()) {
      cursor.event = 0;
      cursor.chunk++;
    }
  }
}

void EventQueue::done(size_t sink) {
  std::vector<Chunk> freed;  // outside the lock: it takes a while
  bool wake = false;
  {
    std::lock_guard lock(mutex_);
    Cursor& cursor = cursors_[sink];
    skip_discarded(cursor);
    cursor.done = cursor.taken;
    cursor.done_chunk = cursor.chunk;
    drop_handled(freed);
    if (waiting_for_room_ && bytes_ < capacity_) {
      waiting_for_room_ = false;
      wake = true;
    }
    wake = wake || wake_always_;
  }
  if (wake) wake_();
}

// Frees what every sink is done with, into `freed`: for the caller to destroy without the lock.
void EventQueue::drop_handled(std::vector<Chunk>& freed) {
  uint64_t keep = first_chunk_ + chunks_.size();
  for (const Cursor& cursor : cursors_) keep = std::min(keep, cursor.done_chunk);
  for (; first_chunk_ < keep; first_chunk_++) {
    bytes_ -= chunks_.front().bytes();
    freed.push_back(std::move(chunks_.front()));
    chunks_.pop_front();
    since_.pop_front();
  }
}

void EventQueue::skip_discarded(Cursor& cursor) const {
  if (cursor.taken >= discarded_) return;
  cursor.taken = discarded_;
  cursor.chunk = discarded_chunks_;
  cursor.event = 0;
}

uint64_t EventQueue::discard() {
  std::vector<Chunk> freed;
  std::lock_guard lock(mutex_);
  const uint64_t waiting = pushed_ - handled_locked();
  discarded_ = pushed_;
  discarded_chunks_ = first_chunk_ + chunks_.size();
  for (Cursor& cursor : cursors_) {
    // A sink that has something in hands skips the rest when it is done.
    if (cursor.done < cursor.taken) continue;
    skip_discarded(cursor);
    cursor.done = cursor.taken;
    cursor.done_chunk = cursor.chunk;
  }
  drop_handled(freed);
  return waiting;
}

bool EventQueue::is_discarded(size_t sink) const {
  std::lock_guard lock(mutex_);
  return holds_discarded(cursors_[sink]);
}

bool EventQueue::holds_discarded(const Cursor& cursor) const {
  return cursor.done < std::min(cursor.taken, discarded_);
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
  std::lock_guard lock(mutex_);
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
