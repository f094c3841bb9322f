// Builds messages in the format "frames", well-formed unless told otherwise.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/message.h"
#include "source/frames.h"

namespace walspout::test {

class MessageBuilder {
 public:
  explicit MessageBuilder(std::string header = std::string("WS\x02\0", 4))
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

  MessageBuilder& relation(uint32_t id, std::string_view schema, std::string_view table,
                           const std::vector<Column>& columns = {}) {
    std::string body = number(id, 4) + number(schema.size(), 2) + number(table.size(), 2) +
                       number(columns.size(), 2) + std::string(schema) + std::string(table);
    for (const Column& column : columns) {
      body += number((column.in_key ? 1 : 0) | (column.not_null ? 2 : 0), 1) +
              number(column.type_oid, 4) + number(static_cast<uint32_t>(column.type_modifier), 4) +
              number(column.name.size(), 2) + number(column.type.size(), 2) + column.name +
              column.type;
    }
    return frame('R', body);
  }

  // Finds the objects of a document by their names. Adds `flags`. `members` follows the spans.
  MessageBuilder& event(char op, uint64_t index, std::string_view document, uint32_t relation = 0,
                        uint64_t hash = 0, uint8_t flags = 0, std::string_view members = "") {
    uint64_t end = 0;
    std::string spans;
    for (const auto& [name, flag] :
         {std::pair{"\"key\":{", 2}, {"\"before\":{", 4}, {"\"after\":{", 8}}) {
      const size_t at = document.find(name, end);
      if (at == std::string_view::npos) continue;
      const size_t begin = document.find('{', at);
      const size_t size = document.find('}', begin) + 1 - begin;
      spans += packed(begin - end) + packed(size);
      end = begin + size;
      flags = static_cast<uint8_t>(flags | flag);
    }
    return raw_event(op, index, document, relation, hash, flags, spans + std::string(members));
  }

  MessageBuilder& mark(std::string_view content) { return frame('M', content); }

  MessageBuilder& cursor(bool end, uint64_t rows, const std::vector<std::string>& last) {
    std::string body = number(rows, 8) + number(last.size(), 2);
    for (const std::string& value : last) body += number(value.size(), 4) + value;
    return frame('K', body, end ? 1 : 0);
  }

  // Numbers of members: a size, 0 for an absent one, a negative size for an elided one.
  static std::string members(const std::vector<int64_t>& sizes) {
    std::string text;
    for (const int64_t size : sizes) {
      text +=
          packed(size < 0 ? static_cast<uint64_t>(-size) * 2 + 1 : static_cast<uint64_t>(size) * 2);
    }
    return text;
  }

  // Numbers of the old key: for each member the bytes before it, and its size.
  static std::string old_key(const std::vector<std::pair<uint64_t, uint64_t>>& members) {
    std::string text;
    for (const auto& [gap, size] : members) text += packed(gap) + packed(size);
    return text;
  }

  MessageBuilder& raw_event(char op, uint64_t index, std::string_view document, uint32_t relation,
                            uint64_t hash, uint8_t flags, std::string_view spans) {
    return frame(op,
                 number(relation, 4) + number(hash, 8) + number(index, 8) + std::string(document) +
                     std::string(spans),
                 flags, static_cast<uint16_t>(spans.size()));
  }

  // Seven bits a byte, the lowest first.
  static std::string packed(uint64_t value) {
    std::string text;
    for (; value >= 0x80; value >>= 7) text += static_cast<char>(value | 0x80);
    return text + static_cast<char>(value);
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
