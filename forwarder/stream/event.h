// A change on its way: a finished document, and what delivering it needs to know of it.
//
// An Event is a view. Its bytes are those of the message they came in, which the queue keeps until
// the last sink is done with it; whoever gets a span of events may use them until it returns.
#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/lsn.h"

namespace walspout {

// A table as a relation frame named it. Immutable; a renamed table is another one.
struct Table {
  std::string schema;
  std::string name;
};

// The letters that an event may have in `op`.
inline constexpr std::string_view kOps = "cudtmr";

struct Event {
  Lsn lsn;                       // of the commit record: the first half of the id
  uint64_t index = 0;            // in the transaction: the second half
  int64_t commit_time = 0;       // microseconds since 1970; 0: unknown
  uint64_t key_hash = 0;         // equal for equal keys of a table; without a key, for the table
  std::string_view document;     // the envelope: one JSON object, no line break in it
  const Table* table = nullptr;  // null for logical messages
  std::string_view prefix;       // of a logical message; empty if it is long, too
  uint32_t key_size = 0;         // 0: no key
  uint16_t key_begin = 0;        // position of the key's object in the document
  char op = 0;                   // one of kOps
  bool barrier = false;          // may not overtake, nor be overtaken by, any other event

  std::string_view schema() const { return table ? std::string_view(table->schema) : ""; }
  std::string_view table_name() const { return table ? std::string_view(table->name) : ""; }

  // The JSON object with the key's columns; empty if there is none.
  std::string_view key() const { return document.substr(key_begin, key_size); }

  // Which of `lanes` lanes the event goes through: equal for equal keys.
  size_t lane(size_t lanes) const {
    return static_cast<size_t>((key_hash ^ (key_hash >> 32)) % lanes);
  }
};

// The id of an event as text, "<lsn>-<index>" in decimal: the same on every sink and redelivery.
class EventId {
 public:
  explicit EventId(const Event& event) {
    char* end = buffer_.data() + buffer_.size();
    char* p = std::to_chars(buffer_.data(), end, event.lsn.value).ptr;
    *p++ = '-';
    p = std::to_chars(p, end, event.index).ptr;
    size_ = static_cast<size_t>(p - buffer_.data());
  }

  std::string_view view() const { return {buffer_.data(), size_}; }
  operator std::string_view() const { return view(); }

 private:
  std::array<char, 20 + 1 + 20> buffer_;
  size_t size_;
};

}  // namespace walspout
