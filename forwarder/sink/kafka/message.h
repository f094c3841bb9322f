// Converts an event to messages of Kafka. Pure.
#pragma once

#include <librdkafka/rdkafka.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sink/kafka/config.h"
#include "stream/event.h"

namespace walspout {

// The headers of a message, for readers that do not parse its value.
class KafkaHeaders {
 public:
  // `is_document`: the value is the event's document, so headers may give positions in it.
  KafkaHeaders(const Event& event, bool is_document);
  ~KafkaHeaders() {
    if (all_ != nullptr) rd_kafka_headers_destroy(all_);
  }
  KafkaHeaders(const KafkaHeaders&) = delete;
  KafkaHeaders& operator=(const KafkaHeaders&) = delete;

  rd_kafka_headers_t* get() const { return all_; }
  // The library owns the headers now.
  void taken() { all_ = nullptr; }

 private:
  void add(std::string_view name, std::string_view value);

  rd_kafka_headers_t* all_;
};

// One or two messages. Views of the event, which must outlive this.
class KafkaMessages {
 public:
  struct Message {
    std::string_view key;                   // empty: none
    std::optional<std::string_view> value;  // none: a tombstone
    bool is_document = false;
  };

  KafkaMessages(const Event& event, const KafkaConfig& config);
  KafkaMessages(const KafkaMessages&) = delete;
  KafkaMessages& operator=(const KafkaMessages&) = delete;

  std::span<const Message> all() const { return {messages_.data(), count_}; }

 private:
  void add(const Message& message) { messages_[count_++] = message; }

  std::string old_key_;
  std::array<Message, 2> messages_;
  size_t count_ = 0;
};

// The key before an update that changed it: a JSON object as the plugin writes it. Empty: the event
// is not such an update, or lacks a part of that key.
[[nodiscard]] std::string kafka_old_key(const Event& event);

// A hash that chooses the partition of messages without a key. Java's clients compute the same hash
// for a message with the table's name as its key.
[[nodiscard]] uint32_t kafka_place(const Event& event);

}  // namespace walspout
