#include "stream/tap.h"

#include <algorithm>

namespace walspout {

void Tap::watch(TimePoint now) {
  if (level_ == TapLevel::kOff) return;
  until_ = (now + kWatched).time_since_epoch().count();
}

void Tap::set_level(TapLevel level) {
  std::lock_guard lock(mutex_);
  if (level_.exchange(level) == level) return;
  kept_.clear();
  if (level == TapLevel::kOff) until_ = 0;
}

void Tap::see(std::span<const Event> events, TimePoint now) {
  if (now.time_since_epoch().count() > until_) {
    until_ = 0;
    return;
  }
  if (events.size() > kOfAChunk) events = events.last(kOfAChunk);
  std::lock_guard lock(mutex_);
  const TapLevel level = level_;
  if (level == TapLevel::kOff) return;
  for (const Event& event : events) {
    TappedEvent seen;
    seen.number = ++last_;
    seen.id = EventId(event).view();
    seen.op = event.op;
    seen.schema = event.schema();
    seen.table = event.table_name();
    seen.prefix = event.prefix().substr(0, kMostOfKey);
    seen.commit_time = event.commit_time;
    seen.bytes = event.document.size();
    if (event.key().size() <= kMostOfKey) seen.key = event.key();
    if (level == TapLevel::kRows && event.document.size() <= kMostOfDocument) {
      seen.document = event.document;
    }
    kept_.push_back(std::move(seen));
  }
  while (kept_.size() > kKept) kept_.pop_front();
}

std::vector<TappedEvent> Tap::events(uint64_t after, const std::string& filter, size_t most) const {
  std::vector<TappedEvent> found;
  std::lock_guard lock(mutex_);
  for (auto event = kept_.rbegin(); event != kept_.rend() && event->number > after; ++event) {
    const std::string name = event->schema + "." + event->table;
    if (!filter.empty() && name.find(filter) == std::string::npos) continue;
    found.push_back(*event);
    if (found.size() == most) break;
  }
  std::reverse(found.begin(), found.end());
  return found;
}

}  // namespace walspout
