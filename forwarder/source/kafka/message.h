// Messages that walspout's Kafka sink has written become events again. README.md has the headers.
//
// Pure, and trusts nothing: what is not as the sink writes it is an error and no event. The
// document is not looked into, but where the headers say that an object begins and ends.
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

// Views of the message. The event has no table yet.
struct KafkaEvent {
  Event event;
  std::string_view schema;  // empty: a logical message
  std::string_view table;
};

// Nothing: a tombstone, which is no event. Error: kReject, the message is foreign, and says in what
// way; kFatal, walspout has written it, but not as a document.
[[nodiscard]] Result<std::optional<KafkaEvent>> kafka_event(std::optional<std::string_view> value,
                                                            std::span<const KafkaHeader> headers);

}  // namespace walspout
