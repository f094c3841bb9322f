#include "sink/rabbitmq/wire.h"

#include <algorithm>
#include <array>

namespace walspout {
namespace {

constexpr size_t kHead = 7;               // type, channel, size
constexpr size_t kLargest = 1 << 20;      // of a frame; the negotiated limit is smaller
constexpr size_t kPublish = 5 + 2 * 256;  // ticket, two short strings, bits
constexpr size_t kProperties = 128 + 2 * 256;
constexpr size_t kHeader = 1 + 1 + 4;  // a header's sizes and kind, besides name and value
constexpr size_t kMostHeaders = 4;

void put(char* at, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) at[i] = static_cast<char>(value >> (8 * (bytes - 1 - i)));
}

uint64_t get(const char* at, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value = value << 8 | static_cast<unsigned char>(at[i]);
  return value;
}

// Appends a frame with a payload written in place: `write` gets its address, and returns its size.
template <typename Write>
bool append(std::string& out, uint8_t type, amqp_channel_t channel, size_t most, Write write) {
  const size_t begin = out.size();
  out.resize(begin + kHead + most + 1);
  char* frame = out.data() + begin;
  const int size = write(frame + kHead);
  if (size < 0) {
    out.resize(begin);
    return false;
  }
  put(frame, type, 1);
  put(frame + 1, channel, 2);
  put(frame + 3, static_cast<uint64_t>(size), 4);
  frame[kHead + static_cast<size_t>(size)] = static_cast<char>(AMQP_FRAME_END);
  out.resize(begin + kHead + static_cast<size_t>(size) + 1);
  return true;
}

}  // namespace

void append_frame(std::string& out, uint8_t type, amqp_channel_t channel,
                  std::string_view payload) {
  std::array<char, kHead> head;
  put(head.data(), type, 1);
  put(head.data() + 1, channel, 2);
  put(head.data() + 3, payload.size(), 4);
  out.append(head.data(), head.size());
  out.append(payload);
  out += static_cast<char>(AMQP_FRAME_END);
}

bool append_method(std::string& out, amqp_channel_t channel, amqp_method_number_t id,
                   void* arguments, size_t most) {
  return append(out, AMQP_FRAME_METHOD, channel, 4 + most, [&](char* payload) {
    put(payload, id, 4);
    const int size = amqp_encode_method(id, arguments, {most, payload + 4});
    return size < 0 ? size : size + 4;
  });
}

void append_head(std::string& out, amqp_channel_t channel, const RabbitmqMessage& message) {
  amqp_basic_publish_t publish{};
  publish.exchange = amqp_view(message.exchange);
  publish.routing_key = amqp_view(message.routing_key);
  publish.mandatory = message.mandatory ? 1 : 0;
  static_cast<void>(append_method(out, channel, AMQP_BASIC_PUBLISH_METHOD, &publish, kPublish));

  amqp_basic_properties_t properties{};
  properties._flags =
      AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG;
  properties.content_type = amqp_cstring_bytes("application/json");
  properties.delivery_mode = message.persistent ? 2 : 1;
  properties.message_id = amqp_view(message.id);
  if (message.timestamp != 0) {
    properties._flags |= AMQP_BASIC_TIMESTAMP_FLAG;
    properties.timestamp = message.timestamp;
  }
  std::array<amqp_table_entry_t, kMostHeaders> headers;
  size_t most = kProperties;
  int count = 0;
  for (const RabbitmqHeader& header :
       message.headers.first(std::min(message.headers.size(), kMostHeaders))) {
    amqp_table_entry_t& entry = headers[static_cast<size_t>(count++)];
    entry.key = amqp_view(header.name);
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = amqp_view(header.value);
    most += kHeader + header.name.size() + header.value.size();
  }
  if (count > 0) {
    properties._flags |= AMQP_BASIC_HEADERS_FLAG;
    properties.headers = {count, headers.data()};
  }
  append(out, AMQP_FRAME_HEADER, channel, 12 + most, [&](char* payload) {
    put(payload, AMQP_BASIC_CLASS, 2);
    put(payload + 2, 0, 2);
    put(payload + 4, message.body.size(), 8);
    const int size = amqp_encode_properties(AMQP_BASIC_CLASS, &properties, {most, payload + 12});
    return size < 0 ? size : size + 12;
  });
}

void RabbitmqFrameReader::feed(std::string_view bytes) {
  buffer_.erase(0, begin_);
  begin_ = 0;
  buffer_.append(bytes);
}

Result<std::optional<RabbitmqFrame>> RabbitmqFrameReader::next() {
  const std::string_view rest = std::string_view(buffer_).substr(begin_);
  // A broker with another version of AMQP answers with its own greeting.
  if (rest.starts_with("AMQP"))
    return retry("the broker speaks another version of AMQP than 0-9-1");
  if (rest.size() < kHead) return std::nullopt;
  const auto size = static_cast<size_t>(get(rest.data() + 3, 4));
  if (size > kLargest) return retry("what came is not AMQP");
  if (rest.size() < kHead + size + 1) return std::nullopt;
  if (static_cast<unsigned char>(rest[kHead + size]) != AMQP_FRAME_END) {
    return retry("what came is not AMQP");
  }
  begin_ += kHead + size + 1;
  return RabbitmqFrame{static_cast<uint8_t>(rest[0]),
                       static_cast<amqp_channel_t>(get(rest.data() + 1, 2)),
                       rest.substr(kHead, size)};
}

}  // namespace walspout
