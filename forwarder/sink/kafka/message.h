// What an event is as messages of Kafka. Pure.
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

// What a reader needs that does not parse the value.
class KafkaHeaders {
 public:
  // `is_document`: the value is the event's document, so that positions in it make sense.
  KafkaHeaders(const Event& event, bool is_document);
  ~KafkaHeaders() {
    if (all_ != nullptr) rd_kafka_headers_destroy(all_);
  }
  KafkaHeaders(const KafkaHeaders&) = delete;
  KafkaHeaders& operator=(const KafkaHeaders&) = delete;

  rd_kafka_headers_t* get() const { return all_; }
  // The library has them now.
  void taken() { all_ = nullptr; }

 private:
  void add(std::string_view name, std::string_view value);

  rd_kafka_headers_t* all_;
};

// One message or two. Views of the event.
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

// The key that the row had before an update that changed the key: a JSON object as the plugin
// writes one. Empty: the event is no such update, or does not have all of that key.
[[nodiscard]] std::string kafka_old_key(const Event& event);

// Where messages without a key go: where Java's clients would put a message with the table's name
// as its key, whatever the number of partitions.
[[nodiscard]] uint32_t kafka_place(const Event& event);

}  // namespace walspout
