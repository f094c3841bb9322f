// An event as an entry of a stream: its id, its fields, and whether an entry is that event.
//
// Pure; it knows the protocol's bytes and does no I/O.
#pragma once

#include <hiredis/hiredis.h>

#include <compare>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "stream/event.h"

namespace walspout {

// The id of an entry: an event's, or whatever another program has added.
struct RedisId {
  uint64_t lsn = 0;
  uint64_t index = 0;

  // What comes before a transaction is where no record begins.
  static RedisId of(const Event& event) {
    return event.op == kBeginOp ? RedisId{event.lsn.value - 1, 0}
                                : RedisId{event.lsn.value, event.index};
  }
  // False, and `id` is worth nothing: the text is no id.
  [[nodiscard]] static bool parse(std::string_view text, RedisId& id);
  std::string text() const;

  auto operator<=>(const RedisId&) const = default;
};

// A field of an entry.
enum class RedisField { kData, kId, kOp, kSchema, kTable, kKey };

// Error: kFatal, names the unknown one.
[[nodiscard]] Result<std::vector<RedisField>> redis_fields(const std::vector<std::string>& names);

std::string_view name_of(RedisField field);
// The name as a word of a command.
std::string_view header_of(RedisField field);

// The field's value. The event's id is a view of `id`.
std::string_view value_of(RedisField field, const Event& event, const EventId& id);

// Whether an entry's list of names and values is this event's: the document is the same, or, in
// entries without one, all fields are.
[[nodiscard]] bool redis_entry_is(const redisReply& list, std::span<const RedisField> fields,
                                  const Event& event);

std::string_view text_of(const redisReply& reply);

// Appends "$<length>\r\n", and what follows it in a command of the protocol.
void append_length(std::string& out, size_t length);
void append_word(std::string& out, std::string_view word);
// Appends a command of several words.
void append_command(std::string& out, std::initializer_list<std::string_view> words);

}  // namespace walspout
