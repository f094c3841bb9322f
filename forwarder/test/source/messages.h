// Builds messages in the format "frames", well-formed unless told otherwise.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "base/message.h"
#include "source/frames.h"

namespace walspout::test {

class MessageBuilder {
 public:
  explicit MessageBuilder(std::string header = std::string("WS\x01\0", 4))
      : bytes_(std::move(header)) {}

  MessageBuilder& frame(char kind, std::string_view body, uint8_t flags = 0, uint16_t sixteen = 0) {
    bytes_ += kind;
    bytes_ += static_cast<char>(flags);
    put(sixteen, 2);
    put(body.size(), 4);
    bytes_ += body;
    return *this;
  }

  MessageBuilder& begin(uint64_t lsn, int64_t time = 1'000'000, uint32_t xid = 741) {
    return frame('B', number(lsn, 8) + number(static_cast<uint64_t>(time), 8) + number(xid, 4));
  }

  MessageBuilder& relation(uint32_t id, std::string_view schema, std::string_view table) {
    return frame('R', number(id, 4) + number(schema.size(), 2) + number(table.size(), 2) +
                          std::string(schema) + std::string(table));
  }

  MessageBuilder& event(char op, uint64_t index, std::string_view document, uint32_t relation = 0,
                        uint64_t hash = 0, uint8_t flags = 0, uint16_t key_begin = 0,
                        uint32_t key_size = 0) {
    return frame(op,
                 number(relation, 4) + number(key_size, 4) + number(hash, 8) + number(index, 8) +
                     std::string(document),
                 flags, key_begin);
  }

  MessageBuilder& commit(uint64_t lsn, uint64_t end_lsn, uint64_t events) {
    return frame('C', number(lsn, 8) + number(end_lsn, 8) + number(events, 8));
  }

  const std::string& bytes() const { return bytes_; }
  Message message() const { return copy(bytes_); }

  // A copy of its exact size on the heap, so that the address sanitizer sees reads beyond it.
  static Message copy(std::string_view bytes) {
    auto* data = static_cast<char*>(std::malloc(bytes.size() ? bytes.size() : 1));
    std::memcpy(data, bytes.data(), bytes.size());
    return Message(data, 0, bytes.size(), std::free);
  }

 private:
  static std::string number(uint64_t value, int size) {
    std::string text;
    for (int shift = (size - 1) * 8; shift >= 0; shift -= 8) {
      text += static_cast<char>(value >> shift);
    }
    return text;
  }
  void put(uint64_t value, int size) { bytes_ += number(value, size); }

  std::string bytes_;
};

// A chunk with one transaction of `events` events.
inline Chunk transaction(uint64_t lsn, size_t events, uint8_t flags = 0, size_t size = 10) {
  MessageBuilder builder;
  builder.begin(lsn).relation(1, "public", "t");
  std::string document(size, 'x');
  for (size_t i = 0; i < events; i++) builder.event('c', i, document, 1, i, flags);
  builder.commit(lsn, lsn + 8, events);
  FrameDecoder decoder;
  return std::move(decoder.decode(builder.message()).value());
}

}  // namespace walspout::test
