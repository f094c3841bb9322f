// A change on its way: a finished document, and what delivering it needs to know of it.
//
// An Event is a view. Its bytes are those of the message they came in, which the queue keeps until
// the last sink is done with it; a function that gets a span of events may use them until it
// returns.
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
  std::string type;            // as format_type() prints it, with the schema of a user's type
  uint32_t type_oid = 0;       // as declared: perhaps a domain
  int32_t type_modifier = -1;  // -1: none
  bool in_key = false;
  bool not_null = false;  // as declared; a value may still be missing: unchanged or elided

  bool operator==(const Column&) const = default;
};

// A table as a relation frame named it. Immutable; one that is renamed or altered is another one.
struct Table {
  std::string schema;
  std::string name;
  // In the order of `after`; empty where they are not known, as for events that are replayed.
  std::vector<Column> columns = {};

  bool operator==(const Table&) const = default;
};

// Where an object is in an event's document.
struct Span {
  uint32_t begin = 0;
  uint32_t size = 0;  // 0: the document does not have it
};

// The letters that an event may have in `op`.
inline constexpr std::string_view kOps = "cudtmrsbe";

// The op of a table's schema, which comes before an event of the table. It is no change: it has the
// index of the event that it precedes, and its fingerprint for a hash.
inline constexpr char kSchemaOp = 's';

// A transaction begins, with the index 0, and ends, with an index behind those of its changes.
inline constexpr char kBeginOp = 'b';
inline constexpr char kEndOp = 'e';

// Whether events of the kind are of a table.
constexpr bool has_table(char op) {
  return op != 'm' && op != kBeginOp && op != kEndOp;
}

// Whether it is no change, but tells of changes: the server does not count it.
constexpr bool is_told(char op) {
  return op == kSchemaOp || op == kBeginOp || op == kEndOp;
}

struct Event {
  Lsn lsn;                       // of the commit record: the first half of the id
  uint64_t index = 0;            // in the transaction: the second half
  int64_t commit_time = 0;       // microseconds since 1970; 0: unknown
  uint64_t key_hash = 0;         // equal for equal keys of a table; without a key, for the table
  std::string_view document;     // the envelope: one JSON object, no line break in it
  const Table* table = nullptr;  // null for logical messages
  Span key_span;                 // see key()
  char op = 0;                   // one of kOps; set before the prefix or the row's spans are
  bool barrier = false;          // may not overtake, nor be overtaken by, any other event

  bool is_schema() const { return op == kSchemaOp; }
  bool is_told() const { return walspout::is_told(op); }

  std::string_view schema() const { return table ? std::string_view(table->schema) : ""; }
  std::string_view table_name() const { return table ? std::string_view(table->name) : ""; }

  // The JSON object with the key's columns; empty if there is none.
  std::string_view key() const { return object(key_span); }

  // The objects of the old and of the new row; empty if the document lacks the object.
  std::string_view before() const { return object(before_span()); }
  std::string_view after() const { return object(after_span()); }

  Span before_span() const { return op == 'm' ? Span{} : row().before; }
  Span after_span() const { return op == 'm' ? Span{} : row().after; }
  void set_row(Span before, Span after) { share(Row{before, after}); }

  // Of a logical message; empty if it is long, too.
  std::string_view prefix() const {
    if (op != 'm') return {};
    const Text text = shared<Text>();
    return {text.data, text.size};
  }
  void set_prefix(std::string_view prefix) { share(Text{prefix.data(), prefix.size()}); }

  // Which of `lanes` lanes the event goes through: equal for equal keys.
  size_t lane(size_t lanes) const {
    return static_cast<size_t>((key_hash ^ (key_hash >> 32)) % lanes);
  }

 private:
  // Messages have a prefix and no row, and all other events the reverse. Events are kept by the
  // hundred thousand, so that the two share their room.
  struct Row {
    Span before;
    Span after;
  };
  struct Text {
    const char* data;
    size_t size;
  };

  std::string_view object(Span span) const { return document.substr(span.begin, span.size); }
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

// How far a receiver is that has an event and all before it, for those that count events.
struct EventPlace {
  Lsn lsn;
  uint64_t index = 0;

  // What precedes an event is no step: the event is still to come.
  static EventPlace behind(const Event& event) {
    if (!event.is_schema() && event.op != kBeginOp) return {event.lsn, event.index};
    if (event.index > 0) return {event.lsn, event.index - 1};
    return {Lsn{event.lsn.value - 1}, UINT64_MAX};  // no record begins there
  }
  auto operator<=>(const EventPlace&) const = default;
};

// The id of an event as text: the same on every sink and redelivery. "<lsn>-<index>" in decimal; of
// a schema "<lsn>-s<fingerprint>", with 16 hexadecimal digits; of the ends of a transaction
// "<lsn>-begin" and "<lsn>-commit".
class EventId {
 public:
  explicit EventId(const Event& event) {
    char* end = buffer_.data() + buffer_.size();
    char* p = std::to_chars(buffer_.data(), end, event.lsn.value).ptr;
    *p++ = '-';
    p = event.is_told() ? append_name(p, event) : std::to_chars(p, end, event.index).ptr;
    size_ = static_cast<size_t>(p - buffer_.data());
  }

  // Sets the members of an event that make its id; op stays, if the event is a change. False: the
  // text is no id.
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
