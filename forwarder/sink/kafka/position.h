// The position that was delivered to Kafka: a record of the positions topic, and its key. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/lsn.h"
#include "stream/event.h"

namespace walspout {

// The last event of a Kafka transaction, written in that transaction. All events of the source up
// to this event are delivered, or are dead letters.
struct KafkaPosition {
  Lsn lsn;             // and index: the event's id
  uint64_t index = 0;  // in its transaction
  int64_t time = 0;    // the latest commit of delivered events, microseconds since 1970

  // The position with `event` as the last event.
  KafkaPosition after(const Event& event) const;
  // Whether the event is at or before the position.
  bool covers(const Event& event) const {
    return event.lsn < lsn || (event.lsn == lsn && event.index <= index);
  }
  // "<id> <LSN> <time>": 27439048-0 0/1A2AFC8 1700000000123456
  std::string text() const;
  static std::optional<KafkaPosition> parse(std::string_view text);

  bool operator==(const KafkaPosition&) const = default;
};

// The key of a position: "<sink> <system identifier> <slot> <database>". It distinguishes the sinks
// of a slot, and equal slot names of several servers.
[[nodiscard]] std::string kafka_position_key(std::string_view sink, std::string_view identity);

// Kafka takes all producers with one id for the same producer: the last one fences the others.
[[nodiscard]] std::string kafka_transactional_id(std::string_view key);

}  // namespace walspout
