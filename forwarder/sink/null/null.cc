#include "sink/null/null.h"

namespace walspout {

Result<void> NullSink::check(const SourceState&, TimePoint) {
  return {};
}

Delivery NullSink::deliver(std::span<const Event> events, TimePoint, Progress& progress) {
  for (const Event& event : events) bytes_ += event.document.size();
  events_ += events.size();
  progress.durable_before(events.size());
  return {};
}

}  // namespace walspout
