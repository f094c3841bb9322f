#include "source/kafka/message.h"

#include <array>
#include <charconv>
#include <cstring>
#include <string>

namespace walspout {
namespace {

constexpr size_t kLongestName = 1024;  // of a table, or a message's prefix
constexpr size_t kHashDigits = 16;

enum Header : size_t { kId, kOp, kSchema, kTable, kPrefix, kTs, kBarrier, kHash, kSpans, kHeaders };
constexpr std::array<std::string_view, kHeaders> kNames = {
    "id", "op", "schema", "table", "prefix", "ts", "barrier", "hash", "spans"};

using Values = std::array<std::optional<std::string_view>, kHeaders>;

// The whole text must be the number.
template <typename T>
bool parse(std::string_view text, T& value, int base = 10) {
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value, base);
  return read.ec == std::errc() && read.ptr == end;
}

// Cuts a number off the front of the text.
bool cut_number(std::string_view& text, uint32_t& value) {
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(read.ptr - text.data()));
  return true;
}

bool cut(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

Failure broken(std::string_view header) {
  return reject("its header \"" + std::string(header) + "\" is not as walspout writes it");
}

Result<Values> known(std::span<const KafkaHeader> headers) {
  Values values;
  for (const KafkaHeader& header : headers) {
    for (size_t i = 0; i < kHeaders; i++) {
      if (header.name != kNames[i]) continue;
      if (values[i] || !header.value) return broken(kNames[i]);
      values[i] = header.value;
    }
  }
  return values;
}

// Cuts "name:begin+size" off the front of `text`, if it is there. False: the span is no object of
// the document at or behind `from`.
bool cut_span(std::string_view& text, std::string_view name, std::string_view document,
              uint64_t& from, Span& span) {
  if (!cut(text, name)) return true;
  if (!cut(text, ":") || !cut_number(text, span.begin) || !cut(text, "+") ||
      !cut_number(text, span.size)) {
    return false;
  }
  const uint64_t end = uint64_t{span.begin} + span.size;
  if (span.begin < from || span.size < 2 || end > document.size()) return false;
  if (document[span.begin] != '{' || document[end - 1] != '}') return false;
  from = end;
  return text.empty() || cut(text, " ");
}

bool parse_spans(std::string_view text, Event& event) {
  Span before;
  Span after;
  uint64_t from = 0;
  if (text.ends_with(' ') || !cut_span(text, "key", event.document, from, event.key_span) ||
      !cut_span(text, "before", event.document, from, before) ||
      !cut_span(text, "after", event.document, from, after) || !text.empty()) {
    return false;
  }
  event.set_row(before, after);
  return true;
}

bool is_name(const std::optional<std::string_view>& name) {
  return name && !name->empty() && name->size() <= kLongestName &&
         name->find('\0') == std::string_view::npos;
}

// Whether the value looks like one object on one line. It is not parsed.
bool is_document(std::string_view value) {
  return value.size() >= 2 && value.size() <= UINT32_MAX && value.front() == '{' &&
         value.back() == '}' && std::memchr(value.data(), '\n', value.size()) == nullptr;
}

// Receivers identify an event by the id in its document. With `omit` a document may lack the id.
bool has_other_id(const Event& event) {
  std::string_view text = event.document;
  const EventId id(event);
  return cut(text, "{\"id\":\"") && !(cut(text, id.view()) && text.starts_with('"'));
}

// Microseconds since 1970, in the years that RFC 3339 can write.
bool is_time(int64_t time) {
  constexpr int64_t kYear1 = -62'135'596'800'000'000;
  constexpr int64_t kYear10000 = 253'402'300'800'000'000;
  return time >= kYear1 && time < kYear10000;
}

Result<void> parse_rest(const Values& values, KafkaEvent& found) {
  Event& event = found.event;
  if (!has_table(event.op)) {
    if (values[kSchema] || values[kTable]) return broken("table");
    if (values[kSpans]) return broken("spans");
    if (values[kPrefix] && values[kPrefix]->size() > kLongestName) return broken("prefix");
    if (event.op == 'm') event.set_prefix(values[kPrefix].value_or(""));
  } else {
    if (values[kPrefix]) return broken("prefix");
    if (!is_name(values[kSchema])) return broken("schema");
    if (!is_name(values[kTable])) return broken("table");
    found.schema = *values[kSchema];
    found.table = *values[kTable];
    if (!parse_spans(values[kSpans].value_or(""), event)) return broken("spans");
  }
  if (values[kTs] && !(parse(*values[kTs], event.commit_time) && is_time(event.commit_time))) {
    return broken("ts");
  }
  if (values[kBarrier] && *values[kBarrier] != "1") return broken("barrier");
  event.barrier = values[kBarrier].has_value();
  const std::string_view hash = *values[kHash];
  const uint64_t fingerprint = event.key_hash;
  if (hash.size() != kHashDigits || !parse(hash, event.key_hash, 16)) return broken("hash");
  if (event.is_schema() && event.key_hash != fingerprint) return broken("hash");
  return {};
}

}  // namespace

Result<std::optional<KafkaEvent>> kafka_event(std::optional<std::string_view> value,
                                              std::span<const KafkaHeader> headers) {
  const Result<Values> read = known(headers);
  if (!read) return tl::unexpected(read.error());
  const Values& values = *read;
  if (!values[kId]) return reject("it has no header \"id\"");
  if (!values[kOp]) return reject("it has no header \"op\"");
  KafkaEvent found;
  if (!EventId::parse(*values[kId], found.event)) return broken("id");
  if (values[kOp]->size() != 1 || kOps.find(values[kOp]->front()) == kOps.npos) return broken("op");
  const char op = values[kOp]->front();
  if (found.event.op != (is_no_change(op) ? op : 0)) return broken("op");
  found.event.op = op;
  if (!value) return std::nullopt;
  if (!values[kHash]) {
    return fatal(
        "its value is a row alone, and a source needs whole documents. Remedy: set `value: "
        "envelope` in the sink that fills the topic, and let this source read a topic that was "
        "begun with it");
  }
  if (!is_document(*value)) return reject("its value is no document of walspout");
  found.event.document = *value;
  if (has_other_id(found.event)) return broken("id");
  if (Result<void> rest = parse_rest(values, found); !rest) return tl::unexpected(rest.error());
  return found;
}

}  // namespace walspout
