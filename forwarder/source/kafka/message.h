// Turns messages of walspout's Kafka sink into events again. README.md describes the headers.
//
// Pure, and trusts nothing: a message that differs from what the sink writes is an error and no
// event. The code looks into the document only where the headers say that an object begins or ends.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"
#include "stream/event.h"

namespace walspout {

struct KafkaHeader {
  std::string_view name;
  std::optional<std::string_view> value;
};

// Views into the message. The event has no table yet.
struct KafkaEvent {
  Event event;
  std::string_view schema;  // empty: a logical message
  std::string_view table;
};

// Nothing: a tombstone, which is no event. Error kReject: the message is foreign; the error says
// why. Error kFatal: walspout has written it, but not as a document.
[[nodiscard]] Result<std::optional<KafkaEvent>> kafka_event(std::optional<std::string_view> value,
                                                            std::span<const KafkaHeader> headers);

}  // namespace walspout
