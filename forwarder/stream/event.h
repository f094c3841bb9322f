// A change in flight: a finished document, and what its delivery needs.
//
// An Event is a view into the message that it came in. The queue keeps the message until the last
// sink is done with it. A function that gets a span of events may use them until it returns.
#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/lsn.h"

namespace walspout {

// A column that events of a table may have.
struct Column {
  std::string name;
  std::string type;            // as format_type() prints it, with the schema if user-defined
  uint32_t type_oid = 0;       // as declared: may be a domain
  int32_t type_modifier = -1;  // -1: none
  bool in_key = false;
  bool not_null = false;  // as declared; a value may still be missing: unchanged or elided

  bool operator==(const Column&) const = default;
};

// A table as a relation frame describes it. Immutable: a renamed or altered table is another Table.
struct Table {
  std::string schema;
  std::string name;
  // In the order of `after`; empty: unknown, as for replayed events.
  std::vector<Column> columns = {};

  bool operator==(const Table&) const = default;
};

// The place of an object in an event's document.
struct Span {
  uint32_t begin = 0;
  uint32_t size = 0;  // 0: the document lacks the object
};

// The letters that an event may have in `op`.
inline constexpr std::string_view kOps = "cudtmrsbe";

// The op of a table's schema, which precedes an event of the table. A schema is no change: it has
// the index of that event, and its fingerprint as the hash.
inline constexpr char kSchemaOp = 's';

// The begin of a transaction has index 0; its end has an index behind those of its changes.
inline constexpr char kBeginOp = 'b';
inline constexpr char kEndOp = 'e';

// Whether events of this op have a table.
constexpr bool has_table(char op) {
  return op != 'm' && op != kBeginOp && op != kEndOp;
}

// Whether the event is no change, but describes changes. The server does not count such events.
constexpr bool is_no_change(char op) {
  return op == kSchemaOp || op == kBeginOp || op == kEndOp;
}

struct Event {
  Lsn lsn;                       // of the commit record: the first half of the id
  uint64_t index = 0;            // in the transaction: the second half
  int64_t commit_time = 0;       // microseconds since 1970; 0: unknown.
  uint64_t key_hash = 0;         // equal for equal keys of a table, or for the table without key
  std::string_view document;     // one JSON object without line breaks.
  const Table* table = nullptr;  // null for logical messages
  Span key_span;                 // see key()
  char op = 0;                   // one of kOps; set it before the prefix or the row's spans
  bool barrier = false;          // must not overtake or be overtaken by any event

  bool is_schema() const { return op == kSchemaOp; }
  bool is_no_change() const { return walspout::is_no_change(op); }

  std::string_view schema() const { return table ? std::string_view(table->schema) : ""; }
  std::string_view table_name() const { return table ? std::string_view(table->name) : ""; }

  // The JSON object with the key's columns; empty if there is none.
  std::string_view key() const { return object(key_span); }

  // Whether the key is outside of the document. In dialects other than the default, the key is in
  // the memory behind the document.
  bool key_is_aside() const { return key_span.size > 0 && key_span.begin >= document.size(); }

  // The objects of the old and of the new row; empty if the document lacks the object.
  std::string_view before() const { return object(before_span()); }
  std::string_view after() const { return object(after_span()); }

  Span before_span() const { return op == 'm' ? Span{} : row().before; }
  Span after_span() const { return op == 'm' ? Span{} : row().after; }
  void set_row(Span before, Span after) { share(Row{before, after}); }

  // Of a logical message; may be empty.
  std::string_view prefix() const {
    if (op != 'm') return {};
    const Text text = shared<Text>();
    return {text.data, text.size};
  }
  void set_prefix(std::string_view prefix) { share(Text{prefix.data(), prefix.size()}); }

  // The event's lane, one of `lanes`: equal for equal keys.
  size_t lane(size_t lanes) const {
    return static_cast<size_t>((key_hash ^ (key_hash >> 32)) % lanes);
  }

