#include "sink/kafka/message.h"

#include <charconv>

namespace walspout {
namespace {

constexpr size_t kLongestPrefix = 1024;  // of a logical message, in a header
constexpr size_t kMostHeaders = 8;

// Writes numbers as text, without allocating memory.
class Digits {
 public:
  Digits& number(int64_t value) {
    end_ = std::to_chars(end_, text_.data() + text_.size(), value).ptr;
    return *this;
  }
  Digits& text(std::string_view word) {
    for (char c : word) *end_++ = c;
    return *this;
  }
  // Appends the number's 16 hexadecimal digits.
  Digits& bits(uint64_t value) {
    for (int shift = 60; shift >= 0; shift -= 4) *end_++ = "0123456789abcdef"[value >> shift & 15];
    return *this;
  }
  // Appends "name:begin+size", after a blank unless this is the first one.
  void span(std::string_view name, Span span) {
    if (span.size == 0) return;
    if (!view().empty()) text(" ");
    text(name).text(":").number(span.begin).text("+").number(span.size);
  }
  std::string_view view() const { return {text_.data(), static_cast<size_t>(end_ - text_.data())}; }

 private:
  std::array<char, 128> text_;
  char* end_ = text_.data();
};

// Reads the members of an object that the plugin wrote: valid JSON without white space.
class Members {
 public:
  explicit Members(std::string_view object) : rest_(object.substr(object.empty() ? 0 : 1)) {}

  // The next member's name, with its quotes, and value. False: no member is left.
  bool next(std::string_view& name, std::string_view& value) {
    if (rest_.size() < 2 || rest_[0] != '"') return false;
    const size_t colon = end_of_string(0);
    name = rest_.substr(0, colon);
    const size_t begin = std::min(colon + 1, rest_.size());
    size_t end = begin;
    for (int depth = 0; end < rest_.size(); ++end) {
      const char c = rest_[end];
      if (c == '"') {
        end = end_of_string(end) - 1;
      } else if (c == '{' || c == '[') {
        ++depth;
      } else if (depth == 0 && (c == ',' || c == '}')) {
        break;
      } else if (c == '}' || c == ']') {
        --depth;
      }
    }
    value = rest_.substr(begin, end - begin);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    return true;
  }

 private:
  // The position behind the closing quote of the string at `begin`.
  size_t end_of_string(size_t begin) const {
    size_t at = begin + 1;
    while (at < rest_.size() && rest_[at] != '"') at += rest_[at] == '\\' ? 2 : 1;
    return std::min(at + 1, rest_.size());
  }

  std::string_view rest_;
};

std::string_view member(std::string_view object, std::string_view wanted) {
  Members members(object);
  std::string_view name, value;
  while (members.next(name, value)) {
    if (name == wanted) return value;
  }
  return {};
}

}  // namespace

std::string kafka_old_key(const Event& event) {
  if (event.op != 'u' || !event.barrier || event.key().empty() || event.before().empty()) return {};
  std::string old;
  Members members(event.key());
  std::string_view name, value;
  while (members.next(name, value)) {
    const std::string_view before = member(event.before(), name);
    if (before.empty()) return {};
    old += old.empty() ? '{' : ',';
    old.append(name).append(":").append(before);
  }
  if (old.empty()) return {};
  old += '}';
  return old == event.key() ? std::string() : old;
}

uint32_t kafka_place(const Event& event) {
  if (event.key_span.size > 0) return 0;
  std::string name;
  if (event.table != nullptr) name = event.table->schema + "." + event.table->name;
  return static_cast<uint32_t>(rd_kafka_msg_partitioner_murmur2(nullptr, name.data(), name.size(),
                                                                INT32_MAX, nullptr, nullptr));
}

KafkaMessages::KafkaMessages(const Event& event, const KafkaConfig& config) {
  const std::string_view key = event.key();
  const bool keyed = !key.empty();
  if (keyed && (config.tombstones || config.rows)) {
    old_key_ = kafka_old_key(event);
    if (!old_key_.empty()) add({old_key_, std::nullopt});
  }
  if (config.rows && event.op == 'd' && keyed) {
    add({key, std::nullopt});
  } else if (const std::string_view row = event.after(); config.rows && !row.empty()) {
    add({key, row});
  } else {
    add({key, event.document, true});
    if (config.tombstones && event.op == 'd' && keyed) add({key, std::nullopt});
  }
}

KafkaHeaders::KafkaHeaders(const Event& event, bool is_document)
    : all_(rd_kafka_headers_new(kMostHeaders)) {
  const EventId id(event);
  add("id", id.view());
  add("op", std::string_view(&event.op, 1));
  if (event.table != nullptr) {
    add("schema", event.schema());
    add("table", event.table_name());
  } else if (const std::string_view prefix = event.prefix();
             !prefix.empty() && prefix.size() <= kLongestPrefix) {
    add("prefix", prefix);
  }
  if (event.commit_time != 0) add("ts", Digits().number(event.commit_time).view());
  if (event.barrier) add("barrier", "1");
  if (!is_document) return;
  add("hash", Digits().bits(event.key_hash).view());
  if (event.op == 'm') return;
  Digits spans;
  if (!event.key_is_aside()) spans.span("key", event.key_span);
  spans.span("before", event.before_span());
  spans.span("after", event.after_span());
  if (!spans.view().empty()) add("spans", spans.view());
}

void KafkaHeaders::add(std::string_view name, std::string_view value) {
  rd_kafka_header_add(all_, name.data(), static_cast<ssize_t>(name.size()), value.data(),
                      static_cast<ssize_t>(value.size()));
}

}  // namespace walspout
