// Converts events to entries of a stream, and tells whether an entry is an event.
//
// Pure: encodes the protocol and does no I/O.
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

// The id of an entry: an event's id, or one that another program chose.
struct RedisId {
  uint64_t lsn = 0;
  uint64_t index = 0;

  // A begin event gets an LSN just before its transaction, where no WAL record begins.
  static RedisId of(const Event& event) {
    return event.op == kBeginOp ? RedisId{event.lsn.value - 1, 0}
                                : RedisId{event.lsn.value, event.index};
  }
  // False: the text is not an id, and `id` is undefined.
  [[nodiscard]] static bool parse(std::string_view text, RedisId& id);
  std::string text() const;

  auto operator<=>(const RedisId&) const = default;
};

// A field of an entry.
enum class RedisField { kData, kId, kOp, kSchema, kTable, kKey };

// Error: kFatal, names the unknown field.
[[nodiscard]] Result<std::vector<RedisField>> redis_fields(const std::vector<std::string>& names);

std::string_view name_of(RedisField field);
// The name as a word of a command.
std::string_view header_of(RedisField field);

// The field's value. For kId, a view of `id`.
std::string_view value_of(RedisField field, const Event& event, const EventId& id);

// Whether an entry's list of names and values is this event. The document must be equal, or, in
// entries without a document, all fields.
[[nodiscard]] bool redis_entry_is(const redisReply& list, std::span<const RedisField> fields,
                                  const Event& event);

std::string_view text_of(const redisReply& reply);

// append_length() appends "$<length>\r\n"; append_word() appends that and the word.
void append_length(std::string& out, size_t length);
void append_word(std::string& out, std::string_view word);
// Appends a command of several words.
void append_command(std::string& out, std::initializer_list<std::string_view> words);

}  // namespace walspout
