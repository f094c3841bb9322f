// How far a source was delivered to Kafka: a record of the positions topic, and its key. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/lsn.h"
#include "stream/event.h"

namespace walspout {

// The last event of a transaction of Kafka, written in that transaction. All events of the source
// up to it are delivered, or were set aside.
struct KafkaPosition {
  Lsn lsn;             // and index: the event's id
  uint64_t index = 0;  // in its transaction
  int64_t time = 0;    // the latest commit of all that was delivered, microseconds since 1970

  // With the event as the last one.
  KafkaPosition after(const Event& event) const;
  // Whether the event is at or before it.
  bool covers(const Event& event) const {
    return event.lsn < lsn || (event.lsn == lsn && event.index <= index);
  }
  // "<id> <LSN> <time>": 27439048-0 0/1A2AFC8 1700000000123456
  std::string text() const;
  static std::optional<KafkaPosition> parse(std::string_view text);

  bool operator==(const KafkaPosition&) const = default;
};

// What a position belongs to: "<sink> <system identifier> <slot> <database>". Two sinks of a slot,
// and slots of one name of two servers, have keys of their own.
[[nodiscard]] std::string kafka_position_key(std::string_view sink, std::string_view identity);

// The producers of one key are the same one for Kafka: the last one fences those before it.
[[nodiscard]] std::string kafka_transactional_id(std::string_view key);

}  // namespace walspout
