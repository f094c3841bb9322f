#include "source/kafka/offsets.h"

#include <algorithm>
#include <utility>

namespace walspout {

void KafkaOffsets::assign(const Key& key, int64_t next) {
  revoke(key);
  Place& place = places_[key];
  place = {};
  place.next = place.durable = place.committed = next;
  place.generation = ++generation_;
}

void KafkaOffsets::revoke(const Key& key) {
  places_.erase(key);
}

void KafkaOffsets::clear() {
  places_.clear();
  marks_.clear();
}

KafkaOffsets::Place* KafkaOffsets::find(const Key& key) {
  const auto found = places_.find(key);
  return found == places_.end() ? nullptr : &found->second;
}

void KafkaOffsets::take(Place& place, int64_t offset, int64_t next) {
  if (place.durable == kUnknown) place.durable = offset;
  place.next = next;
  place.end = std::max(place.end, next);
  place.touched = touched_ = true;
}

void KafkaOffsets::pushed(uint64_t events) {
  if (!std::exchange(touched_, false)) return;
  for (auto& [key, place] : places_) {
    if (!place.touched) continue;
    place.touched = false;
    place.events = events;
    marks_.push_back({events, key, place.generation, place.next});
  }
}

void KafkaOffsets::handled(uint64_t events) {
  for (; !marks_.empty() && marks_.front().events <= events; marks_.pop_front()) {
    Place* place = find(marks_.front().key);
    if (place == nullptr || place->generation != marks_.front().generation) continue;
    place->durable = std::max(place->durable, marks_.front().next);
  }
}

void KafkaOffsets::forget() {
  marks_.clear();
  for (auto& [key, place] : places_) {
    place.next = place.durable;
    place.touched = false;
    place.generation = ++generation_;
  }
}

std::vector<std::pair<KafkaOffsets::Key, int64_t>> KafkaOffsets::to_commit() const {
  std::vector<std::pair<Key, int64_t>> found;
  for (const auto& [key, place] : places_) {
    if (place.durable > place.committed) found.emplace_back(key, place.durable);
  }
  return found;
}

void KafkaOffsets::committed(const Key& key, int64_t offset) {
  if (Place* place = find(key)) place->committed = std::max(place->committed, offset);
}

void KafkaOffsets::ends(const Key& key, int64_t end) {
  if (Place* place = find(key)) place->end = std::max(place->end, end);
}

uint64_t KafkaOffsets::lag() const {
  uint64_t messages = 0;
  for (const auto& [key, place] : places_) {
    const int64_t from = std::max<int64_t>(place.durable, 0);
    if (place.end > from) messages += static_cast<uint64_t>(place.end - from);
  }
  return messages;
}

}  // namespace walspout