 private:
  // Logical messages have a prefix and no row; other events have a row and no prefix. The two share
  // memory, because there may be hundreds of thousands of events.
  struct Row {
    Span before;
    Span after;
  };
  struct Text {
    const char* data;
    size_t size;
  };

  std::string_view object(Span span) const {
    return span.size == 0 ? std::string_view()
                          : std::string_view(document.data() + span.begin, span.size);
  }
  Row row() const { return shared<Row>(); }

  template <typename T>
  T shared() const {
    T value;
    std::memcpy(static_cast<void*>(&value), shared_.data(), sizeof(T));
    return value;
  }
  template <typename T>
  void share(const T& value) {
    static_assert(sizeof(T) <= sizeof(shared_));
    std::memcpy(shared_.data(), &value, sizeof(T));
  }

  std::array<uint64_t, 2> shared_ = {};
};

static_assert(sizeof(Event) <= 88);

// The position of a receiver that has an event and all before it.
struct EventPlace {
  Lsn lsn;
  uint64_t index = 0;

  // A schema or a begin does not advance the position: its event is still to come.
  static EventPlace behind(const Event& event) {
    if (!event.is_schema() && event.op != kBeginOp) return {event.lsn, event.index};
    if (event.index > 0) return {event.lsn, event.index - 1};
    return {Lsn{event.lsn.value - 1}, UINT64_MAX};  // no record begins there
  }
  auto operator<=>(const EventPlace&) const = default;
};

// The id of an event as text: the same on every sink and redelivery. A change has "<lsn>-<index>"
// in decimal. A schema has "<lsn>-s<fingerprint>", with 16 hexadecimal digits. The ends of a
// transaction have "<lsn>-begin" and "<lsn>-commit".
class EventId {
 public:
  explicit EventId(const Event& event) {
    char* end = buffer_.data() + buffer_.size();
    char* p = std::to_chars(buffer_.data(), end, event.lsn.value).ptr;
    *p++ = '-';
    p = event.is_no_change() ? append_name(p, event) : std::to_chars(p, end, event.index).ptr;
    size_ = static_cast<size_t>(p - buffer_.data());
  }

  // Sets the members that form the event's id; for a change, op stays. False: the text is no id.
  [[nodiscard]] static bool parse(std::string_view text, Event& event) {
    const char* const end = text.data() + text.size();
    const auto lsn = std::from_chars(text.data(), end, event.lsn.value);
    if (lsn.ec != std::errc() || lsn.ptr == end || *lsn.ptr != '-') return false;
    const char* const rest = lsn.ptr + 1;
    if (rest != end && *rest == kSchemaOp) {
      event.op = kSchemaOp;
      std::from_chars(rest + 1, end, event.key_hash, 16);
    } else if (rest != end && (*rest == kBegin.front() || *rest == kCommit.front())) {
      event.op = *rest == kBegin.front() ? kBeginOp : kEndOp;
    } else {
      std::from_chars(rest, end, event.index);
    }
    return EventId(event).view() == text;
  }

  std::string_view view() const { return {buffer_.data(), size_}; }
  operator std::string_view() const { return view(); }

 private:
  static constexpr std::string_view kBegin = "begin";
  static constexpr std::string_view kCommit = "commit";

  static char* append_name(char* p, const Event& event) {
    if (event.is_schema()) return append_fingerprint(p, event.key_hash);
    const std::string_view name = event.op == kBeginOp ? kBegin : kCommit;
    std::memcpy(p, name.data(), name.size());
    return p + name.size();
  }
  static char* append_fingerprint(char* p, uint64_t fingerprint) {
    *p++ = kSchemaOp;
    for (int shift = 60; shift >= 0; shift -= 4) {
      *p++ = "0123456789abcdef"[fingerprint >> shift & 15];
    }
    return p;
  }

  std::array<char, 20 + 1 + 20> buffer_;
  size_t size_;
};

}  // namespace walspout
