#include "backfill/overlay.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "base/json.h"
#include "source/frames.h"
#include "source/members.h"

namespace walspout {

namespace {

Span moved(Span span, size_t by) {
  if (span.size) span.begin -= static_cast<uint32_t>(by);
  return span;
}

// Writes the id right before the rest of the document, and moves the document's begin.
void fill_in_id(Event& event) {
  std::array<char, kOpenIdSize> begin;
  char* p = begin.data();
  const auto put = [&p](std::string_view text) {
    std::memcpy(p, text.data(), text.size());
    p += text.size();
  };
  put(kIdBegin);
  put(EventId(event).view());
  put(kIdEnd);
  const auto size = static_cast<size_t>(p - begin.data());
  const size_t by = kOpenIdSize - size;
  // The chunk owns the message with these bytes, and no other thread has seen them.
  char* document = const_cast<char*>(event.document.data());
  std::memcpy(document + by, begin.data(), size);
  event.document.remove_prefix(by);
  event.key_span = moved(event.key_span, by);
  event.set_row(moved(event.before_span(), by), moved(event.after_span(), by));
}

// A column's value for a merged row.
struct Value {
  Member member;
  std::string_view text;  // kHere
};

// The values of an object's columns, in their order.
std::vector<Value> values_of(std::string_view object, std::string_view members, size_t columns) {
  std::vector<Value> values(columns);
  size_t at = 1;
  bool first = true;
  for (Value& value : values) {
    value.member = take_member(members).value_or(Member{});
    if (value.member.kind != Member::Kind::kHere) continue;
    if (!std::exchange(first, false)) at++;
    value.text = object.substr(at, value.member.size);
    at += value.member.size;
  }
  return values;
}

// Writes a document, or only counts its bytes.
class Writer {
 public:
  explicit Writer(char* to) : to_(to) {}  // null: only counts

  void put(std::string_view text) {
    if (to_ != nullptr && !text.empty()) std::memcpy(to_ + size_, text.data(), text.size());
    size_ += text.size();
  }
  size_t size() const { return size_; }

 private:
  char* to_;
  size_t size_ = 0;
};

// Writes the row's document with these values in `after`. Returns the span of `after`.
Span write(Writer& to, const Event& row, const std::vector<Value>& values,
           std::string_view elided) {
  const uint32_t begin = row.after_span().begin;
  to.put(row.document.substr(0, begin));
  std::string_view between = "{";
  for (const Value& value : values) {
    if (value.member.kind != Member::Kind::kHere) continue;
    to.put(between);
    to.put(value.text);
    between = ",";
  }
  to.put(between == "{" ? "{}" : "}");
  const Span after{begin, static_cast<uint32_t>(to.size() - begin)};
  to.put(elided);
  to.put("}");
  return after;
}

// The member that lists the elided values.
std::string elided_of(const Table& table, const std::vector<Value>& values) {
  std::string elided;
  for (size_t i = 0; i < values.size(); i++) {
    if (values[i].member.kind != Member::Kind::kElided) continue;
    elided += elided.empty() ? R"(,"elided":{)" : ",";
    append_json(elided, table.columns[i].name);
    elided += ':' + std::to_string(values[i].member.size);
  }
  return elided.empty() ? elided : elided + "}";
}

// Gives a row the newer values. The chunk owns the new document. False: not enough memory.
bool merge(Chunk& rows, Event& row, std::string_view members, const Fate& fate, Allocate allocate) {
  const size_t columns = row.table->columns.size();
  std::vector<Value> values = values_of(row.after(), members, columns);
  for (const PartialChange* change : fate.partials) {
    const std::vector<Value> newer = values_of(change->after, change->members, columns);
    for (size_t i = 0; i < columns; i++) {
      if (newer[i].member.kind != Member::Kind::kAbsent) values[i] = newer[i];
    }
  }
  const std::string elided = elided_of(*row.table, values);
  Writer count(nullptr);
  write(count, row, values, elided);
  auto* bytes = static_cast<char*>(allocate(count.size()));
  if (bytes == nullptr) return false;
  Message message(bytes, 0, count.size(), std::free);
  Writer writer(bytes);
  const Span after = write(writer, row, values, elided);
  row.document = message.bytes();
  row.set_row({}, after);
  rows.message_bytes += count.size();
  rows.messages.push_back(std::move(message));
  return true;
}

bool have_same_columns(const Table& table, const Fate& fate) {
  for (const PartialChange* change : fate.partials) {
    if (change->table->columns != table.columns) return false;
  }
  return true;
}

std::optional<std::vector<std::string>> lay(Chunk& rows, const Kept::Newer& newer, RowsPlace& place,
                                            Allocate allocate) {
  std::vector<std::string> again;
  std::vector<Event> out;
  out.reserve(rows.events.size());
  auto detail = rows.details.begin();
  for (size_t i = 0; i < rows.events.size(); i++) {
    Event row = rows.events[i];
    const bool told = detail != rows.details.end() && detail->event == i;
    const EventDetail of_row = told ? *detail++ : EventDetail{};
    if (row.is_schema()) {
      row.lsn = place.lsn;
      row.commit_time = place.time;
      row.index = place.index;  // of the row behind it
      if (of_row.open_id) fill_in_id(row);
      out.push_back(row);
      continue;
    }
    const Fate* fate = newer.empty() ? nullptr : newer.fate(row.key());
    if (fate && fate->dropped) continue;
    if (fate && !have_same_columns(*row.table, *fate)) {
      again.emplace_back(row.key());
      continue;
    }
    row.lsn = place.lsn;
    row.commit_time = place.time;
    row.index = place.index++;
    if (of_row.open_id) fill_in_id(row);
    if (fate && !merge(rows, row, of_row.members, *fate, allocate)) return std::nullopt;
    out.push_back(row);
  }
  rows.events = std::move(out);
  std::vector<EventDetail>().swap(rows.details);
  return again;
}

}  // namespace

std::optional<std::vector<std::string>> apply_newer(Chunk& rows, const Kept::Newer& newer,
                                                    RowsPlace& place, Allocate allocate) {
  try {
    return lay(rows, newer, place, allocate);
  } catch (const std::bad_alloc&) {
    return std::nullopt;
  }
}

void drop_lone_schemas(std::vector<Chunk>& rows) {
  bool row_follows = false;
  for (auto chunk = rows.rbegin(); chunk != rows.rend(); chunk++) {
    for (size_t i = chunk->events.size(); i-- > 0;) {
      const auto event = chunk->events.begin() + static_cast<std::ptrdiff_t>(i);
      const bool is_schema = event->is_schema();
      if (is_schema && !row_follows) chunk->events.erase(event);
      row_follows = !is_schema;
    }
  }
}

}  // namespace walspout
