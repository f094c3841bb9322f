// libFuzzer: the input is a message of Kafka, as lines NAME=VALUE for its headers, an empty line
// and its value. A line without "=" is a header without a value; without an empty line there is no
// value. An accepted event lies within the message. When the sink writes the event, reading returns
// the same event.
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sink/kafka/message.h"
#include "source/kafka/message.h"

namespace {

using walspout::Event;
using walspout::EventId;
using walspout::KafkaEvent;
using walspout::KafkaHeader;

void require(bool holds) {
  if (!holds) std::abort();
}

std::optional<std::string_view> split(std::string_view text, std::vector<KafkaHeader>& headers) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    if (line.empty()) return text.substr(1);
    const size_t equals = line.find('=');
    KafkaHeader& header = headers.emplace_back();
    header.name = line.substr(0, equals);
    if (equals != line.npos) header.value = line.substr(equals + 1);
    if (end == text.npos) break;
    text.remove_prefix(end + 1);
  }
  return std::nullopt;
}

bool is_within(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void require_object(std::string_view object, std::string_view document) {
  if (object.empty()) return;
  require(is_within(object, document));
  require(object.size() >= 2 && object.front() == '{' && object.back() == '}');
}

void require_same(const KafkaEvent& a, const KafkaEvent& b) {
  require(EventId(a.event).view() == EventId(b.event).view());
  require(a.event.op == b.event.op && a.event.barrier == b.event.barrier);
  require(a.event.commit_time == b.event.commit_time && a.event.key_hash == b.event.key_hash);
  require(a.event.document == b.event.document && a.event.prefix() == b.event.prefix());
  require(a.event.key() == b.event.key() && a.event.before() == b.event.before());
  require(a.event.after() == b.event.after());
  require(a.schema == b.schema && a.table == b.table);
}

std::vector<KafkaHeader> written(const walspout::KafkaHeaders& headers) {
  std::vector<KafkaHeader> all;
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  for (size_t i = 0; rd_kafka_header_get_all(headers.get(), i, &name, &value, &size) ==
                     RD_KAFKA_RESP_ERR_NO_ERROR;
       i++) {
    all.push_back({name, std::string_view(static_cast<const char*>(value), size)});
  }
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<KafkaHeader> headers;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto value = split(text, headers);
  const auto found = walspout::kafka_event(value, headers);
  if (!found) {
    require(!found.error().what.empty());
    return 0;
  }
  if (!*found) return 0;
  KafkaEvent first = **found;
  Event& event = first.event;
  require(value && event.document == *value);
  for (const std::string_view object : {event.key(), event.before(), event.after()}) {
    require_object(object, event.document);
  }
  require(is_within(event.prefix(), text) && is_within(first.schema, text) &&
          is_within(first.table, text));
  const walspout::Table table{std::string(first.schema), std::string(first.table)};
  if (event.op != 'm') event.table = &table;
  static_cast<void>(walspout::kafka_old_key(event));
  const walspout::KafkaHeaders again(event, true);
  const auto second = walspout::kafka_event(event.document, written(again));
  require(second && *second);
  require_same(first, **second);
  return 0;
}
